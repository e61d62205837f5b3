"""Approving a statement's shape: the same statement with any values, for one subject, for a time and a number of runs.

What may differ are the statement's constants and parameters, nothing else: the shape covers subject, connection, database, the
statement with its constants replaced, what its names mean, and the masks in force. Each run is bound to the rows that were counted
for the statement that the approvers saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from approvals import approvers
from approvals.models import ApprovalRequest, ShapeApproval, Vote
from controlplane.models import User

LONGEST = 24 * 3600  # seconds
MOST = 1000  # runs
_WRITES = frozenset({"insert", "update", "delete", "merge"})


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long, and for how many runs."""

    seconds: int
    runs: int


def possible(request: ApprovalRequest) -> str:
    """Why the shape of this statement cannot be approved; empty where it can."""
    if request.workflow is None or not request.workflow.shapes:
        return "This workflow does not approve shapes of statements."
    if not request.shape:
        return "In this statement values decide what it does, so that other values would make another statement."
    if request.bound is None and _WRITES & set(request.actions):
        return "The rows that it changes could not be counted, so a run with other values would have no bound."
    return ""


def objection(request: ApprovalRequest, terms: Terms) -> str:
    """Why these terms cannot be agreed to; empty where they can."""
    if not (1 <= terms.seconds <= LONGEST and 1 <= terms.runs <= MOST):
        return f"A shape is approved for {LONGEST // 3600} hours and {MOST} runs at most."
    return possible(request)


def revoke_objection(approval: ShapeApproval, user: User) -> str:
    """Why this person may not end it; empty where they may: admins, and who could have approved it. Ending never needs more."""
    if user.has_role("admin") or approvers.members(approval.workflow, escalated=True).filter(pk=user.pk).exists():
        return ""
    return "You are not an approver of this workflow."


def grant(request: ApprovalRequest, votes: Sequence[Vote], now: datetime) -> ShapeApproval | None:
    """What everybody whose yes counted agreed to: the least of it; nothing where one of them approved the one statement only."""
    if any(vote.shape_seconds is None or vote.shape_runs is None for vote in votes):
        return None
    return ShapeApproval.objects.create(
        request=request,
        shape=request.shape,
        subject=request.subject,
        connection=request.connection,
        workflow=request.workflow,
        bound=request.bound,
        granted_by=", ".join(vote.user.username for vote in votes)[:500],
        granted_at=now,
        expires_at=now + timedelta(seconds=min(vote.shape_seconds for vote in votes)),
        limit=min(vote.shape_runs for vote in votes),
    )


def covering(*, shape: str, subject: str, connection: str, now: datetime) -> ShapeApproval | None:
    """The approval, locked, that lets one more run through; the one that ends first, where there are several."""
    if not shape:
        return None
    found = ShapeApproval.objects.in_force(now).filter(shape=shape, subject=subject, connection=connection)
    return found.select_for_update(of=("self",)).select_related("request").order_by("expires_at", "id").first()
