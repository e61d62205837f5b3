"""Whether an answer counts: by whom, of what, within which bounds."""

from __future__ import annotations

import pytest

from approvals import answers
from approvals.answers import Answer
from approvals.shapes import Terms
from approvals.states import State
from tests.approvals.conftest import PREVIEW

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("state", [state for state in State if state != State.PENDING])
def test_nothing_counts_for_what_no_longer_waits(ask, dana, state):
    request = ask()
    request.state = state
    for answer in (Answer(dana, approve=True), Answer(dana, approve=False), Answer(None, approve=True)):
        assert "already" in answers.objection(request, answer)


def test_the_policy_itself_answers_within_its_bounds_only(ask, workflow):
    request = ask(preview=PREVIEW | {"cascades": []}, bound=12)
    assert answers.objection(request, Answer(None, approve=True)) == "The workflow leaves this to people."
    workflow.auto_approve_actions, workflow.auto_approve_rows = ["delete"], 12
    request.workflow = workflow
    assert answers.objection(request, Answer(None, approve=True)) == ""
    workflow.auto_approve_rows = 11
    assert answers.objection(request, Answer(None, approve=True))


def test_an_emergency_covers_one_statement_and_has_a_reason(ask, workflow, dana):
    workflow.break_glass_users.add(dana)
    request = ask()
    assert "why" in answers.objection(request, Answer(dana, approve=True, break_glass=True))
    assert "one statement" in answers.objection(request, Answer(dana, True, "down", break_glass=True, shape=Terms(60, 1)))
    assert answers.objection(request, Answer(dana, True, "down", break_glass=True)) == ""


def test_a_no_needs_no_terms(ask, dana):
    assert answers.objection(ask(), Answer(dana, approve=False)) == ""
