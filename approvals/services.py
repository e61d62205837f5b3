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

from approvals import answers, approvers, hints, links, notices, payload, places, shapes, step_up, withheld
from approvals.answers import Answer
from approvals.models import ApprovalRequest, BreakGlass, Delivery, ShapeApproval, Vote, Way, Workflow
from approvals.states import State, may_become
from audit import services as audit
from controlplane.models import User, Worker

POLICY = "auto"  # who approved, where a workflow's auto_approve did
_KINDS = {state: f"approval.{state.lower()}" for state in State if state != State.PENDING}


class Refused(Exception):
    """An answer that does not count; the message says why, for the person who gave it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A request's state as workers are told it. ``comment`` is what the approver wrote, or why nobody could say yes.

    ``bound``: rows that the statement may change at most; None where there is no such bound.
    """

    id: str
    state: str
    comment: str = ""
    url: str = ""
    reason: str = ""
    bound: int | None = None


def open_request(content: Mapping[str, Any], worker: Worker) -> ApprovalRequest:
    """Open the request that a worker sent, and queue the e-mails; the same id again changes nothing.

    Where too few people could say yes it is rejected at once, where the workflow says so it is approved at once.
    Raises: payload.PayloadError.
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
        if _answer(request, Answer(None, approve=True, comment=answers.within_policy(request)), now):
            _ask_around(request, now)
    return request


def decide(
    request: ApprovalRequest | uuid.UUID,
    *,
    actor: User,
    approve: bool,
    comment: str = "",
    proof: step_up.Proof | None = None,
    break_glass: bool = False,
    shape: shapes.Terms | None = None,
) -> ApprovalRequest:
    """Count one person's answer; the last yes that the workflow needs approves, one no rejects.

    ``proof``: what the workflow wants with a yes (step_up.py). ``break_glass``: an emergency, in which this one yes is enough;
    ``comment`` says why. ``shape``: with the yes, let the statement run again for a time. Raises: Refused — not an approver, the
    requester, answered already, no longer open, a yes without its proof, or more than the workflow allows.
    """
    now = timezone.now()
    said = comment.replace("\0", "").strip()
    answer = Answer(actor, True, said, break_glass, shape, proof) if approve else Answer(actor, False, said)
    with transaction.atomic():
        locked = _locked(request.pk if isinstance(request, ApprovalRequest) else request)
        if locked is None:
            raise Refused("There is no such request.")
        problem = "This request has expired." if _expire(locked, now) else _answer(locked, answer, now)
    if problem:
        raise Refused(problem)  # outside: that it expired stands
    return locked


def review(broken: BreakGlass, *, actor: User, comment: str) -> BreakGlass:
    """Somebody else has looked at an approval that one person gave alone. Raises: Refused."""
    comment = comment.replace("\0", "").strip()
    with transaction.atomic():
        locked = BreakGlass.objects.select_for_update(of=("self",)).select_related("request").get(pk=broken.pk)
        problem = "This was reviewed already." if locked.reviewed_at else approvers.review_objection(locked.request, actor)
        if problem or not comment:
            raise Refused(problem or "Say what you found.")
        locked.reviewed_by, locked.reviewed_at, locked.review = actor, timezone.now(), comment
        locked.save(update_fields=["reviewed_by", "reviewed_at", "review"])
        _record("approval.reviewed", locked.request, by=actor.username, comment=comment)
    return locked


def revoke_shape(approval: ShapeApproval, *, actor: User) -> ShapeApproval:
    """End an approval of a shape; a second time changes nothing. Raises: Refused."""
    with transaction.atomic():
        locked = ShapeApproval.objects.select_for_update(of=("self",)).select_related("request").get(pk=approval.pk)
        problem = shapes.revoke_objection(locked, actor)
        if problem:
            raise Refused(problem)
        if locked.revoked_at is None:
            locked.revoked_at, locked.revoked_by = timezone.now(), actor.username
            locked.save(update_fields=["revoked_at", "revoked_by"])
            _record("approval.shape_revoked", locked.request, by=actor.username, of=locked)
    return locked


def claim(*, binding: str, subject: str, connection: str, workflow: str, run: shapes.Run | None = None) -> Standing | None:
    """Use up an approval that covers this statement, or name the request that waits for one, or a ticket's no; else None.

    Only what the workflow that is asked now has said counts. ``run``: the statement itself, where one of its shape might do.
    """
    now = timezone.now()
    whose = {"subject": subject, "connection": connection, "workflow": workflow}
    with transaction.atomic():
        # EXPIRED rows need no look here: they are filtered out by time whether or not the beat has been there.
        covering = ApprovalRequest.objects.for_statement(binding=binding, **whose).filter(expires_at__gt=now)
        approved = covering.filter(state=State.APPROVED).select_for_update(of=("self",)).first()
        if approved is not None:
            _move(approved, State.CONSUMED, by=subject)
            return standing(approved)
        shape = shapes.covering(run, now=now, **whose) if run else None
        if shape is not None:
            return _use(shape, binding)
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
        bound=request.bound,
    )


def expire_due(now: datetime) -> int:
    """Expire what is over; each request in a transaction of its own, so that no two are locked at once."""
    expired = 0
    for pk in ApprovalRequest.objects.due(now).values_list("pk", flat=True)[:1000]:
        with transaction.atomic():
            request = _locked(pk)
            expired += bool(request and _expire(request, now))
    return expired


def escalate_due(now: datetime) -> int:
    """Ask more people about what has waited for long enough; each request in a transaction of its own."""
    escalated = 0
    for pk in ApprovalRequest.objects.to_escalate(now).values_list("pk", flat=True)[:1000]:
        with transaction.atomic():
            request = _locked(pk)
            if request and request.state == State.PENDING and request.expires_at > now and request.escalated_at is None:
                _escalate(request, now)
                escalated += 1
    return escalated


def _row(asked: payload.Payload, worker: Worker, workflow: Workflow | None, now: datetime) -> dict[str, Any]:
    """The columns of a new request. One whose workflow does not exist lives just long enough to be refused."""
    described = {name: value for name, value in msgspec.to_builtins(asked).items() if name not in ("id", "worker", "workflow", "boot")}
    found = places.of(asked.sql, asked.normalised, {item.n: item.text for item in asked.parameters}) if asked.shape else None
    return described | withheld.without_secrets(asked) | {
        "shape": asked.shape if found is not None else "",
        "places": msgspec.to_builtins(found or ()),
        "worker": worker.pk,
        "workflow": workflow,
        "workflow_name": asked.workflow,
        "requested_at": now,
        "expires_at": now + timedelta(seconds=workflow.expires if workflow else 60),
    }  # fmt: skip


def _same(request: ApprovalRequest, asked: payload.Payload) -> ApprovalRequest:
    if (request.binding, request.subject, request.connection) != (asked.binding, asked.subject, asked.connection):
        raise payload.PayloadError("another request has this id")
    return request


def _ask_around(request: ApprovalRequest, now: datetime) -> None:
    """Tell the people who may answer; those who would be asked later too where it takes them; reject where even they are too few."""
    people = approvers.eligible(request)
    needed = request.workflow.quorum if request.workflow else 1
    if len(people) >= needed:
        notices.queue(request, Delivery.Kind.ASKED, people)
    elif len(everybody := approvers.eligible(request, escalated=True)) >= needed:
        _escalate(request, now)
    else:
        request.no_approver = True
        comment = f"The workflow {request.workflow_name} needs {needed} approver(s) other than the requester and has {len(everybody)}."
        _move(request, State.REJECTED, by="", comment=comment)


def _escalate(request: ApprovalRequest, now: datetime) -> None:
    asked = set(request.deliveries.values_list("user_id", flat=True))
    request.escalated_at = now
    request.save(update_fields=["escalated_at"])
    more = [user for user in approvers.eligible(request) if user.pk not in asked]
    _record("approval.escalated", request, by="", to=[user.username for user in more])
    notices.queue(request, Delivery.Kind.ESCALATED, more)


def _answer(request: ApprovalRequest, answer: Answer, now: datetime) -> str:
    """Act on an answer to a locked request, if it counts, or say why it does not. Nothing else approves anything."""
    problem = answers.objection(request, answer)
    if problem:
        return problem
    if answer.actor is None:
        _move(request, State.APPROVED, by=POLICY, comment=answer.comment, way=Way.POLICY)
    elif answer.break_glass:
        BreakGlass.objects.create(request=request, user=answer.actor, reason=answer.comment, at=now)
        _move(request, State.APPROVED, by=answer.actor.username, comment=answer.comment, way=Way.BREAK_GLASS, proof=answer.proved)
        notices.queue(request, Delivery.Kind.ALARM, approvers.alarmed(request))
    else:
        _vote(request, answer, answer.actor, now)
    return ""


def _vote(request: ApprovalRequest, answer: Answer, actor: User, now: datetime) -> None:
    terms = shapes.columns(answer.shape) if answer.shape else {}
    Vote.objects.create(request=request, user=actor, approve=answer.approve, comment=answer.comment, at=now, **terms)
    if not answer.approve:
        _move(request, State.REJECTED, by=actor.username, comment=answer.comment)
        return
    counted = approvers.counted(request)
    if len(counted) < request.workflow.quorum:
        _record("approval.voted", request, by=actor.username, comment=answer.comment, proof=answer.proved)
        return
    _move(request, State.APPROVED, by=actor.username, comment=answer.comment, proof=answer.proved)
    granted = shapes.grant(request, counted, now)
    if granted is not None:
        _record("approval.shape_approved", request, by=granted.granted_by, of=granted)


def _use(approval: ShapeApproval, binding: str) -> Standing:
    """Count one run of a statement whose shape was approved. It has the approval's id, since its own request was never made."""
    approval.uses += 1
    approval.save(update_fields=["uses"])
    _record("approval.consumed", approval.request, by=approval.subject, binding=binding, way=Way.SHAPE.value, shape=str(approval.pk))
    said = f"run {approval.uses} of {approval.limit} of an approved shape"
    return Standing(str(approval.pk), State.CONSUMED.value, said, links.request_url(approval.request_id), bound=approval.bound)


