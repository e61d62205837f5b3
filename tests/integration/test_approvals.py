"""Held statements: the e-mail, the page behind its link, the answer, and what the waiting agent gets."""

import re

import psycopg
import pytest

from deploy.demo.approver import Approver, link_in, text_of
from tests.conftest import Target
from tests.integration.harness import Agent, Stack, eventually

DELETE = "DELETE FROM crm.orders WHERE id = %s"


def test_a_delete_waits_for_the_link_and_then_returns(stack: Stack, writer: Agent, target: Target) -> None:
    mailbox = stack.mailbox()
    running = writer.start(DELETE, (501,))
    message = mailbox.next("dana@example.com")
    assert target.sql("SELECT count(*) FROM crm.orders WHERE id = 501", dbname="crm") == [(1,)]
    approver = Approver(link_in(message))
    page = approver.look()
    assert "DELETE FROM crm.orders WHERE id = $1" in page
    assert re.search(r"\b501\b", page), "the approver sees the parameter"
    assert writer.user in page
    approver.answer("approve", "it was a duplicate")
    approver.close()
    assert running.result() == "DELETE 1"
    assert target.sql("SELECT count(*) FROM crm.orders WHERE id = 501", dbname="crm") == [(0,)]
    assert any("http" in notice for notice in running.notices), "the client is told what it waits for"


def test_following_the_link_decides_nothing(stack: Stack, writer: Agent, target: Target) -> None:
    """Mail scanners follow every link."""
    mailbox = stack.mailbox()
    running = writer.start(DELETE, (502,))
    approver = Approver(link_in(mailbox.next("dana@example.com")))
    votes = stack.sql("SELECT count(*) FROM approvals_vote")
    for _ in range(3):
        approver.look()
    assert stack.sql("SELECT count(*) FROM approvals_vote") == votes
    assert stack.sql("SELECT count(*) FROM approvals_approvalrequest WHERE state = 'PENDING'") == [(1,)]
    assert target.sql("SELECT count(*) FROM crm.orders WHERE id = 502", dbname="crm") == [(1,)]
    approver.answer("reject", "not this one")
    approver.close()
    with pytest.raises(psycopg.Error) as refused:
        running.result()
    assert refused.value.sqlstate == "TG002"
    assert "not this one" in f"{refused.value.diag.message_primary} {refused.value.diag.message_hint}"
    assert target.sql("SELECT count(*) FROM crm.orders WHERE id = 502", dbname="crm") == [(1,)]


def test_a_ticket_is_refused_at_once_and_runs_once_after_approval(stack: Stack, writer: Agent, target: Target) -> None:
    statement, parameters = "UPDATE crm.orders SET total = %s WHERE id = %s", (1, 503)
    mailbox = stack.mailbox()
    assert writer.refusal(statement, parameters).sqlstate == "TG001"
    approver = Approver(link_in(mailbox.next("dana@example.com")))
    approver.answer("approve")
    approver.close()
    assert writer.refusal(statement, (2, 503)).sqlstate == "TG001", "other parameters were not approved"
    with writer.connect() as connection:
        assert connection.execute(statement, parameters).statusmessage == "UPDATE 1"
    assert target.sql("SELECT total FROM crm.orders WHERE id = 503", dbname="crm")[0][0] == 1
    assert writer.refusal(statement, parameters).sqlstate == "TG001", "an approval is used once"


def test_an_agent_that_gives_up_withdraws_its_request(stack: Stack, writer: Agent, target: Target) -> None:
    mailbox = stack.mailbox()
    running = writer.start(DELETE, (504,))
    message = mailbox.next("dana@example.com")
    running.connection.cancel_safe()
    with pytest.raises(psycopg.errors.QueryCanceled):
        running.result()
    eventually(
        lambda: stack.sql("SELECT count(*) FROM approvals_approvalrequest WHERE state = 'CANCELLED'") != [(0,)], "the request is cancelled"
    )
    approver = Approver(link_in(message))
    assert "Approve" not in approver.look()
    approver.close()
    assert target.sql("SELECT count(*) FROM crm.orders WHERE id = 504", dbname="crm") == [(1,)]


def test_the_email_shows_who_where_what_and_why(stack: Stack, writer: Agent) -> None:
    mailbox = stack.mailbox()
    running = writer.start(DELETE, (505,))
    message = mailbox.next("dana@example.com")
    text = text_of(message)
    for part in ("writer", writer.dbname, "DELETE FROM crm.orders WHERE id = $1", "505", "deletes need a yes"):
        assert part in text
    approver = Approver(link_in(message))
    approver.answer("reject")
    approver.close()
    with pytest.raises(psycopg.Error):
        running.result()
