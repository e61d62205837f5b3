"""What is too long for a page."""

from __future__ import annotations

import uuid

from celery import shared_task

from policies.what_if import run


@shared_task(name="policies.what_if")
def what_if(pk: str) -> None:
    """Compare a draft that somebody asked about on the web."""
    run(uuid.UUID(pk))
