"""What people search in: one row per statement and session, and sums by the hour, all of it made from entries.

None of it is evidence. projection.py fills these tables in the transaction that stores the entries, and makes them again from the
entries alone (``manage.py audit reindex``). A statement's text stands here only as long as its entry discloses it.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Left

from audit.querysets import ApprovalEventQuerySet, SessionQuerySet, StatementQuerySet

INDEXED = 65_536  # characters of a text whose words are found; what follows in a longer one is not
BETWEEN_WORDS = "[^[:alnum:]]+"  # PostgreSQL's parser would take crm.orders for a host name, and -1 for a number


def _to_boot() -> models.ForeignKey:
    """Whose chain it comes from. Rows are made with their entries and boots stay for ever: checking each row would cost for nothing."""
    return models.ForeignKey("audit.Boot", on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")


class Statement(models.Model):
    """One statement: what was intended and, once it is known, what came of it."""

    entry = models.OneToOneField(
        "audit.Entry", primary_key=True, on_delete=models.CASCADE, db_constraint=False, related_name="projected",
        help_text="The statement.intended entry.",
    )  # fmt: skip
    boot = _to_boot()
    time = models.DateTimeField()
    statement = models.CharField(max_length=64)
    session = models.CharField(max_length=64)
    subject = models.CharField(max_length=255)
    connection = models.CharField(max_length=255)
    decision = models.CharField(max_length=16)
    approval = models.CharField(max_length=64, blank=True, help_text="The approval request's id.")
    actions = ArrayField(models.TextField(), default=list)
    relations = ArrayField(models.TextField(), default=list)
    columns = ArrayField(models.TextField(), default=list)
    masked = ArrayField(models.TextField(), default=list, help_text="The columns of it that were masked.")
    rules = ArrayField(models.TextField(), default=list)
    terms = ArrayField(models.TextField(), default=list, help_text="All that can be chosen, as “action:select”: see terms_of().")
    sql = models.TextField(blank=True)
    words = models.GeneratedField(
        expression=SearchVector(
            Func(Left(F("sql"), INDEXED), Value(BETWEEN_WORDS), Value(" "), Value("g"), function="regexp_replace"), config="simple"
        ),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    outcome = models.CharField(max_length=16, blank=True, help_text="Empty until its end is recorded.")
    tag = models.CharField(max_length=64, blank=True)
    rows = models.BigIntegerField(null=True)
    masked_cells = models.BigIntegerField(default=0)
    sqlstate = models.CharField(max_length=5, blank=True)
    duration_us = models.BigIntegerField(null=True)

    objects = StatementQuerySet.as_manager()

    class Meta:
        ordering = ["-time", "-entry"]
        indexes = [
            models.Index(fields=["-time", "-entry"], name="statement_newest"),
            models.Index(fields=["subject", "-time", "-entry"], name="statement_subject"),
            models.Index(fields=["connection", "-time", "-entry"], name="statement_connection"),
            models.Index(fields=["session", "time", "entry"], name="statement_session"),
            models.Index(fields=["boot", "statement"], name="statement_boot"),
            models.Index(fields=["approval"], name="statement_approval", condition=~Q(approval="")),
            # One index of both, so that what matches all of several conditions is known before a row is read.
            GinIndex(fields=["words", "terms"], name="statement_search"),
        ]

    def __str__(self) -> str:
        return f"{self.statement} of {self.subject} on {self.connection}"

    def terms_of(self) -> list[str]:
        """What a search may ask for besides words and times."""
        named = {
            "action": self.actions, "relation": self.relations, "column": {*self.columns, *self.masked}, "rule": self.rules,
            "subject": [self.subject], "connection": [self.connection], "decision": [self.decision], "outcome": [self.outcome],
            "masked": ["yes" if self.masked else "no"],
        }  # fmt: skip
        return [f"{kind}:{name}" for kind, names in named.items() for name in sorted(names)]


class Session(models.Model):
    """One client connection through a worker, with the sums of its statements."""

    boot = _to_boot()
    session = models.CharField(max_length=64)
    subject = models.CharField(max_length=255, blank=True)
    issuer = models.CharField(max_length=255, blank=True)
    kind = models.CharField(max_length=16, blank=True)
    connection = models.CharField(max_length=255, blank=True)
    database = models.CharField(max_length=255, blank=True)
    client = models.CharField(max_length=255, blank=True)
    application = models.CharField(max_length=255, blank=True)
    run = models.CharField(max_length=255, blank=True)
    opened_at = models.DateTimeField(help_text="When its first entry was made.")
    closed_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it ended.")
    statements = models.BigIntegerField(default=0)
    denied = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    masked_cells = models.BigIntegerField(default=0)

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["boot", "session"], name="one_row_per_session")]
        indexes = [
            models.Index(fields=["-opened_at", "-id"], name="session_newest"),
            models.Index(fields=["session"], name="session_session"),
            models.Index(fields=["subject", "-opened_at", "-id"], name="session_subject"),
            models.Index(fields=["connection", "-opened_at", "-id"], name="session_connection"),
            models.Index(fields=["run", "-opened_at", "-id"], name="session_run", condition=~Q(run="")),
            models.Index(
                fields=["client", "-opened_at", "-id"], name="session_client", opclasses=["text_pattern_ops", "timestamptz_ops", "int8_ops"]
            ),
            models.Index(fields=["-opened_at", "-id"], name="session_open", condition=Q(closed_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.session} of {self.subject} on {self.connection}"


class Activity(models.Model):
    """How much of what happened in an hour, for one boot, subject, connection and decision. A boot's rows change under its lock only."""

    boot = _to_boot()
    hour = models.DateTimeField()
    subject = models.CharField(max_length=255)
    connection = models.CharField(max_length=255)
    decision = models.CharField(max_length=16)
    statements = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    masked_cells = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["boot", "hour", "subject", "connection", "decision"], name="one_sum_per_hour")]
        indexes = [models.Index(fields=["hour"], name="activity_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.subject} on {self.connection}: {self.statements}"


class Refusals(models.Model):
    """How many statements a rule refused in an hour, for one boot. What no rule refused (no grant, say) is not here."""

    boot = _to_boot()
    hour = models.DateTimeField()
    rule = models.TextField()
    statements = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "refusals"
        constraints = [models.UniqueConstraint(fields=["boot", "hour", "rule"], name="one_sum_per_rule_and_hour")]
        indexes = [models.Index(fields=["hour"], name="refusals_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.rule}: {self.statements}"


class ApprovalEvent(models.Model):
    """One step in an approval request's life, so that all steps of a request are found by its id."""

    entry = models.OneToOneField(
        "audit.Entry",
        primary_key=True,
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="approval_step",
        help_text="The approval.* entry.",
    )
    boot = _to_boot()
    request = models.CharField(max_length=64)
    event = models.CharField(max_length=32, help_text="requested, voted, approved, …")
    time = models.DateTimeField()
    by = models.CharField(max_length=255, blank=True)
    subject = models.CharField(max_length=255, blank=True)
    connection = models.CharField(max_length=255, blank=True)

    objects = ApprovalEventQuerySet.as_manager()

    class Meta:
        ordering = ["-time", "-entry"]
        indexes = [
            models.Index(fields=["request", "time"], name="approval_request"),
            models.Index(fields=["event", "-time", "-entry"], name="approval_event"),
        ]

    def __str__(self) -> str:
        return f"{self.request}: {self.event}"


class Name(models.Model):
    """A name that some statement held: what a search can suggest, and what ``orders`` may stand for (``crm.orders``)."""

    KINDS = ("subject", "connection", "action", "relation", "column", "rule")

    kind = models.CharField(max_length=16)
    name = models.TextField()

    class Meta:
        ordering = ["kind", "name"]
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="one_row_per_name")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
