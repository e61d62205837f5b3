"""``manage.py approvals``."""

from __future__ import annotations

import io
import uuid

import pytest
from django.core.management import CommandError, call_command

from approvals.models import ApprovalRequest
from approvals.states import State

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command("approvals", *arguments, stdout=output)
    return output.getvalue()


def test_list(ask):
    assert run("list") == "Nothing waits for an answer.\n"
    request = ask(sql="DROP\x1b[2J\nTABLE t", masked=[], parameters=[{"n": 1, "oid": 25, "text": "a\nb"}])
    text = run("list")
    assert str(request.pk) in text
    assert "DROP⟦U+001B⟧[2J TABLE t" in text  # a statement must not send escape sequences to the terminal
    assert "$1 = a⟦U+000A⟧b" in text


@pytest.mark.parametrize(("verb", "state"), [("approve", State.APPROVED), ("reject", State.REJECTED)])
def test_answer(ask, dana, verb, state):
    request = ask()
    assert f"is {state}" in run(verb, str(request.pk), "--as", "dana", "--comment", "from the shell")
    request.refresh_from_db()
    assert (request.state, request.comment) == (state, "from the shell")
    assert run("list") == "Nothing waits for an answer.\n"
    assert str(request.pk) in run("list", "--all")


def test_the_command_line_is_no_way_around_the_rules(ask, owner):
    request = ask()
    with pytest.raises(CommandError, match="own request"):
        run("approve", str(request.pk), "--as", "olga")
    with pytest.raises(CommandError, match="no user"):
        run("approve", str(request.pk), "--as", "nobody")
    with pytest.raises(CommandError, match="no such request"):
        run("approve", str(uuid.uuid4()), "--as", "olga")
    assert ApprovalRequest.objects.get().state == State.PENDING
