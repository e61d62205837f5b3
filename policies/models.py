"""The policy: what is masked, and which statements are denied, held or allowed."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from controlplane import validators
from controlplane.models import OUTCOMES, Connection, Subject
from policies import rules


def raise_if_any(problems: Mapping[str, str]) -> None:
    found = {field: problem for field, problem in problems.items() if problem}
    if found:
        raise ValidationError(found)


class MaskingRule(models.Model):
    """Columns whose values are masked for everyone who is not cleared."""

    name = models.CharField(max_length=100, unique=True, validators=[validators.printable])
    connections = models.ManyToManyField(Connection, blank=True, related_name="masking_rules", help_text="None chosen: all.")
    columns = models.JSONField(
        default=list, help_text='A list of schema.table.column; * and ? are wildcards, e.g. ["crm.customers.ssn", "*.*.ssn"].'
    )
    method = models.JSONField(default=dict, help_text='E.g. {"name": "redact"}, {"name": "partial", "first": 0, "last": 4}.')
    lookups = models.BooleanField(default=False, help_text="column = constant works on the real value (and is counted in the audit).")
    cleared_subjects = models.ManyToManyField(Subject, blank=True, related_name="clearances")
    cleared_groups = models.ManyToManyField(Group, blank=True, related_name="clearances")
    cleared_until = models.DateTimeField(null=True, blank=True, help_text="When the clearance ends; empty: never.")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        problems = {"columns": rules.columns_problem(self.columns), "method": rules.method_problem(self.method)}
        raise_if_any(problems)

    def clean_links(self, links: Mapping[str, Collection[Any]]) -> None:
        if self.cleared_until and not links["cleared_subjects"] and not links["cleared_groups"]:
            raise ValidationError({"cleared_until": "An end of the clearance needs somebody who is cleared."})


class StatementRule(models.Model):
    """A condition on statements and what follows: deny wins over approval, approval over allow."""

    name = models.CharField(max_length=100, unique=True, validators=[validators.printable])
    when = models.JSONField(default=dict, blank=True, help_text='Conditions that must all hold, e.g. {"actions": ["drop", "truncate"]}.')
    then = models.CharField(max_length=7, choices=OUTCOMES)
    workflow = models.ForeignKey(
        "approvals.Workflow", null=True, blank=True, on_delete=models.PROTECT, related_name="rules", help_text="Who is asked."
    )
    message = models.CharField(max_length=300, blank=True, validators=[validators.printable], help_text="Shown to the agent.")
    shadow = models.BooleanField(default=False, help_text='Recorded as "would have denied", not enforced.')

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if (self.then == "approve") != bool(self.workflow_id):
            raise ValidationError({"workflow": "Name a workflow exactly where approval is asked for."})
        raise_if_any({"when": rules.when_problem(self.when, self.then) or rules.dangling(self.when)})


class Retention(models.Model):
    """How long values are kept in the audit; commitments and proofs stay. One row at most."""

    entries_days = models.PositiveIntegerField("entries (days)", help_text="Values of entries are erased after this many days.")

    class Meta:
        verbose_name_plural = "retention"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_retention")]

    def __str__(self) -> str:
        return f"{self.entries_days} days"


class WhatIf(models.Model):
    """A draft of the policy, compared with the policy in force on recorded statements; kept for a week (what_if.py)."""

    class State(models.TextChoices):
        QUEUED = "QUEUED", "waiting"
        RUNNING = "RUNNING", "running"
        READY = "READY", "ready"
        FAILED = "FAILED", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created = models.DateTimeField(default=timezone.now)
    draft = models.BinaryField(help_text="Encrypted, since it may hold secrets; emptied when it has been looked at.")
    prune = models.BooleanField(default=False)
    since = models.DateTimeField()
    until = models.DateTimeField()
    subject = models.CharField(max_length=63, blank=True)
    connection = models.CharField(max_length=63, blank=True)
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("-created",)

    def __str__(self) -> str:
        return f"{self.created:%Y-%m-%d %H:%M} {self.state}"
