"""Approving a statement's shape: the same statement again, for one subject, for a time and a number of runs.

What may differ are the values in the places that the approvers named, nothing else: the shape covers subject, connection, database,
search path, masks, the statement with its constants replaced, and what its names mean; every other value is the one that they saw.
Each run is bound to the rows that were counted for that statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from approvals import approvers, places
from approvals.models import ApprovalRequest, ShapeApproval, Vote
from approvals.places import Place
from controlplane.models import User

LONGEST = 24 * 3600  # seconds
MOST = 1000  # runs
_WRITES = frozenset({"insert", "update", "delete", "merge"})


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long, for how many runs, and in which places of the statement with any value."""

    seconds: int
    runs: int
    free: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Run:
    """A statement that is about to be asked for, as its worker describes it."""

    shape: str
    sql: str
    normalised: str
    parameters: Mapping[int, str | None]


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
    problem = possible(request)
    if not problem and not terms.free <= {place.n for place in places_of(request)}:
        problem = "The statement has no such value."
    return problem


def places_of(request: ApprovalRequest) -> tuple[Place, ...]:
    return msgspec.convert(request.places, tuple[Place, ...])


def revoke_objection(approval: ShapeApproval, user: User) -> str:
    """Why this person may not end it; empty where they may: admins, and who could have approved it. Ending never needs more."""
    if user.has_role("admin") or approvers.members(approval.workflow, escalated=True).filter(pk=user.pk).exists():
        return ""
    return "You are not an approver of this workflow."


def columns(terms: Terms) -> dict[str, Any]:
    """As a vote keeps them."""
    return {"shape_seconds": terms.seconds, "shape_runs": terms.runs, "shape_free": sorted(terms.free)}


def grant(request: ApprovalRequest, votes: Sequence[Vote], now: datetime) -> ShapeApproval | None:
    """What everybody whose yes counted agreed to: the least of it; nothing where one of them approved the one statement only."""
    if any(vote.shape_seconds is None for vote in votes):
        return None
    return ShapeApproval.objects.create(
        request=request,
        shape=request.shape,
        subject=request.subject,
        connection=request.connection,
        workflow=request.workflow,
        free=sorted(set.intersection(*(set(vote.shape_free) for vote in votes))),
        bound=request.bound,
        granted_by=", ".join(vote.user.username for vote in votes)[:500],
        granted_at=now,
        expires_at=now + timedelta(seconds=min(vote.shape_seconds for vote in votes)),
        limit=min(vote.shape_runs for vote in votes),
    )


def covering(run: Run, *, subject: str, connection: str, workflow: str, now: datetime) -> ShapeApproval | None:
    """The approval, locked, that lets this run through; the one that ends first, where there are several."""
    in_force = ShapeApproval.objects.in_force(now)
    found = in_force.filter(shape=run.shape, subject=subject, connection=connection, workflow__name=workflow)
    candidates = list(found.select_related("request").order_by("expires_at", "id")) if run.shape else []
    asked = places.of(run.sql, run.normalised, run.parameters) if candidates else None
    for approval in candidates:
        others = places.differ(places_of(approval.request), asked) if asked is not None else None
        if others is None or not others <= set(approval.free) or not _still_agreed(approval):
            continue
        # Only what fits is locked; what was used up or revoked meanwhile is in force no longer.
        locked = in_force.filter(pk=approval.pk).select_for_update(of=("self",)).select_related("request").first()
        if locked is not None:
            return locked
    return None


def _still_agreed(approval: ShapeApproval) -> bool:
    """Whether enough of those who agreed may still say yes: an approval given for hours does not outlive who gave it."""
    agreed = [vote for vote in approvers.counted(approval.request) if vote.shape_seconds is not None]
    return approval.workflow is not None and len(agreed) >= approval.workflow.quorum
