"""Workflows (who is asked, and how) and the requests that went through them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from approvals.querysets import RequestQuerySet, WorkflowQuerySet
from approvals.states import State
from controlplane import validators


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
    auto_approve = models.JSONField(default=dict, blank=True)
    notify = models.JSONField(default=email_only, blank=True)
    escalate = models.JSONField(default=dict, blank=True)

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
        for name in ("auto_approve", "notify", "escalate"):
            if not isinstance(getattr(self, name), dict):
                raise ValidationError({name: "This is a JSON object, such as {}."})
        if not isinstance(self.notify.get("email", True), bool):
            raise ValidationError({"notify": "email is true or false."})


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
    worker = models.UUIDField()
    requested_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    state = models.CharField(max_length=9, choices=State, default=State.PENDING)
    decided_at = models.DateTimeField(null=True)
    comment = models.TextField(blank=True, help_text="What the person who decided, or the reason why nobody could, said.")
    no_approver = models.BooleanField(default=False, help_text="Rejected at once because too few people could say yes.")

    objects = RequestQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at", "id"]
        indexes = [
            models.Index(fields=["state", "expires_at"], name="request_due"),
            models.Index(fields=["binding", "state"], name="request_binding"),
            models.Index(fields=["-requested_at"], name="request_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} on {self.connection} ({self.state})"


class Vote(models.Model):
    """One person's answer; nobody answers twice, nobody takes an answer back."""

    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="votes")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    approve = models.BooleanField()
    comment = models.TextField(blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at", "id"]
        constraints = [models.UniqueConstraint(fields=["request", "user"], name="one_vote_per_person")]

    def __str__(self) -> str:
        return f"{self.user}: {'yes' if self.approve else 'no'}"


class Delivery(models.Model):
    """One e-mail to one approver: queued with the request, in its transaction, so that a dead broker cannot lose it."""

    class State(models.TextChoices):
        QUEUED = "QUEUED", "queued"
        SENT = "SENT", "sent"
        FAILED = "FAILED", "given up"
        DROPPED = "DROPPED", "no longer needed"

    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="deliveries")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["request", "user"], name="one_delivery_per_approver")]
        indexes = [models.Index(fields=["state", "next_attempt_at"], name="delivery_due")]

    def __str__(self) -> str:
        return f"{self.user}: {self.state}"
