"""Files asked for on a page or through REST: made by the queue, kept in the database for a week, served from there."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import IO, Any

from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audit import exporting, report_files, services
from audit.models import Export, ExportPart
from audit.reports import REPORTS
from controlplane.models import User

KEPT = timedelta(days=7)
PART = 1024 * 1024  # bytes
TOLD = 1.0  # seconds between two words of progress

log = logging.getLogger(__name__)


class Withdrawn(Exception):
    """Who asked for it may not read it any more; the message says so."""


def ask(*, actor: User, selection: Mapping[str, Any]) -> Export:
    """Queue an export of entries with proofs; the caller has checked that ``actor`` may read the ledger."""
    return _ask(created_by=actor, filters=exporting.described(selection))


def ask_report(*, actor: User, kind: str, form: str, parameters: Mapping[str, Any]) -> Export:
    """Queue a report's file (``csv``, ``parquet``, ``pdf``); the caller has checked that ``actor`` may read the ledger."""
    return _ask(created_by=actor, report=kind, format=form, filters=parameters_of(parameters))


def parameters_of(cleaned: Mapping[str, Any]) -> dict[str, str]:
    """What was chosen, as it is kept: text only, times with their zone."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value) for name, value in cleaned.items() if value not in (None, "")
    }


def drop_old() -> int:
    """Delete the files whose time is over; returns how many. What was made stays in the list, and in the ledger."""
    with transaction.atomic():
        old = Export.objects.filter(created__lt=timezone.now() - KEPT)
        ExportPart.objects.filter(export__in=old).delete()
        return old.filter(state=Export.State.READY).update(state=Export.State.EXPIRED)


def make(export_id: uuid.UUID) -> None:
    """Make a file that waits and keep it. A failure is written where the person who asked will look."""
    # RUNNING too: the process that made it may have died, and the queue has delivered the message again.
    export = Export.objects.filter(pk=export_id, state__in=_WAITING).select_related("created_by").first()
    if export is None:
        return
    with tempfile.TemporaryFile() as file:
        try:
            # Outside a transaction: sealing must not wait for a large export, and progress must be seen.
            made = (_report if export.report else _evidence)(export, file)
        except Exception as error:
            log.exception("audit.export_failed", extra={"export": str(export_id)})
            told = isinstance(error, exporting.LedgerDamaged | report_files.TooLong | Withdrawn)
            _fail(export_id, str(error) if told else type(error).__name__)
            return
        with transaction.atomic():
            # A message that the queue delivers twice makes the file twice; the first to arrive here is kept.
            export = Export.objects.select_for_update(of=("self",)).filter(pk=export_id, state__in=_WAITING).first()
            if export is not None:
                _keep(export, file, made)


def content(export: Export) -> Iterator[bytes]:
    """The file, piece by piece."""
    for number in export.parts.values_list("number", flat=True):
        yield bytes(export.parts.get(number=number).content)


_WAITING = (Export.State.QUEUED, Export.State.RUNNING)


def _ask(**what: Any) -> Export:
    with transaction.atomic():
        export = Export.objects.create(**what)
        transaction.on_commit(partial(_order, str(export.pk)))
    return export


def _order(export_id: str) -> None:
    from audit.tasks import export  # the tasks call this module

    try:
        export.apply_async((export_id,), retry=False)
    except Exception as error:  # kombu wraps broker errors in several classes
        log.warning("audit.export_not_ordered", extra={"export": export_id, "error": type(error).__name__})
        _fail(uuid.UUID(export_id), "The queue cannot be reached. Try again later.")


def _evidence(export: Export, file: IO[bytes]) -> exporting.Made:
    times = {name: parse_datetime(export.filters[name]) for name in ("since", "until") if name in export.filters}
    selection = {**export.filters, **times}
    return exporting.export(file, selection=selection, actor=export.created_by.username, progress=_teller(export))


def _report(export: Export, file: IO[bytes]) -> exporting.Made:
    """Make a report's file from what the person who asked may see, and record that it was made."""
    report, user = REPORTS[export.report], export.created_by
    chosen = report.chosen(export.filters, user)
    if not chosen.is_valid():
        raise Withdrawn("; ".join(message for messages in chosen.errors.values() for message in messages))
    told = ", ".join(f"{name}: {value}" for name, value in export.filters.items()) or "everything"
    told = f"{told}. Made for {user.username} at {timezone.now():%Y-%m-%d %H:%M:%S} UTC; times are in UTC."
    count = report_files.write(file, export.format, report, report.whole(chosen.qs), told=told, progress=_teller(export))
    size = file.seek(0, 2)
    file.seek(0)
    made = exporting.Made(str(uuid.uuid4()), count, size, hashlib.file_digest(file, "sha256").hexdigest())
    filters = {**export.filters, "report": export.report, "format": export.format}
    fields = {"export": made.id, "by": user.username, "filters": filters, "entries": count, "size": size, "sha256": made.sha256}
    services.record("export.made", fields)
    return made


def _teller(export: Export) -> Callable[[str], None]:
    """Writes progress where the page reads it, once in a while."""
    last = -TOLD

    def tell(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= TOLD:
            last = time.monotonic()
            Export.objects.filter(pk=export.pk, state__in=_WAITING).update(state=Export.State.RUNNING, progress=line[:200])

    tell("begun")
    return tell


def _fail(export_id: uuid.UUID, error: str) -> None:
    Export.objects.filter(pk=export_id, state__in=_WAITING).update(state=Export.State.FAILED, error=error[:500])


def _keep(export: Export, file: IO[bytes], made: exporting.Made) -> None:
    file.seek(0)
    for number, piece in enumerate(iter(partial(file.read, PART), b"")):
        ExportPart.objects.create(export=export, number=number, content=piece)
    export.state, export.entries, export.sha256, export.bytes, export.progress = (
        Export.State.READY,
        made.entries,
        made.sha256,
        made.size,
        "",
    )
    export.save()
