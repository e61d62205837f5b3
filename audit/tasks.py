"""What beat drives, and exports that are made for the web pages."""

from __future__ import annotations

import uuid

from celery import shared_task

from audit import sealing, web_exports


@shared_task(name="audit.seal")
def seal() -> None:
    """Every few seconds: entries become leaves of the tree, under a new checkpoint."""
    sealing.seal()


@shared_task(name="audit.export")
def export(export_id: str) -> None:
    """Make an export that somebody asked for on the web."""
    web_exports.make(uuid.UUID(export_id))


@shared_task(name="audit.drop_old_files")
def drop_old_files() -> None:
    """Every hour: files that were kept long enough go."""
    web_exports.drop_old()
