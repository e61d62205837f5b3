"""Held statements: the e-mail, the page behind its link, the answer, and what the waiting agent gets."""

import re
from email.message import EmailMessage

import psycopg
import pytest

from deploy.demo.approver import Approver, link_in, text_of
from tests.conftest import Target
from tests.integration.harness import Agent, Running, Stack, eventually

DELETE = "DELETE FROM crm.orders WHERE id = %s"


def held(stack: Stack, agent: Agent, order: int) -> tuple[Running, EmailMessage]:
    """A DELETE of one order that waits, and the e-mail about it."""
    mailbox = stack.mailbox()
    running = agent.start(DELETE, (order,))
    return running, mailbox.next("dana@example.com", f"= {order}\n")


def still_there(target: Target, order: int) -> bool:
    return target.sql("SELECT count(*) FROM crm.orders WHERE id = %s", (order,), dbname="crm") == [(1,)]


def state_of(stack: Stack, message: EmailMessage) -> str:
    return str(stack.sql("SELECT state FROM approvals_approvalrequest WHERE id = %s", (message["X-Tidegate-Request"],))[0][0])


def test_a_delete_waits_for_the_link_and_then_returns(stack: Stack, writer: Agent, target: Target) -> None:
    running, message = held(stack, writer, 501)
    assert still_there(target, 501)
    with Approver(link_in(message)) as approver:
        page = approver.look()
        assert "DELETE FROM crm.orders WHERE id = $1" in page
        assert re.search(r"\b501\b", page), "the approver sees the parameter"
        assert writer.user in page
        approver.answer("approve", "it was a duplicate")
    assert running.result() == "DELETE 1"
    assert not still_there(target, 501)
    assert any("http" in notice for notice in running.notices), "the client is told what it waits for"


def test_following_the_link_decides_nothing(stack: Stack, writer: Agent, target: Target) -> None:
    """Mail scanners follow every link."""
    running, message = held(stack, writer, 502)
    with Approver(link_in(message)) as approver:
        for _ in range(3):
            approver.look()
        assert state_of(stack, message) == "PENDING"
        assert still_there(target, 502)
        approver.answer("reject", "not this one")
    with pytest.raises(psycopg.Error) as refused:
        running.result()
    assert refused.value.sqlstate == "TG002"
    assert "not this one" in f"{refused.value.diag.message_primary} {refused.value.diag.message_hint}"
    assert still_there(target, 502)


def test_a_ticket_is_refused_at_once_and_runs_once_after_approval(stack: Stack, writer: Agent, target: Target) -> None:
    statement, parameters = "UPDATE crm.orders SET total = %s WHERE id = %s", (1, 503)
    mailbox = stack.mailbox()
    assert writer.refusal(statement, parameters).sqlstate == "TG001"
    with Approver(link_in(mailbox.next("dana@example.com", "UPDATE crm.orders"))) as approver:
        approver.answer("approve")
    assert writer.refusal(statement, (2, 503)).sqlstate == "TG001", "other parameters were not approved"
    with writer.connect() as connection:
        assert connection.execute(statement, parameters).statusmessage == "UPDATE 1"
    assert target.sql("SELECT total FROM crm.orders WHERE id = 503", dbname="crm")[0][0] == 1
    assert writer.refusal(statement, parameters).sqlstate == "TG001", "an approval is used once"


def test_the_no_to_a_ticket_reaches_the_agent_that_asks_again(stack: Stack, writer: Agent, target: Target) -> None:
    statement, parameters = "UPDATE crm.orders SET total = %s WHERE id = %s", (3, 505)
    mailbox = stack.mailbox()
    assert writer.refusal(statement, parameters).sqlstate == "TG001"
    with Approver(link_in(mailbox.next("dana@example.com", "= 505\n"))) as approver:  # another test's last e-mail may come late
        approver.answer("reject")
    assert writer.refusal(statement, parameters).sqlstate == "TG002"


RUN_AGAIN = """
from approvals import services, shapes
from controlplane.models import User
dana = User.objects.get(username="dana")
services.decide(services.uuid.UUID("{}"), actor=dana, approve=True, shape=shapes.Terms(seconds=3600, runs=2, free=frozenset([1])))
"""


def test_a_statement_runs_again_with_other_values_where_the_approver_said(stack: Stack, writer: Agent, target: Target) -> None:
    statement = "SELECT note FROM crm.notes WHERE id = %s AND note <> 'secret';"
    mailbox = stack.mailbox()
    assert writer.refusal(statement, (1,)).sqlstate == "TG001"
    message = mailbox.next("dana@example.com", "note <> 'secret'")
    stack.manage("shell", "-c", RUN_AGAIN.format(message["X-Tidegate-Request"]))
    assert writer.refusal(statement.replace("secret", "other"), (2,)).sqlstate == "TG001", "that value was not to differ"
    assert [writer.rows(statement, (order,)) for order in (2, 3)] == [[], []]
    assert writer.refusal(statement, (4,)).sqlstate == "TG001", "both runs are used up"
    assert writer.rows(statement, (1,)) == [], "the statement itself was approved once"


def test_an_agent_that_gives_up_withdraws_its_request(stack: Stack, writer: Agent, target: Target) -> None:
    running, message = held(stack, writer, 504)
    running.connection.cancel_safe()
    with pytest.raises(psycopg.errors.QueryCanceled):
        running.result()
    eventually(lambda: state_of(stack, message) == "CANCELLED", "the request is withdrawn")
    with Approver(link_in(message)) as approver, pytest.raises(LookupError, match="nothing to answer"):
        approver.answer("approve")
    assert still_there(target, 504)


def test_an_agent_that_disconnects_withdraws_its_request(stack: Stack, writer: Agent, target: Target) -> None:
    running, message = held(stack, writer, 506)
    running.vanish()
    eventually(lambda: state_of(stack, message) == "CANCELLED", "the request is withdrawn")
    assert still_there(target, 506)


def test_the_email_shows_who_where_what_and_why(stack: Stack, writer: Agent) -> None:
    running, message = held(stack, writer, 505)
    text = text_of(message)
    for part in ("writer", writer.dbname, "DELETE FROM crm.orders WHERE id = $1", "505", "deletes need a yes"):
        assert part in text
    with Approver(link_in(message)) as approver:
        approver.answer("reject")
    with pytest.raises(psycopg.Error):
        running.result()
