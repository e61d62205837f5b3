"""The second opinion: sqlglot must see masked columns as bare outputs, and the same relations."""

from __future__ import annotations

import pytest

from proxy.sql.lineage import proves_bare_output

CRM = [("crm", "customers")]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT email FROM crm.customers",
        "SELECT c.email AS x, count(*) OVER () FROM crm.customers c WHERE c.id = 1 ORDER BY c.id",
        "SELECT * FROM crm.customers",
        "SELECT c.* FROM crm.customers c",
    ],
)
def test_bare_outputs(sql: str) -> None:
    assert proves_bare_output(sql, CRM, frozenset({"email"}), frozenset())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT upper(email) FROM crm.customers",
        "SELECT email FROM crm.customers WHERE email = 'x'",
        "SELECT email FROM crm.customers ORDER BY email",
        "SELECT email FROM crm.customers GROUP BY email",
        "SELECT email FROM (SELECT email FROM crm.customers) x",
        "WITH x AS (SELECT 1) SELECT email FROM crm.customers",
        "SELECT email FROM crm.customers UNION ALL SELECT email FROM crm.customers",
        "SELECT id, (SELECT email) FROM crm.customers",
        "EXPLAIN SELECT email FROM crm.customers",
        "SELECT email FROM crm.customers, crm.orders",
        "SELECT email FROM other.customers",
        "SELECT email FROM crm.customers; SELECT 1",
        "SELECT FROM FROM",
        "SELECT email FROM crm.customers JOIN crm.customers AS d ON email = 'x'",
    ],
)
def test_anything_else_is_not_proven(sql: str) -> None:
    assert not proves_bare_output(sql, CRM, frozenset({"email"}), frozenset())


def test_lookups_may_name_the_column_in_the_outermost_condition() -> None:
    sql = "SELECT email FROM crm.customers WHERE email = 'x' AND id > 1"
    assert proves_bare_output(sql, CRM, frozenset({"email"}), frozenset({"email"}))
    assert not proves_bare_output(sql.replace("=", "<"), CRM, frozenset({"email"}), frozenset({"email"}))
    assert not proves_bare_output(sql.replace("AND", "OR"), CRM, frozenset({"email"}), frozenset({"email"}))
