"""What is said after commit: a hint to the workers over Redis, and the order to send e-mails.

Neither is relied upon: workers ask again every few seconds, and unsent e-mails are rows that the beat finds.
"""

from __future__ import annotations

import json
import logging
from functools import partial

import redis
from django.conf import settings
from django.db import transaction

from approvals.models import ApprovalRequest

CHANNEL = "tidegate:approvals"
PATIENCE = 2.0  # seconds for the broker, so that a dead one does not hold up a page

log = logging.getLogger(__name__)


def publish(request: ApprovalRequest) -> None:
    """After commit: tell the workers that this request's state has changed."""
    transaction.on_commit(partial(_publish, str(request.pk), str(request.state)), robust=True)


def deliver(request: ApprovalRequest) -> None:
    """After commit: have this request's e-mails sent."""
    transaction.on_commit(partial(_deliver, str(request.pk)), robust=True)


def _publish(request_id: str, state: str) -> None:
    message = json.dumps({"id": request_id, "state": state, "boot": ""})
    try:
        with redis.Redis.from_url(settings.TIDEGATE_BROKER_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as client:
            client.publish(CHANNEL, message)
    except redis.RedisError as error:
        log.warning("approvals.hint_lost", extra={"approval": request_id, "error": type(error).__name__})


def _deliver(request_id: str) -> None:
    from approvals.tasks import notify  # the tasks call the services, which call this

    notify.apply_async((request_id,), retry=False)
