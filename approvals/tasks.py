"""What arrives through the broker, and what beat drives."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from approvals import notices, services
from approvals.envelope import EnvelopeError, open_envelope
from approvals.payload import PayloadError

log = logging.getLogger(__name__)


# While the control database is away a request waits here: the client that holds the statement waits too.
@shared_task(
    name="approvals.request", autoretry_for=(OperationalError, InterfaceError), retry_backoff=1, retry_backoff_max=30, max_retries=20
)
def request(jws: str) -> None:
    """A worker holds a statement. A message that is not an enrolled worker's, or not understood, opens nothing."""
    try:
        content, worker = open_envelope(jws)
        services.open_request(content, worker)
    except (EnvelopeError, PayloadError) as error:
        log.warning("approvals.request_refused", extra={"reason": str(error)})


@shared_task(name="approvals.notify")
def notify(request_id: str) -> None:
    """Send one request's notices."""
    notices.send_due(timezone.now(), request_id)


@shared_task(name="approvals.expire")
def expire() -> None:
    """Every few seconds: expire what is over, and ask more people about what has waited for long enough."""
    now = timezone.now()
    services.expire_due(now)
    services.escalate_due(now)


@shared_task(name="approvals.deliver")
def deliver() -> None:
    """Every few seconds: send notices that failed, or whose order got lost."""
    notices.send_due(timezone.now())
