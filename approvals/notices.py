"""Who is told what: an e-mail to each person, with the exact statement and that person's own link, and the workflow's webhook.

Both are rows until they are delivered, and tried again with growing pauses.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.core.mail import EmailMultiAlternatives
from django.db import connection, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from approvals import approvers, hints, links, presentation, webhooks
from approvals.models import ApprovalRequest, Delivery, Workflow
from approvals.states import State
from audit.visible import in_order, one_line
from controlplane.models import User

ATTEMPTS = 8  # 10 s, 20 s, 40 s … apart, so the last is some twenty minutes after the first
PATIENCE = 20.0  # seconds for one round: other tasks wait for this process
_WEBHOOK_LOCK = 0x74696465  # any constant, the same in every process; the second half of the key is the workflow


def queue(request: ApprovalRequest, kind: Delivery.Kind, people: Iterable[User]) -> None:
    """Tell these people, and whoever listens to the workflow's webhook; an alarm goes out by e-mail whatever the workflow says."""
    notify = request.workflow.notify if request.workflow else {}
    told = people if notify.get("email", True) or kind == Delivery.Kind.ALARM else ()
    wanted = [Delivery(request=request, user=user, kind=kind) for user in told]
    if "webhook" in notify:
        wanted.append(Delivery(request=request, kind=kind))
    Delivery.objects.bulk_create(wanted)
    if wanted:
        hints.deliver(request)


def send_due(now: datetime, request_id: str | None = None) -> int:
    """Deliver what is due (of one request), each in a transaction of its own; returns how many went out."""
    due = Delivery.objects.filter(state=Delivery.State.QUEUED, next_attempt_at__lte=now)
    if request_id is not None:
        due = due.filter(request_id=request_id)
    sent, end = 0, time.monotonic() + PATIENCE
    for pk in due.order_by("next_attempt_at").values_list("pk", flat=True)[:200]:
        if time.monotonic() < end:
            sent += send(pk)
    return sent


def send(delivery_id: int) -> bool:
    """Deliver one notice, or note why it failed and when to try again. Whoever else is at it is left alone."""
    with transaction.atomic():
        queued = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.QUEUED)
        delivery = queued.select_for_update(skip_locked=True, of=("self",)).first()
        if delivery is None or not _is_free(delivery):
            return False
        if _is_needed(delivery):
            _attempt(delivery)
        else:
            delivery.state = Delivery.State.DROPPED
        delivery.save()
        return delivery.state == Delivery.State.SENT


def try_webhook(workflow: Workflow) -> str:
    """Send a test notice now; why it did not arrive, or nothing."""
    if "webhook" not in workflow.notify:
        return "This workflow has no webhook: notify.webhook in the policy file names one."
    now = timezone.now()
    facts = (("Workflow", workflow.name), ("What this is", "a test; nothing waits for you"))
    event = webhooks.Event(
        f"test-{workflow.pk}-{int(now.timestamp())}", "approval.test", now, "Tidegate can reach you", facts, links.inbox_url(),
        {"workflow": workflow.name},
    )  # fmt: skip
    try:
        webhooks.send(workflow.notify["webhook"], event, now)
    except webhooks.NotDelivered as failure:
        return str(failure)
    return ""


def _is_free(delivery: Delivery) -> bool:
    """One process at a time talks to a workflow's webhook, so that a slow one does not keep all of them from their other tasks."""
    if delivery.user_id is not None:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_WEBHOOK_LOCK, (delivery.request.workflow_id or 0) % 2**31])
        return bool(cursor.fetchone()[0])


def _is_needed(delivery: Delivery) -> bool:
    request, user = delivery.request, delivery.user
    if user is None and "webhook" not in (request.workflow.notify if request.workflow else {}):
        return False
    if delivery.kind == Delivery.Kind.ALARM:
        return user is None or user.is_active
    return request.state == State.PENDING and (user is None or not approvers.objection(request, user))


