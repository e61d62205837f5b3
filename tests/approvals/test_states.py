"""The transition table, in Python and in the database: both must refuse the same."""

from __future__ import annotations

from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction

from approvals.models import ApprovalRequest, Vote
from approvals.states import FINAL, TRANSITIONS, State, may_become

EVERY_CHANGE = [(old, new) for old, new in product(State, State) if old != new]


def run(statement: str) -> None:
    """One statement in a transaction of its own, with constraints checked at once: they must not hide what the triggers say."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {statement}")


def reach(request: ApprovalRequest, state: State) -> None:
    """Bring a pending request into ``state`` on a legal way."""
    way = {State.PENDING: [], State.CONSUMED: [State.APPROVED, State.CONSUMED]}.get(state, [state])
    for step in way:
        ApprovalRequest.objects.filter(pk=request.pk).update(state=step)


@pytest.mark.parametrize(("old", "new"), EVERY_CHANGE)
def test_the_database_allows_exactly_what_the_table_allows(ask, old, new):
    request = ask()
    reach(request, old)
    change = ApprovalRequest.objects.filter(pk=request.pk)
    if may_become(old, new):
        assert change.update(state=new) == 1
        return
    with pytest.raises(IntegrityError, match="cannot become"), transaction.atomic():
        change.update(state=new)
    assert change.get().state == old


def test_final_states_lead_nowhere():
    assert {State.REJECTED, State.EXPIRED, State.CANCELLED, State.CONSUMED} == FINAL
    assert set(TRANSITIONS) == set(State)


def test_unknown_states_lead_nowhere():
    assert not may_become("OPEN", State.APPROVED)
    assert not may_become(State.PENDING, "OPEN")


@pytest.mark.parametrize("state", [state for state in State if state != State.PENDING])
def test_a_request_cannot_be_born_approved(ask, state):
    request = ask()
    request.pk, request.state = "00000000-0000-4000-8000-000000000001", state
    with pytest.raises(IntegrityError, match="begins as PENDING"), transaction.atomic():
        request.save(force_insert=True)


@pytest.mark.parametrize("column", ["sql", "binding", "subject", "connection", "reason"])
def test_what_was_asked_never_changes(ask, column):
    request = ask()
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request.pk).update(**{column: "other"})


def test_the_time_limit_cannot_be_moved(ask):
    request = ask()
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request.pk).update(expires_at="2099-01-01T00:00:00Z")


@pytest.mark.parametrize("statement", [
    "DELETE FROM approvals_approvalrequest", "TRUNCATE approvals_approvalrequest CASCADE", "DELETE FROM approvals_vote",
    "UPDATE approvals_vote SET approve = NOT approve", "TRUNCATE approvals_vote",
])  # fmt: skip
def test_requests_and_votes_are_kept(ask, dana, statement):
    request = ask()
    Vote.objects.create(request=request, user=dana, approve=False)
    with pytest.raises(IntegrityError, match=r"kept|never changed"):
        run(statement)


def test_a_removed_workflow_leaves_its_requests(ask, workflow):
    request = ask()
    workflow.delete()
    request.refresh_from_db()
    assert (request.workflow, request.workflow_name) == (None, "owners")
