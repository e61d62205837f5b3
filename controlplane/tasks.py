"""What the control plane does by itself, now and then."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command

from controlplane import idempotency


@shared_task(name="controlplane.forget")
def forget() -> None:
    """Sessions that are over, and answers that are no longer given again."""
    call_command("clearsessions")
    idempotency.forget_old()
