"""The e-mail to one approver: who, where, the exact statement, why it is held, until when, and that person's own link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from approvals import approvers, links, presentation
from approvals.models import ApprovalRequest, Delivery
from approvals.states import State
from audit.visible import one_line

ATTEMPTS = 8  # 10 s, 20 s, 40 s … apart, so the last is some twenty minutes after the first


def send_due(now: datetime, request_id: str | None = None) -> int:
    """Send the e-mails that are due (of one request), each in a transaction of its own; returns how many went out."""
    due = Delivery.objects.filter(state=Delivery.State.QUEUED, next_attempt_at__lte=now)
    if request_id is not None:
        due = due.filter(request_id=request_id)
    return sum(send(pk) for pk in due.order_by("next_attempt_at").values_list("pk", flat=True)[:200])


def send(delivery_id: int) -> bool:
    """Send one e-mail, or note why it failed and when to try again. Whoever else is at it is left alone."""
    with transaction.atomic():
        queued = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.QUEUED)
        delivery = queued.select_for_update(skip_locked=True, of=("self",)).first()
        if delivery is None:
            return False
        if delivery.request.state != State.PENDING or approvers.objection(delivery.request, delivery.user):
            delivery.state = Delivery.State.DROPPED
        else:
            _attempt(delivery)
        delivery.save()
        return delivery.state == Delivery.State.SENT


def _attempt(delivery: Delivery) -> None:
    delivery.attempts += 1
    try:
        if not delivery.user.email:
            raise ValueError("this person has no e-mail address")
        message_to(delivery).send()
    except Exception as error:  # whatever the mail server or its library did, the row must say so and be tried again
        delivery.error = f"{type(error).__name__}: {one_line(str(error), 400)}"
        delivery.next_attempt_at = timezone.now() + timedelta(seconds=5 * 2**delivery.attempts)
        if delivery.attempts >= ATTEMPTS:
            delivery.state = Delivery.State.FAILED
    else:
        delivery.state, delivery.sent_at, delivery.error = Delivery.State.SENT, timezone.now(), ""


def message_to(delivery: Delivery) -> EmailMultiAlternatives:
    """The e-mail as text and HTML. The statement cannot imitate the e-mail around it: each of its lines is marked."""
    request = delivery.request
    shown = presentation.of(request) | {
        "person": delivery.user.get_full_name() or delivery.user.username,
        "url": links.approver_url(request.pk, delivery.user_id, int(request.expires_at.timestamp())),
        "expires": f"{request.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
    }
    message = EmailMultiAlternatives(
        subject=one_line(_subject(request), 150),
        body=render_to_string("approvals/email.txt", shown),
        to=[delivery.user.email],
        headers={"Auto-Submitted": "auto-generated", "X-Tidegate-Request": str(request.pk)},
    )
    message.attach_alternative(render_to_string("approvals/email.html", shown), "text/html")
    return message


def _subject(request: ApprovalRequest) -> str:
    return f"Approval needed: {request.subject} wants to {', '.join(request.actions) or 'run a statement'} on {request.connection}"
