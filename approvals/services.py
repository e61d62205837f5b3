"""Everything that changes an approval request: each change is one transaction with its audit entry inside.

Order of locks, everywhere: the request's row first, the ledger's chain second. What others must hear of (e-mails, the hint
to the worker) happens after commit; e-mails are rows of their own until they are sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from approvals import approvers, hints, links, payload, step_up
from approvals.models import ApprovalRequest, Delivery, Vote, Workflow
from approvals.states import State, may_become
from audit import services as audit
from controlplane.models import User, Worker

_KINDS = {state: f"approval.{state.lower()}" for state in State if state != State.PENDING}


class Refused(Exception):
    """An answer that does not count; the message says why, for the person who gave it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A request's state as workers are told it. ``comment`` is what the approver wrote, or why nobody could say yes."""

    id: str
    state: str
    comment: str = ""
    url: str = ""
    reason: str = ""


def open_request(content: Mapping[str, Any], worker: Worker) -> ApprovalRequest:
    """Open the request that a worker sent, and queue the e-mails; the same id again changes nothing.

    Where too few people could say yes it is rejected at once. Raises: payload.PayloadError.
    """
    asked = payload.read(content)
    request_id = _uuid(asked.id)
    if request_id is None or _uuid(asked.worker) != worker.pk:
        raise payload.PayloadError("the request's id is no uuid, or it names another worker than the one that signed it")
    now = timezone.now()
    with transaction.atomic():
        workflow = Workflow.objects.filter(name=asked.workflow).first()
        request, created = ApprovalRequest.objects.get_or_create(pk=request_id, defaults=_row(asked, worker, workflow, now))
        if not created:
            return _same(request, asked)
        _record("approval.requested", request, by=request.subject)
        hints.publish(request)
        _ask_around(request)
    return request


def decide(
    request: ApprovalRequest | uuid.UUID, *, actor: User, approve: bool, comment: str = "", proof: step_up.Proof | None = None
) -> ApprovalRequest:
    """Count one person's answer; the last yes that the workflow needs approves, one no rejects.

    Raises: Refused — not an approver, the requester, answered already, no longer open, or a yes without its proof (step_up.py).
    """
    now = timezone.now()
    comment = comment.replace("\0", "").strip()
    with transaction.atomic():
        locked = _locked(request.pk if isinstance(request, ApprovalRequest) else request)
        if locked is None:
            raise Refused("There is no such request.")
        problem = "This request has expired." if _expire(locked, now) else _objection(locked, actor)
        if approve and not problem:
            problem = step_up.objection(locked, actor, proof)
        if not problem:
            _vote(locked, actor, approve, comment, now, proof.by if approve and proof else "")
    if problem:
        raise Refused(problem)
    return locked


def claim(*, binding: str, subject: str, connection: str) -> Standing | None:
    """Use up an approval that was given for exactly this statement, or name the request that waits for one, or a ticket's no; else None."""
    now = timezone.now()
    with transaction.atomic():
        # EXPIRED rows need no look here: they are filtered out by time whether or not the beat has been there.
        covering = ApprovalRequest.objects.for_statement(binding=binding, subject=subject, connection=connection).filter(expires_at__gt=now)
        approved = covering.filter(state=State.APPROVED).select_for_update(of=("self",)).first()
        if approved is not None:
            _move(approved, State.CONSUMED, by=subject)
            return standing(approved)
        # Nobody waits for a ticket's answer: a no is told to whoever runs the statement again, for as long as a yes would have been good.
        refused = covering.filter(state=State.REJECTED, workflow__hold="ticket")
        found = covering.filter(state=State.PENDING).first() or refused.last()
        return standing(found) if found else None


def consume(request_id: uuid.UUID, *, binding: str) -> tuple[bool, Standing] | None:
    """Use up an approval, once. True: run the statement now. None: no such request, or it is about another statement."""
    with transaction.atomic():
        request = _locked(request_id)
        if request is None or request.binding != binding:
            return None
        _expire(request, timezone.now())
        if request.state != State.APPROVED:
            return False, standing(request)
        _move(request, State.CONSUMED, by=request.subject)
        return True, standing(request)


def cancel(request_id: uuid.UUID, *, reason: str) -> Standing | None:
    """The client no longer waits: withdraw the request, or the approval that it has not used."""
    with transaction.atomic():
        request = _locked(request_id)
        if request is None:
            return None
        if may_become(request.state, State.CANCELLED):
            _move(request, State.CANCELLED, by=request.subject, comment=reason.replace("\0", "")[:500])
        return standing(request)


