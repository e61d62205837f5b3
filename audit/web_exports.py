"""Exports asked for on a page or through REST: made by the queue, kept in the database for a week, served from there."""

from __future__ import annotations

import logging
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import IO, Any

from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audit import exporting
from audit.models import Export, ExportPart
from controlplane.models import User

KEPT = timedelta(days=7)
PART = 1024 * 1024  # bytes

log = logging.getLogger(__name__)


def ask(*, actor: User, selection: Mapping[str, Any]) -> Export:
    """Queue an export; the caller has checked that ``actor`` may read the ledger. Files of old exports are dropped."""
    with transaction.atomic():
        ExportPart.objects.filter(export__created__lt=timezone.now() - KEPT).delete()
        export = Export.objects.create(created_by=actor, filters=exporting.described(selection))
        transaction.on_commit(partial(_order, str(export.pk)))
    return export


def make(export_id: uuid.UUID) -> None:
    """Make a queued export and keep its file. A failure is written where the person who asked will look."""
    export = Export.objects.filter(pk=export_id, state=Export.State.QUEUED).first()
    if export is None:
        return
    with tempfile.TemporaryFile() as file:
        try:
            # Outside a transaction: sealing must not wait for a large export.
            made = exporting.export(file, selection=_selection(export), actor=export.created_by.username)
        except Exception as error:
            log.exception("audit.export_failed", extra={"export": str(export_id)})
            _fail(export_id, str(error) if isinstance(error, exporting.LedgerDamaged) else type(error).__name__)
            return
        with transaction.atomic():
            # A message that the queue delivers twice makes the file twice; the first to arrive here is kept.
            export = Export.objects.select_for_update(of=("self",)).filter(pk=export_id, state=Export.State.QUEUED).first()
            if export is not None:
                _keep(export, file, made)


def content(export: Export) -> Iterator[bytes]:
    """The file, piece by piece."""
    for number in export.parts.values_list("number", flat=True):
        yield bytes(export.parts.get(number=number).content)


def _order(export_id: str) -> None:
    from audit.tasks import export  # the tasks call this module

    try:
        export.apply_async((export_id,), retry=False)
    except Exception as error:  # kombu wraps broker errors in several classes
        log.warning("audit.export_not_ordered", extra={"export": export_id, "error": type(error).__name__})
        _fail(uuid.UUID(export_id), "The queue cannot be reached. Try again later.")


def _fail(export_id: uuid.UUID, error: str) -> None:
    Export.objects.filter(pk=export_id, state=Export.State.QUEUED).update(state=Export.State.FAILED, error=error[:500])


def _selection(export: Export) -> dict[str, Any]:
    times = {name: parse_datetime(export.filters[name]) for name in ("since", "until") if name in export.filters}
    return {**export.filters, **times}


def _keep(export: Export, file: IO[bytes], made: exporting.Made) -> None:
    file.seek(0)
    for number, piece in enumerate(iter(partial(file.read, PART), b"")):
        ExportPart.objects.create(export=export, number=number, content=piece)
    export.state, export.entries, export.sha256, export.bytes = Export.State.READY, made.entries, made.sha256, made.size
    export.save()
