"""Everything that is written to the ledger: the control plane's own entries, and what the workers send."""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit import extraction, ingestion, projection
from audit.counts import Bucket, activity, top_refusing_rules, top_subjects
from audit.ingestion import BatchRefused
from audit.models import Boot, Entry, SavedReport
from audit.querysets import EntryQuerySet
from controlplane import VERSION
from controlplane.models import User, Worker
from proxy.ledger import entry as ledger

CONTROL = "control"
__all__ = [
    "BatchRefused", "Bucket", "Statements", "activity", "entry_numbers", "forget_report", "ingest", "record", "save_report", "statements",
    "top_refusing_rules", "top_subjects",
]  # fmt: skip


@dataclass
class _Process:
    """This process's boot. A forked child is a process of its own and must not continue its parent's chain."""

    boot: uuid.UUID


_process = _Process(uuid.uuid4())


def _after_fork() -> None:
    _process.boot = uuid.uuid4()


os.register_at_fork(after_in_child=_after_fork)


def record(kind: str, fields: Mapping[str, Any]) -> Entry:
    """Add an entry of the control plane itself, inside the caller's transaction: no change without its record.

    The chain's row stays locked until that transaction ends, so record last, after all other locks. Raises ValueError
    for a kind that the ledger does not know.
    """
    with transaction.atomic():
        boot = _own_boot()
        if boot.last_seq == 0:
            _append(boot, "worker.boot", {"host": socket.gethostname(), "pid": os.getpid(), "version": VERSION})
        added = _append(boot, kind, fields)
        boot.last_seen = timezone.now()
        boot.save(update_fields=["last_seq", "last_hash", "last_seen"])
    return added


def _own_boot() -> Boot:
    # Looked up each time: a transaction that was rolled back took the row of a first entry with it.
    found = Boot.objects.select_for_update().filter(pk=_process.boot).first()
    if found is None:
        Boot.objects.bulk_create([Boot(id=_process.boot, worker=CONTROL)], ignore_conflicts=True)
        found = Boot.objects.select_for_update().get(pk=_process.boot)
    return found


def _append(boot: Boot, kind: str, fields: Mapping[str, Any]) -> Entry:
    text, disclosures = ledger.build(
        kind, fields, worker=boot.worker, boot=str(boot.pk), seq=boot.last_seq + 1, prev=boot.last_hash,
        time_us=time.time_ns() // 1000, salts=secrets.token_bytes,
    )  # fmt: skip
    digest = ledger.entry_hash(text).hex()
    content = ledger.parse(text)
    row = extraction.row(boot, text.decode(), content, digest, disclosures)
    row.save(force_insert=True)
    projection.add(boot, [(row, content, "")])
    boot.last_seq, boot.last_hash = row.seq, digest
    return row


def ingest(worker: Worker, boot: str, entries: Sequence[Any]) -> int:
    """Store a worker's batch; returns the highest stored sequence number of the boot, up to which the worker may forget.

    Raises BatchRefused; then nothing of the batch is stored, and an alarm is.
    """
    try:
        return ingestion.store(str(worker.pk), uuid.UUID(boot), entries)
    except BatchRefused as error:
        refusal = error
    except ValueError:
        refusal = BatchRefused("malformed", 1, "the boot is no uuid")
    _alarm(worker, boot, refusal)
    raise refusal


def _alarm(worker: Worker, boot_id: str, refusal: BatchRefused) -> None:
    """Record a refused batch, once for as long as the worker keeps sending the same."""
    with transaction.atomic():
        boot = _boot_of(worker, boot_id)
        text = f"{refusal.error}: {refusal.detail}"[:500]
        if boot is not None:
            if boot.alarm == text:
                return
            boot.alarm, boot.alarmed_at = text, timezone.now()
            boot.save(update_fields=["alarm", "alarmed_at"])
        told = {"error": refusal.error, "expected": refusal.expected, "detail": refusal.detail}
        record("worker.gap", {"of_worker": str(worker.pk), "of_boot": boot_id[:64], **told})


def _boot_of(worker: Worker, boot_id: str) -> Boot | None:
    """The worker's own row for this boot, made where the very first batch is bad. Another worker's row is left alone."""
    try:
        pk = uuid.UUID(boot_id)
    except ValueError:
        return None
    Boot.objects.bulk_create([Boot(id=pk, worker=str(worker.pk))], ignore_conflicts=True)
    return Boot.objects.select_for_update().filter(pk=pk, worker=str(worker.pk)).first()


def save_report(*, actor: User, name: str, shared: bool, report: str, parameters: Mapping[str, str]) -> SavedReport:
    """Keep a report's parameters under a name of this person's, in place of what had that name."""
    with transaction.atomic():
        before = SavedReport.objects.select_for_update().filter(owner=actor, name=name).first()
        was = _said(before) if before else {}
        what = {"report": report, "parameters": dict(parameters), "shared": shared}
        saved, created = SavedReport.objects.update_or_create(owner=actor, name=name, defaults=what)
        _changed(saved, "created" if created else "changed", actor, was, _said(saved))
    return saved


def forget_report(saved: SavedReport, *, actor: User) -> None:
    with transaction.atomic():
        _changed(saved, "deleted", actor, _said(saved), {})
        saved.delete()


def _said(saved: SavedReport) -> dict[str, Any]:
    return {"report": saved.report, "parameters": saved.parameters, "shared": saved.shared}


def _changed(saved: SavedReport, action: str, actor: User, before: dict[str, Any], after: dict[str, Any]) -> None:
    what = {"model": saved._meta.label, "object": saved.name, "action": action, "actor": actor.username}
    record("admin.changed", {**what, "before": before, "after": after})


class Statements:
    """Entries of ``statement.intended``, oldest first; however many they are, a few thousand are in memory."""

    def __init__(self, found: EntryQuerySet) -> None:
        self._found = found

    def count(self) -> int:
        return self._found.count()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, self._found.order_by("time", "id").values_list("canonical", flat=True).iterator(chunk_size=2_000))


def statements(*, since: datetime | None = None, until: datetime | None = None, subject: str = "", connection: str = "") -> Statements:
    """What was recorded of agents' statements, for other apps to read."""
    found = Entry.objects.statements().between(since, until)
    wanted = {"subject": subject, "connection": connection}
    return Statements(found.filter(**{name: value for name, value in wanted.items() if value}))


def entry_numbers(places: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """The numbers by which pages name entries, by boot and number in its chain."""
    wanted = Entry.objects.filter(boot__in={boot for boot, _ in places}, seq__in={seq for _, seq in places})
    found = {(str(boot), seq): pk for boot, seq, pk in wanted.values_list("boot", "seq", "pk")}
    return {place: found[place] for place in places if place in found}


def before_in_session(session: str, moment: datetime, limit: int) -> list[dict[str, Any]]:
    """The last statements that a session asked for before ``moment``, newest first, for other apps to show: no value of any of them."""
    found = Entry.objects.statements().filter(session=session, time__lt=moment).order_by("-time", "-id")
    entries = found.values_list("time", "canonical")[:limit]
    return [{"time": time, **_of_statement(json.loads(canonical)["fields"])} for time, canonical in entries]


def _of_statement(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields.get(name, "") for name in ("statement", "normalised", "decision", "reason", "problem")}