def _attempt(delivery: Delivery) -> None:
    delivery.attempts += 1
    try:
        if delivery.user is None:
            webhooks.send(delivery.request.workflow.notify["webhook"], event_of(delivery), timezone.now())
        elif not delivery.user.email:
            raise ValueError("this person has no e-mail address")
        else:
            message_to(delivery).send()
    except Exception as error:  # whatever the other side or its library did, the row must say so and be tried again
        delivery.error = _said(delivery, error)[:500]
        delivery.next_attempt_at = timezone.now() + timedelta(seconds=5 * 2**delivery.attempts)
        if delivery.attempts >= ATTEMPTS:
            delivery.state = Delivery.State.FAILED
    else:
        delivery.state, delivery.sent_at, delivery.error = Delivery.State.SENT, timezone.now(), ""


def _said(delivery: Delivery, error: Exception) -> str:
    if isinstance(error, webhooks.NotDelivered):
        return str(error)
    # What a library says of a webhook could quote its address, which is a secret.
    return type(error).__name__ + (f": {one_line(str(error), 400)}" if delivery.user else "")


def message_to(delivery: Delivery) -> EmailMultiAlternatives:
    """The e-mail as text and HTML. The statement cannot imitate the e-mail around it: each of its lines is marked."""
    request = delivery.request
    alarm = delivery.kind == Delivery.Kind.ALARM
    shown = presentation.of(request) | {
        "person": delivery.user.get_full_name() or delivery.user.username,
        "alarm": request.break_glass if alarm else None,
        "alarm_lines": in_order(request.break_glass.reason).split("\n") if alarm else [],
        "escalated": delivery.kind == Delivery.Kind.ESCALATED,
        # What is decided already has no link that decides.
        "url": links.request_url(request.pk) if alarm else links.approver_url(request.pk, delivery.user_id, _expiry(request)),
        "expires": f"{request.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
    }
    message = EmailMultiAlternatives(
        subject=one_line(_title(delivery), 150),
        body=render_to_string("approvals/email.txt", shown),
        to=[delivery.user.email],
        headers={"Auto-Submitted": "auto-generated", "X-Tidegate-Request": str(request.pk)},
    )
    message.attach_alternative(render_to_string("approvals/email.html", shown), "text/html")
    return message


def event_of(delivery: Delivery) -> webhooks.Event:
    """What a webhook is told: who, where, how much. Values stay behind the sign-in, so the statement comes without its constants."""
    request = delivery.request
    facts = [
        ("Statement", one_line(request.normalised, 300)),
        ("Touches", one_line(", ".join(request.relations), 300)),
        ("Effect", presentation.effect(request)),
        ("Why it is held", one_line(request.reason, 300)),
        ("Workflow", request.workflow_name),
        ("Until", f"{request.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),
    ]
    plain = ("subject", "connection", "database", "actions", "relations", "normalised", "reason", "in_transaction", "bound")
    fields = {name: getattr(request, name) for name in plain}
    fields["preview"] = {name: value for name, value in (request.preview or {}).items() if name != "plan"}  # plans hold constants
    fields |= {"request": str(request.pk), "workflow": request.workflow_name, "expires_at": request.expires_at.isoformat()}
    at = request.requested_at if delivery.kind == Delivery.Kind.ASKED else request.escalated_at
    if delivery.kind == Delivery.Kind.ALARM:
        broken = request.break_glass
        at = broken.at
        facts[-1] = ("Reason given", one_line(broken.reason, 300))
        fields |= {"by": broken.user.username, "reason_given": broken.reason}
    return webhooks.Event(
        id=f"{request.pk}-{delivery.kind}",
        type={"asked": "approval.requested", "escalated": "approval.escalated", "alarm": "approval.broken_glass"}[delivery.kind],
        at=at,
        title=one_line(_title(delivery), 150),
        facts=tuple((name, value) for name, value in facts if value),
        url=links.request_url(request.pk),
        fields=fields,
    )


def _expiry(request: ApprovalRequest) -> int:
    return int(request.expires_at.timestamp())


def _title(delivery: Delivery) -> str:
    request = delivery.request
    wants = f"{request.subject} wants to {', '.join(request.actions) or 'run a statement'} on {request.connection}"
    match delivery.kind:
        case Delivery.Kind.ALARM:
            return f"Glass broken: {request.break_glass.user.username} alone approved that {wants}"
        case Delivery.Kind.ESCALATED:
            return f"Approval still needed: {wants}"
    return f"Approval needed: {wants}"
