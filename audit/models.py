"""The ledger's tables: chains as they arrived, the tree's leaves, its checkpoints, and what was exported.

What people search in is beside them, in projected.py: it is made from the entries, and can be made again.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from audit.projected import Activity, ApprovalEvent, Name, Refusals, Session, Statement
from audit.querysets import BootQuerySet, CheckpointQuerySet, EntryQuerySet, ExportQuerySet, SavedReportQuerySet
from controlplane import validators

__all__ = [
    "Activity", "ApprovalEvent", "Boot", "Checkpoint", "Entry", "Export", "ExportPart", "Name", "Refusals", "SavedReport",
    "Session", "Statement",
]  # fmt: skip
NO_HASH = "0" * 64


class Boot(models.Model):
    """One process start: the owner of one hash chain. Its row is the lock under which the chain grows."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    worker = models.CharField(max_length=64, help_text="The worker's uuid, or “control” for the control plane itself.")
    last_seq = models.BigIntegerField(default=0)
    last_hash = models.CharField(max_length=64, default=NO_HASH)
    first_seen = models.DateTimeField(default=timezone.now)
    last_seen = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, help_text="When its worker.stopped entry says that it ended.")
    alarm = models.CharField(max_length=500, blank=True, help_text="Why its last batch was refused; empty once the chain goes on.")
    alarmed_at = models.DateTimeField(null=True)

    objects = BootQuerySet.as_manager()

    class Meta:
        ordering = ["-first_seen"]
        indexes = [models.Index(fields=["worker", "-first_seen"], name="boot_worker")]

    def __str__(self) -> str:
        return f"{self.worker}/{self.id}"


class Entry(models.Model):
    """One entry, byte for byte as its maker hashed it, with columns copied out of it for searching.

    The database refuses to change or remove a row; ``leaf_index`` alone is set, once, when the entry is sealed.
    ``disclosures`` is JSON *text*: PostgreSQL's jsonb cannot hold every string that JSON can (no U+0000).
    """

    boot = models.ForeignKey(Boot, on_delete=models.PROTECT, related_name="entries")
    seq = models.BigIntegerField()
    leaf_index = models.BigIntegerField(null=True, unique=True)
    kind = models.CharField(max_length=64)
    time = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    hash = models.CharField(max_length=64)
    canonical = models.TextField()
    disclosures = models.TextField(default="{}")

    subject = models.CharField(max_length=255, blank=True)
    connection = models.CharField(max_length=255, blank=True)
    session = models.CharField(max_length=64, blank=True)
    statement = models.CharField(max_length=64, blank=True)
    decision = models.CharField(max_length=16, blank=True)

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entries"
        ordering = ["-time", "-id"]
        constraints = [models.UniqueConstraint(fields=["boot", "seq"], name="one_entry_per_seq")]
        indexes = [
            models.Index(fields=["-time", "-id"], name="entry_newest"),
            models.Index(fields=["kind", "-time"], name="entry_kind"),
            models.Index(fields=["subject", "-time"], name="entry_subject"),
            models.Index(fields=["connection", "-time"], name="entry_connection"),
            models.Index(fields=["session", "time"], name="entry_session"),
            models.Index(fields=["statement"], name="entry_statement"),
            models.Index(fields=["id"], name="entry_unsealed", condition=models.Q(leaf_index__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.boot_id}/{self.seq}"


class Checkpoint(models.Model):
    """A signed statement of the tree's size and root. ``frontier`` holds the full subtrees, so that it can grow without a re-read."""

    size = models.BigIntegerField(unique=True)
    root = models.CharField(max_length=64)
    note = models.TextField(help_text="C2SP signed note (Ed25519).")
    frontier = models.JSONField(help_text="Hashes (hex) of the perfect subtrees, largest first.")
    created = models.DateTimeField(default=timezone.now)

    objects = CheckpointQuerySet.as_manager()

    class Meta:
        ordering = ["-size"]

    def __str__(self) -> str:
        return f"{self.size} entries"


class Export(models.Model):
    """A file that was asked for on the web: by whom, of what, and its digest. The ledger has all that were made."""

    class State(models.TextChoices):
        QUEUED = "QUEUED", "waiting for its turn"
        RUNNING = "RUNNING", "being made"
        READY = "READY", "ready"
        FAILED = "FAILED", "failed"
        EXPIRED = "EXPIRED", "expired"

    class Format(models.TextChoices):
        ZIP = "zip", "archive with proofs"
        CSV = "csv", "CSV"
        PARQUET = "parquet", "Parquet"
        PDF = "pdf", "PDF"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created = models.DateTimeField(default=timezone.now)
    report = models.CharField(max_length=32, blank=True, help_text="The kind of report; empty for entries with proofs.")
    format = models.CharField(max_length=8, choices=Format, default=Format.ZIP)
    filters = models.JSONField(default=dict)
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    progress = models.CharField(max_length=200, blank=True, help_text="What is being done, for who waits.")
    entries = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    bytes = models.BigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.created:%Y-%m-%d %H:%M} {self.state}"

    @property
    def in_the_making(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def file_name(self) -> str:
        return f"tidegate-{self.report or 'audit'}-{self.created:%Y%m%dT%H%M%SZ}.{self.format}"

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]


MEDIA_TYPES = {
    "zip": "application/zip",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
}


class ExportPart(models.Model):
    """A piece of an export's file. It is kept in the database since the processes that make and serve it may share no disk."""

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["export", "number"], name="one_part_per_number")]

    def __str__(self) -> str:
        return f"{self.export_id}/{self.number}"


class SavedReport(models.Model):
    """A report with its parameters under a name, of one person and, where shared, for all who read the ledger."""

    name = models.CharField(max_length=100, validators=[validators.printable])
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    report = models.CharField(max_length=32)
    parameters = models.JSONField(default=dict)
    shared = models.BooleanField(default=False, help_text="Whether other auditors see it.")
    created = models.DateTimeField(default=timezone.now)

    objects = SavedReportQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="one_saved_report_per_name")]

    def __str__(self) -> str:
        return self.name