def _expire(request: ApprovalRequest, now: datetime) -> bool:
    if request.expires_at > now or not may_become(request.state, State.EXPIRED):
        return False
    _move(request, State.EXPIRED, by="")
    return True


def _move(request: ApprovalRequest, state: State, *, by: str, comment: str = "", way: str = "", proof: str = "") -> None:
    """Change the state of a locked request; ``by`` is empty where time or configuration did it."""
    if not may_become(request.state, state):
        raise AssertionError(f"{request.state} cannot become {state}")
    request.state = state
    request.comment = comment or request.comment
    request.way = way or request.way
    request.decided_at = request.decided_at or timezone.now()
    request.save(update_fields=["state", "comment", "way", "decided_at", "no_approver"])
    _record(_KINDS[state], request, by=by, comment=comment, way=str(way), proof=proof)
    hints.publish(request)


def _record(
    kind: str, request: ApprovalRequest, *, by: str, comment: str = "", of: ShapeApproval | None = None, **more: str | list[str]
) -> None:
    terms = {} if of is None else {
        "shape": str(of.pk), "runs": of.limit, "until": int(of.expires_at.timestamp()), "bound": of.bound, "free": list(of.free),
    }  # fmt: skip
    audit.record(kind, {
        "request": str(request.pk), "by": by, "subject": request.subject, "connection": request.connection,
        "binding": request.binding, "comment": comment, **terms, **{name: value for name, value in more.items() if value != ""},
    })  # fmt: skip


def _locked(request_id: uuid.UUID) -> ApprovalRequest | None:
    return ApprovalRequest.objects.select_for_update(of=("self",)).filter(pk=request_id).first()


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
