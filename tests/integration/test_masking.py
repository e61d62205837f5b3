"""No sensitive value on the wire without clearance, whatever the agent does with the column, on both servers."""

import datetime

import psycopg
import pytest

from tests.conftest import Target
from tests.integration.harness import Agent, Stack
from tests.integration.world import SSN


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_plain_columns_come_back_masked(reader: Agent, binary: bool) -> None:
    [row] = reader.rows("SELECT id, name, email, ssn, card, born FROM crm.customers WHERE id = 7", binary=binary)
    assert row[:2] == (7, "Customer 7")
    assert row[2] == "***@***.com"
    assert str(row[3]).strip() == "***"
    assert row[4] == "**** **** **** 0007"
    assert row[5] == datetime.date(1980, 1, 1)


def test_renaming_joining_and_nesting_do_not_unmask(reader: Agent) -> None:
    statement = """
        WITH c AS (SELECT id AS number, ssn AS harmless FROM crm.customers)
        SELECT x.harmless FROM (SELECT * FROM c) x JOIN crm.orders o ON o.customer_id = x.number WHERE o.id = %s
    """
    [(value,)] = reader.rows(statement, (7,))
    assert str(value).strip() == "***"


LEAKS = [
    "SELECT substr(ssn, 1, 11) FROM crm.customers",
    "SELECT ssn || '' FROM crm.customers",
    "SELECT row_to_json(c)::text FROM crm.customers c",
    "SELECT c::text FROM crm.customers c",
    "SELECT array_agg(ssn)::text FROM crm.customers",
    "SELECT string_agg(ssn, ',') FROM crm.customers",
    "SELECT max(ssn), min(ssn) FROM crm.customers",
    "SELECT md5(ssn) FROM crm.customers",
    "SELECT CASE WHEN ssn LIKE '900-55-0007' THEN 'found 900-55-0007' ELSE 'no' END FROM crm.customers",
    "SELECT ssn::int FROM crm.customers WHERE id = 7",
    "SELECT count(*) FROM crm.customers WHERE ssn = '900-55-0007' HAVING count(*) > 0",
    "SELECT ssn FROM crm.customers UNION SELECT 'x'",
    "SELECT (SELECT ssn FROM crm.customers WHERE id = 7)",
    "SELECT lower(ssn) FROM crm.customers ORDER BY 1 LIMIT 3",
    "EXPLAIN (VERBOSE) SELECT * FROM crm.customers WHERE ssn = '900-55-0007'",
]


@pytest.mark.parametrize("statement", LEAKS)
def test_nothing_computed_from_a_masked_column_shows_it(reader: Agent, statement: str) -> None:
    """Masked or refused, but never real: digits of a real value are looked for in rows, errors and notices alike."""
    seen: list[str] = []
    with reader.connect() as connection:
        connection.add_notice_handler(lambda notice: seen.append(str(notice.message_primary)))
        try:
            seen += [str(row) for row in connection.execute(statement).fetchall()]
        except psycopg.Error as error:
            seen.append(f"{error.diag.message_primary} {error.diag.message_detail} {error.diag.context}")
    real = set(SSN.values()) if not statement.startswith(("SELECT CASE", "EXPLAIN")) else {"found"}
    assert not [text for text in seen if any(value in text for value in real)]


def test_predicates_see_masked_values_and_are_no_oracle(reader: Agent) -> None:
    assert reader.rows("SELECT count(*) FROM crm.customers WHERE ssn LIKE '900-55-%'") == [(0,)]
    assert reader.rows("SELECT count(*) FROM crm.customers WHERE ssn = %s", (SSN[7],)) == [(0,)]


def test_columns_without_a_mask_are_untouched(reader: Agent, target: Target) -> None:
    statement = "SELECT customer_id, sum(total) FROM crm.orders GROUP BY customer_id ORDER BY 1 LIMIT 5"
    assert reader.rows(statement) == target.sql(statement, dbname="crm")


def test_the_record_says_what_was_masked(stack: Stack, reader: Agent) -> None:
    with reader.connect(application_name="masking-record") as connection:
        connection.execute("SELECT ssn FROM crm.customers WHERE id = 1").fetchall()
    entry = stack.eventually_entry("statement.intended", application="masking-record")
    assert entry["masked"] == ["crm.customers.ssn"]
    assert entry["plan"] == "result"
    assert entry["subject"] == "reader"