def standing(request: ApprovalRequest) -> Standing:
    return Standing(
        id=str(request.pk),
        state=request.state,
        comment=request.comment,
        url=links.request_url(request.pk),
        reason="no_approver" if request.no_approver else "",
    )


def expire_due(now: datetime) -> int:
    """Expire what is over; each request in a transaction of its own, so that no two are locked at once."""
    expired = 0
    for pk in ApprovalRequest.objects.due(now).values_list("pk", flat=True)[:1000]:
        with transaction.atomic():
            request = _locked(pk)
            expired += bool(request and _expire(request, now))
    return expired


def _row(asked: payload.Payload, worker: Worker, workflow: Workflow | None, now: datetime) -> dict[str, Any]:
    """The columns of a new request. One whose workflow does not exist lives just long enough to be refused."""
    described = {name: value for name, value in msgspec.to_builtins(asked).items() if name not in ("id", "worker", "workflow", "boot")}
    return described | {
        "worker": worker.pk,
        "workflow": workflow,
        "workflow_name": asked.workflow,
        "requested_at": now,
        "expires_at": now + timedelta(seconds=workflow.expires if workflow else 60),
    }


def _same(request: ApprovalRequest, asked: payload.Payload) -> ApprovalRequest:
    if (request.binding, request.subject, request.connection) != (asked.binding, asked.subject, asked.connection):
        raise payload.PayloadError("another request has this id")
    return request


def _ask_around(request: ApprovalRequest) -> None:
    """Queue one e-mail per person who may answer, or reject at once where the quorum cannot be reached."""
    people = approvers.eligible(request)
    needed = request.workflow.quorum if request.workflow else 1
    if len(people) < needed:
        request.no_approver = True
        comment = f"The workflow {request.workflow_name} needs {needed} approver(s) other than the requester and has {len(people)}."
        _move(request, State.REJECTED, by="", comment=comment)
    elif request.workflow.notify.get("email", True):
        Delivery.objects.bulk_create(Delivery(request=request, user=user) for user in people)
        hints.deliver(request)


def _objection(request: ApprovalRequest, actor: User) -> str:
    if request.state != State.PENDING:
        return f"This request is already {State(request.state).label}."
    if request.votes.filter(user=actor).exists():
        return "You have answered this request already."
    return approvers.objection(request, actor)


def _vote(request: ApprovalRequest, actor: User, approve: bool, comment: str, now: datetime, proof: str) -> None:
    Vote.objects.create(request=request, user=actor, approve=approve, comment=comment, at=now)
    if not approve:
        _move(request, State.REJECTED, by=actor.username, comment=comment)
        return
    # Only people who may still answer count: whoever lost the role between their yes and the last one does not.
    counted = request.votes.filter(approve=True, user__in=approvers.eligible(request)).count()
    if counted >= request.workflow.quorum:
        _move(request, State.APPROVED, by=actor.username, comment=comment, proof=proof)
    else:
        _record("approval.voted", request, by=actor.username, comment=comment, proof=proof)


def _expire(request: ApprovalRequest, now: datetime) -> bool:
    if request.expires_at > now or not may_become(request.state, State.EXPIRED):
        return False
    _move(request, State.EXPIRED, by="")
    return True


def _move(request: ApprovalRequest, state: State, *, by: str, comment: str = "", proof: str = "") -> None:
    """Change the state of a locked request; ``by`` is empty where time or configuration did it."""
    if not may_become(request.state, state):
        raise AssertionError(f"{request.state} cannot become {state}")
    request.state = state
    request.comment = comment or request.comment
    request.decided_at = request.decided_at or timezone.now()
    request.save(update_fields=["state", "comment", "decided_at", "no_approver"])
    _record(_KINDS[state], request, by=by, comment=comment, proof=proof)
    hints.publish(request)


def _record(kind: str, request: ApprovalRequest, *, by: str, comment: str = "", proof: str = "") -> None:
    audit.record(kind, {
        "request": str(request.pk), "by": by, "subject": request.subject, "connection": request.connection,
        "binding": request.binding, "comment": comment, **({"proof": proof} if proof else {}),
    })  # fmt: skip


def _locked(request_id: uuid.UUID) -> ApprovalRequest | None:
    return ApprovalRequest.objects.select_for_update(of=("self",)).filter(pk=request_id).first()


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
