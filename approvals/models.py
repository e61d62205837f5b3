"""Workflows (who is asked, and how) and the requests that went through them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import HashIndex
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from approvals import webhooks
from approvals.querysets import BreakGlassQuerySet, RequestQuerySet, ShapeQuerySet, WorkflowQuerySet
from approvals.states import State
from controlplane import validators
from proxy.sql.facts import ACTIONS


def email_only() -> dict[str, bool]:
    """How approvers hear of a request unless the workflow says otherwise."""
    return {"email": True}


class Workflow(models.Model):
    """Who may say yes, how many of them it takes, and how long client and request wait."""

    class Hold(models.TextChoices):
        WAIT = "wait", "the client waits"
        TICKET = "ticket", "the client is refused and comes back"

    name = models.CharField(max_length=100, unique=True, validators=[validators.printable])
    approver_groups = models.ManyToManyField("auth.Group", blank=True, related_name="approval_workflows")
    approvers = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="approval_workflows")
    quorum = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="How many different people must say yes."
    )
    expires = models.PositiveIntegerField(
        default=900, validators=[MinValueValidator(1)], help_text="Seconds after which neither the request nor an approval is good."
    )
    hold = models.CharField(max_length=6, choices=Hold, default=Hold.WAIT)
    max_wait = models.PositiveIntegerField(
        default=600, validators=[MinValueValidator(1)], help_text="Seconds a client waits before the request becomes a ticket."
    )
    step_up = models.CharField(
        "step-up",
        max_length=7,
        choices=[("none", "nothing more"), ("recent", "a sign-in of the last five minutes"), ("passkey", "a passkey")],
        default="none",
        help_text="What an approver must prove with each yes.",
    )
    exclude_owner = models.BooleanField(
        "owner never approves",
        default=False,
        help_text="The person who answers for the subject may not say yes to what it asks. Whoever asked never may.",
    )
    auto_approve_actions = ArrayField(
        models.CharField(max_length=20),
        default=list,
        blank=True,
        help_text="Statements that do nothing but this, separated by commas, are approved at once if they change few enough rows.",
    )
    auto_approve_rows = models.PositiveBigIntegerField(
        "auto approve up to (rows)",
        null=True,
        blank=True,
        help_text="As counted before; a statement whose rows cannot be counted waits for a person. Empty: nothing is approved by itself.",
    )
    notify = models.JSONField(default=email_only, blank=True)
    escalate_after = models.PositiveIntegerField(
        "escalate after (s)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Seconds after which a request that still waits is shown to more people, who may then decide. Empty: never.",
    )
    escalate_groups = models.ManyToManyField("auth.Group", blank=True, related_name="escalation_workflows")
    escalate_users = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="escalation_workflows")
    break_glass_groups = models.ManyToManyField(
        "auth.Group",
        blank=True,
        related_name="break_glass_workflows",
        help_text="In an emergency each of these people may approve alone, with a reason. Everybody hears of it, and it is reviewed.",
    )
    break_glass_users = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="break_glass_workflows")
    shapes = models.BooleanField(
        "approve shapes",
        default=False,
        help_text="Approvers may let a statement run again, also with other values, for a time and up to a number of runs.",
    )

    objects = WorkflowQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=models.Q(quorum__gte=1), name="workflow_quorum_positive"),
            models.CheckConstraint(condition=models.Q(expires__gte=1), name="workflow_expires_positive"),
            models.CheckConstraint(condition=models.Q(max_wait__gte=1), name="workflow_max_wait_positive"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not isinstance(self.notify, dict) or not isinstance(self.notify.get("email", True), bool):
            raise ValidationError({"notify": 'This is a JSON object, such as {"email": true}.'})
        if "webhook" in self.notify:
            webhooks.check(self.notify["webhook"])
        self.auto_approve_actions = sorted(set(self.auto_approve_actions))
        unknown = sorted(set(self.auto_approve_actions) - ACTIONS)
        if unknown:
            raise ValidationError({"auto_approve_actions": f"There is no action {unknown[0]}; there are {', '.join(sorted(ACTIONS))}."})
        if bool(self.auto_approve_actions) != (self.auto_approve_rows is not None):
            raise ValidationError({"auto_approve_rows": "Give the actions and the number of rows together, or neither."})
        if self.escalate_after is not None and self.expires is not None and self.escalate_after >= self.expires:
            raise ValidationError({"escalate_after": "The request would have expired before it is escalated."})

    def clean_links(self, links: Mapping[str, Collection[Any]]) -> None:
        """What :func:`controlplane.services.save` asks of the people whom this will name."""
        named = bool(links["escalate_groups"] or links["escalate_users"])
        if named != (self.escalate_after is not None):
            raise ValidationError({"escalate_after": "Say after how many seconds, and to whom; or neither."})


class Way(models.TextChoices):
    """What approves, other than enough people's votes."""

    POLICY = "policy", "by the policy"
    BREAK_GLASS = "break_glass", "by breaking glass"
    SHAPE = "shape", "by an approval of its shape"


