"""Which parameters approvers are not shown."""

from __future__ import annotations

import json

import pytest
from django.core import mail
from django.test import Client

from approvals import tasks
from controlplane.models import Connection
from policies.models import MaskingRule
from tests.approvals.conftest import PREVIEW

pytestmark = pytest.mark.django_db
TABLE = "crm.customers"


@pytest.fixture(autouse=True)
def masks() -> None:
    MaskingRule.objects.create(name="ssn", columns=["crm.customers.ssn", "hr.*.*"], method={"name": "redact"})


def hidden(ask, sql: str, count: int = 3, relations: tuple[str, ...] = (TABLE,), **changes) -> set[int]:
    parameters = [{"n": n, "oid": 25, "text": f"value-{n}"} for n in range(1, count + 1)]
    request = ask(sql=sql, parameters=parameters, relations=relations, masked=changes.pop("masked", []), **changes)
    found = {item["n"] for item in request.parameters if item.get("withheld")}
    assert all((item["text"] is None) == (item["n"] in found) for item in request.parameters)
    return found


@pytest.mark.parametrize(("sql", "numbers"), [
    ("UPDATE crm.customers SET name = $1 WHERE id = $2 AND region = $3", set()),
    ("UPDATE crm.customers SET name = $1 WHERE ssn = $2 AND id = $3", {2}),
    ("UPDATE crm.customers SET ssn = $1 WHERE id = $2", {1}),
    ("UPDATE crm.customers SET (name, ssn) = ($1, $2) WHERE id = $3", {1, 2}),
    ("DELETE FROM crm.customers c WHERE c.ssn IN ($1, $2) OR c.id = $3", {1, 2}),
    ("DELETE FROM crm.customers WHERE ssn LIKE $1 || '%' AND NOT (id BETWEEN $2 AND $3)", {1}),
    ("DELETE FROM crm.customers WHERE \"SSN\" = $1", set()),
    ("SELECT * FROM crm.customers WHERE lower(ssn) = lower($1) LIMIT $2", {1}),
    ("SELECT * FROM crm.customers c WHERE c = $1 AND id = $2", {1}),
    ("SELECT * FROM crm.customers c WHERE c::text = $1 AND c.id = $2", {1}),
    ("INSERT INTO crm.customers (id, ssn) VALUES ($1, $2), ($3, 'x')", {2}),
    ("INSERT INTO crm.customers (id, ssn) VALUES ($1, 'x') ON CONFLICT (id) DO UPDATE SET ssn = $2, name = $3", {2}),
    ("DELETE FROM crm.customers WHERE json_value(ssn, '$.a' PASSING $1 AS x) = 'y' AND id = $2", {1}),
    ("SELECT xmlforest(ssn AS a, $1 AS b), name || $2 FROM crm.customers", {1}),
    # The names say too little:
    ("INSERT INTO crm.customers VALUES ($1, $2, $3)", {1, 2, 3}),
    ("SELECT 1 FROM (SELECT ssn AS s FROM crm.customers) x WHERE s = $1 AND 1 = $2 AND 2 = $3", {1, 2, 3}),
    ("WITH x(s) AS (SELECT ssn FROM crm.customers) SELECT * FROM x WHERE s = $1 AND 1 = $2 AND 2 = $3", {1, 2, 3}),
    ("SELECT 1 FROM crm.customers AS c(a, b) WHERE b = $1 AND 1 = $2 AND 2 = $3", {1, 2, 3}),
    ("MERGE INTO crm.customers t USING crm.n s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES ($1, $2, $3)", {1, 2, 3}),
    ("this is no SQL $1", {1, 2, 3}),
])  # fmt: skip
def test_values_that_meet_a_masked_column(ask, sql, numbers):
    assert hidden(ask, sql) == numbers


def test_tables_without_masked_columns_hide_nothing(ask):
    assert hidden(ask, "DELETE FROM crm.orders WHERE ssn = $1", relations=("crm.orders",)) == set()
    assert hidden(ask, "nonsense $1", relations=("crm.orders",)) == set()


def test_where_it_is_not_known_what_a_statement_touches_everything_is_withheld(ask):
    assert hidden(ask, "CALL crm.forget($1)", 1, relations=()) == {1}
    MaskingRule.objects.all().delete()
    assert hidden(ask, "CALL crm.forget($1)", 1, relations=()) == set()


def test_a_table_whose_schema_is_not_known_could_be_the_one(ask):
    assert hidden(ask, "DELETE FROM customers WHERE ssn = $1", relations=("customers",)) == {1}


def test_columns_that_are_masked_by_inheritance_count_too(ask):
    sql = "DELETE FROM crm.v WHERE s = $1 AND id = $2"
    assert hidden(ask, sql, relations=("crm.v",), masked=["crm.v.s"]) == {1}


def test_another_connection_s_masks_do_not_count(ask):
    connection = Connection.objects.create(name="erp", host="h", dbname="d", user="u")
    MaskingRule.objects.get().connections.add(connection)
    assert hidden(ask, "DELETE FROM crm.customers WHERE ssn = $1") == set()
    assert hidden(ask, "DELETE FROM crm.customers WHERE ssn = $1", connection="erp") == {1}


def test_a_withheld_value_is_nowhere(ask, dana):
    sql = "DELETE FROM crm.customers WHERE ssn = $1"
    request = ask(
        sql=sql, parameters=[{"n": 1, "oid": 25, "text": "900-55-0001"}], relations=[TABLE],
        preview=PREVIEW | {"plan": "Filter: (ssn = '900-55-0001'::text)"},
    )  # fmt: skip
    tasks.notify(str(request.pk))
    browser = Client()
    browser.force_login(dana)
    page = browser.get(f"/approvals/{request.pk}/").content.decode()
    rest = browser.get(f"/api/v1/approvals/{request.pk}/").content.decode()
    kept = json.dumps([request.parameters, request.preview])
    assert "withheld" in page
    assert "The plan is not shown" in page
    for text in (page, rest, kept, mail.outbox[0].body, browser.get("/approvals/").content.decode()):
        assert "900-55-0001" not in text
