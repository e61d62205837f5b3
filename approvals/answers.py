"""Whether an answer counts. Every yes passes :func:`objection`, whoever or whatever gives it: votes, broken glass, the policy itself."""

from __future__ import annotations

from dataclasses import dataclass

from approvals import approvers, shapes, step_up
from approvals.models import ApprovalRequest
from approvals.states import State
from controlplane.models import User


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one request. ``actor`` None: the workflow's own ``auto_approve``.

    ``break_glass``: an emergency, in which this one yes is enough. ``shape``: with the yes, what else may run.
    ``proof``: that it is really them.
    """

    actor: User | None
    approve: bool
    comment: str = ""
    break_glass: bool = False
    shape: shapes.Terms | None = None
    proof: step_up.Proof | None = None

    @property
    def proved(self) -> str:
        """What the ledger keeps of the proof."""
        return self.proof.by if self.proof else ""


def objection(request: ApprovalRequest, answer: Answer) -> str:
    """Why this answer does not count, for the person who gave it; empty where it does."""
    if request.state != State.PENDING:
        return f"This request is already {State(request.state).label}."
    return _of_whom(request, answer) or (_of_what(request, answer) if answer.approve else "")


def _of_whom(request: ApprovalRequest, answer: Answer) -> str:
    if answer.actor is None:
        return "" if within_policy(request) else "The workflow leaves this to people."
    if answer.break_glass:
        return approvers.break_glass_objection(request, answer.actor)
    if request.votes.filter(user=answer.actor).exists():
        return "You have answered this request already."
    return approvers.objection(request, answer.actor)


def _of_what(request: ApprovalRequest, answer: Answer) -> str:
    if answer.break_glass and not answer.comment:
        return "Say why this cannot wait."
    if answer.break_glass and answer.shape:
        return "An emergency covers one statement."
    if answer.shape and (problem := shapes.objection(request, answer.shape)):
        return problem
    # What the workflow approves by itself is nobody's yes, so nobody proves it.
    return step_up.objection(request, answer.actor, answer.proof) if answer.actor else ""


def within_policy(request: ApprovalRequest) -> str:
    """Why the workflow approves this without a person, in words; empty where a person decides.

    What counts is what was counted and what will be enforced. Rows that change elsewhere by foreign keys are not in it.
    """
    workflow, preview = request.workflow, request.preview or {}
    counted, bound = preview.get("affected_rows"), request.bound
    if workflow is None or workflow.auto_approve_rows is None or counted is None or bound is None or preview.get("cascades"):
        return ""
    if not request.actions or not set(request.actions) <= set(workflow.auto_approve_actions):
        return ""
    if max(counted, bound) > workflow.auto_approve_rows:
        return ""
    return f"Approved by the policy: {', '.join(request.actions)} of at most {workflow.auto_approve_rows} rows; {counted} were counted."
