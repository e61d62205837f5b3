"""What is forbidden is refused before PostgreSQL sees it, with the right SQLSTATE, and the session goes on."""

import pytest

from tests.conftest import Target
from tests.integration.harness import Agent, Stack


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("DROP TABLE crm.journal", "42501"),
        ("DROP SCHEMA crm CASCADE", "42501"),
        ("TRUNCATE crm.journal", "42501"),
        ("ALTER TABLE crm.journal ADD COLUMN x int", "42501"),
        ("DELETE FROM crm.orders", "42501"),
        ("INSERT INTO crm.journal VALUES (0, 'not granted')", "42501"),
        ("DO $$ BEGIN EXECUTE 'DROP TABLE crm.journal'; END $$", "42501"),
        ("SELECT 1; DROP TABLE crm.journal", "42501"),
        ("COPY crm.customers TO PROGRAM 'cat'", "42501"),
    ],
)
def test_refused_and_nothing_happened(reader: Agent, target: Target, statement: str, sqlstate: str) -> None:
    before = target.sql("SELECT count(*) FROM crm.orders", dbname="crm")
    refused = reader.refusal(statement)
    assert refused.sqlstate in (sqlstate, "TG003")
    assert refused.message_primary
    assert target.sql("SELECT count(*) FROM crm.orders", dbname="crm") == before
    assert target.sql("SELECT count(*) FROM crm.journal WHERE id = 0", dbname="crm") == [(0,)]


def test_the_refusal_says_what_and_why_and_is_recorded(stack: Stack, reader: Agent) -> None:
    refused = reader.refusal("DROP TABLE crm.customers")
    assert "Schema changes go through migrations." in f"{refused.message_primary} {refused.message_hint}"
    entry = stack.eventually_entry("statement.intended", subject="reader", connection=reader.dbname, sql="DROP TABLE crm.customers")
    assert entry["decision"] == "deny"
    assert entry["decision_id"] in (refused.message_detail or "")


def test_the_session_goes_on_after_a_refusal(reader: Agent) -> None:
    with reader.connect() as connection:
        for _ in range(3):
            with pytest.raises(Exception, match=r"."):
                connection.execute("DROP TABLE crm.customers")
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_what_is_refused_inside_a_transaction_fails_the_transaction(reader: Agent) -> None:
    """As a server would: everything until ROLLBACK is refused with 25P02, or the client would take the rest for done."""
    with reader.connect() as connection:
        connection.execute("BEGIN")
        with pytest.raises(Exception, match=r"."):
            connection.execute("DROP TABLE crm.customers")
        with pytest.raises(Exception, match=r"."):
            connection.execute("SELECT 1")
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT 1").fetchone() == (1,)