class ApprovalRequest(models.Model):
    """One held statement, exactly as the worker described it (docs/contracts.md §4).

    What was asked never changes after it was asked: the database refuses it, since an approval covers what was shown.
    Names are kept as text, so that the record outlives the objects it speaks of.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    binding = models.CharField(max_length=64)
    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.SET_NULL, related_name="requests")
    workflow_name = models.CharField(max_length=100)
    subject = models.CharField(max_length=255)
    issuer = models.CharField(max_length=255, blank=True)
    connection = models.CharField(max_length=255)
    database = models.CharField(max_length=255, blank=True)
    session = models.CharField(max_length=64, blank=True)
    statement = models.CharField(max_length=64, blank=True)
    decision = models.CharField(max_length=64, blank=True)
    sql = models.TextField()
    parameters = models.JSONField(default=list)
    actions = models.JSONField(default=list)
    relations = models.JSONField(default=list)
    reason = models.TextField(blank=True)
    rules = models.JSONField(default=list)
    masked = models.JSONField(default=list)
    bundle = models.CharField(max_length=64, blank=True)
    in_transaction = models.BooleanField(default=False)
    client = models.CharField(max_length=255, blank=True)
    application = models.CharField(max_length=255, blank=True)
    run = models.CharField(max_length=255, blank=True)
    preview = models.JSONField(null=True, help_text="What the statement would do, as the worker found out without running it.")
    bound = models.BigIntegerField(null=True, help_text="Rows that it may change at most; if it changes more, it is undone.")
    normalised = models.TextField(blank=True, help_text="The statement with its constants replaced by $n.")
    shape = models.CharField(max_length=64, blank=True, help_text="What statements share that differ in values only; empty: values matter.")
    places = models.JSONField(default=list, help_text="Where values stand in it (places.py), for those that may run with others.")
    worker = models.UUIDField()
    requested_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    state = models.CharField(max_length=9, choices=State, default=State.PENDING)
    decided_at = models.DateTimeField(null=True)
    way = models.CharField(max_length=11, choices=Way, blank=True, help_text="How it was approved, where not by votes.")
    escalated_at = models.DateTimeField(null=True)
    comment = models.TextField(blank=True, help_text="What the person who decided, or the reason why nobody could, said.")
    no_approver = models.BooleanField(default=False, help_text="Rejected at once because too few people could say yes.")

    objects = RequestQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at", "id"]
        indexes = [
            models.Index(fields=["state", "expires_at"], name="request_due"),
            models.Index(fields=["binding", "state"], name="request_binding"),
            models.Index(fields=["-requested_at"], name="request_newest"),
            HashIndex(fields=["normalised"], name="request_normalised", condition=~models.Q(normalised="")),
        ]

    def __str__(self) -> str:
        return f"{self.subject} on {self.connection} ({self.state})"


class Vote(models.Model):
    """One person's answer; nobody answers twice, nobody takes an answer back."""

    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="votes")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    approve = models.BooleanField()
    comment = models.TextField(blank=True)
    shape_seconds = models.PositiveIntegerField(null=True, help_text="For how long this person lets the statement's shape pass, too.")
    shape_runs = models.PositiveIntegerField(null=True, help_text="And how many times.")
    shape_free = ArrayField(models.PositiveIntegerField(), default=list, help_text="And in which places with any value.")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [models.UniqueConstraint(fields=["request", "user"], name="one_vote_per_person")]

    def __str__(self) -> str:
        return f"{self.user}: {'yes' if self.approve else 'no'}"


class BreakGlass(models.Model):
    """One person approved alone in an emergency. It never changes, but for the one review by somebody else."""

    request = models.OneToOneField(ApprovalRequest, on_delete=models.PROTECT, related_name="break_glass")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    at = models.DateTimeField(default=timezone.now)
    reviewed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    reviewed_at = models.DateTimeField(null=True)
    review = models.TextField(blank=True)

    objects = BreakGlassQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "broken glass"
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.user}, {self.at:%Y-%m-%d %H:%M}"


class ShapeApproval(models.Model):
    """A yes to one statement again and again, with any value in the places named by ``free``, for one subject, until it expires or
    is used up. What it covers never changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.OneToOneField(ApprovalRequest, on_delete=models.PROTECT, related_name="shape_approval")
    shape = models.CharField(max_length=64)
    subject = models.CharField(max_length=255)
    connection = models.CharField(max_length=255)
    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.SET_NULL, related_name="+")
    free = ArrayField(models.PositiveIntegerField(), default=list, help_text="The places whose values may differ.")
    bound = models.BigIntegerField(null=True, help_text="Rows that each run may change at most.")
    granted_by = models.CharField(max_length=500)
    granted_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    limit = models.PositiveIntegerField()
    uses = models.PositiveIntegerField(default=0)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True)

    objects = ShapeQuerySet.as_manager()

    class Meta:
        ordering = ["-granted_at", "id"]
        indexes = [models.Index(fields=["shape", "expires_at"], name="shape_covering")]
        constraints = [models.CheckConstraint(condition=models.Q(uses__lte=models.F("limit")), name="shape_used_within_limit")]

    def __str__(self) -> str:
        return f"{self.subject} on {self.connection}, {self.uses} of {self.limit}"


class Delivery(models.Model):
    """One notice, by e-mail to one person or by the workflow's webhook (then ``user`` is null).

    Queued with what it tells of, in that transaction, so that a dead broker cannot lose it.
    """

    class State(models.TextChoices):
        QUEUED = "QUEUED", "queued"
        SENT = "SENT", "sent"
        FAILED = "FAILED", "given up"
        DROPPED = "DROPPED", "no longer needed"

    class Kind(models.TextChoices):
        ASKED = "asked", "an answer is needed"
        ESCALATED = "escalated", "an answer is still needed"
        ALARM = "alarm", "somebody broke glass"

    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="deliveries")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=9, choices=Kind, default=Kind.ASKED)
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["request", "user", "kind"], name="one_delivery_of_a_kind"),
            models.UniqueConstraint(fields=["request", "kind"], condition=models.Q(user__isnull=True), name="one_webhook_of_a_kind"),
        ]
        indexes = [models.Index(fields=["state", "next_attempt_at"], name="delivery_due")]

    def __str__(self) -> str:
        return f"{self.user or 'webhook'}: {self.state}"
