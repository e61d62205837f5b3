"""Which way each statement goes: untouched, masked in the result, or refused with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.proxy.sql.example import RULES, analysed, fixtures


@pytest.mark.parametrize(("sql", "_"), fixtures("none"))
def test_statements_that_need_no_masking_are_left_alone(sql: str, _: str) -> None:
    analysis = analysed(sql)
    assert (analysis.plan.kind, analysis.plan.sql, analysis.plan.reason) == ("none", "", "")
    assert not any(facts.problem for facts in analysis.statements)


@pytest.mark.parametrize(("sql", "_"), fixtures("result"))
def test_plain_output_is_masked_in_the_result(sql: str, _: str) -> None:
    plan = analysed(sql).plan
    assert (plan.kind, plan.sql) == ("result", "")
    assert plan.masked


@pytest.mark.parametrize(("sql", "reason"), fixtures("refuse"))
def test_what_cannot_be_masked_is_refused_with_a_sentence(sql: str, reason: str) -> None:
    plan = analysed(sql).plan
    assert plan.kind == "refuse"
    assert reason in plan.reason


@pytest.mark.parametrize("name", ["none", "result", "refuse", "scan"])
def test_without_masks_nothing_is_ever_changed_or_refused(name: str) -> None:
    for sql, _ in fixtures(name):
        plan = analysed(sql, rules={}).plan
        assert (plan.kind, plan.sql) == ("none", ""), sql


LOOKUPS = {**RULES, "crm.customers.email": replace(RULES["crm.customers.email"], lookups=True)}


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT id, email FROM crm.customers WHERE email = $1", "result"),
        ("SELECT id, email FROM crm.customers WHERE 'x' = email AND city = 'y'", "result"),
        ("SELECT count(*) FROM crm.customers WHERE email = 'x'::text", "result"),
        ("UPDATE crm.customers SET city = 'x' WHERE email = $1", "none"),
        ("DELETE FROM crm.customers WHERE email = $1", "none"),
        # Anything but an outermost condition compares masked values.
        ("SELECT id FROM crm.customers WHERE email = $1 OR true", "scan"),
        ("SELECT id FROM crm.customers WHERE email LIKE $1", "scan"),
        ("SELECT id FROM crm.customers WHERE email > 'm'", "scan"),
        ("SELECT (SELECT count(*) FROM crm.customers WHERE email = 'x')", "scan"),
        ("SELECT email || '' FROM crm.customers WHERE email = $1", "scan"),
        # The rule of another column does not allow it.
        ("SELECT id FROM crm.customers WHERE ssn = $1", "scan"),
        ("DELETE FROM crm.customers WHERE ssn = $1", "refuse"),
    ],
)
def test_lookups_by_a_constant_where_the_rule_allows_them(sql: str, kind: str) -> None:
    assert analysed(sql, rules=LOOKUPS).plan.kind == kind


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT email FROM crm.customers", "result"),
        ("COPY (SELECT email FROM crm.customers) TO STDOUT", "scan"),
        ("SELECT upper(email) FROM crm.customers", "refuse"),
        ("SELECT id FROM crm.customers ORDER BY email", "refuse"),
        ("CREATE TABLE shop.c AS SELECT email FROM crm.customers", "refuse"),
    ],
)
def test_derived_use_can_be_denied(sql: str, kind: str) -> None:
    plan = analysed(sql, derived_use="deny").plan
    assert plan.kind == kind
    assert kind != "refuse" or "crm.customers.email" in plan.reason


@pytest.mark.parametrize(
    ("sql", "sanitised"),
    [
        ("SELECT upper(email) FROM crm.customers", False),
        ("SELECT 1", False),
        ("UPDATE shop.notes SET body = 'x' WHERE id = 1", False),
        ("INSERT INTO crm.customers (id, name, email) VALUES (1, 'x', 'y')", True),
        ("COPY crm.customers FROM STDIN", True),
        ("CREATE UNIQUE INDEX ON crm.customers (email)", True),
        ("DO $$ BEGIN DELETE FROM shop.notes; END $$", False),
        ("UPDATE crm.v_names SET name = NULL", True),  # the row that fails is one of crm.customers
        ("UPDATE crm.v_few_names SET name = NULL", True),
        ("SELECT number FROM crm.v_number", True),
        ("SELECT id FROM crm.v_names", False),
        ("DO $$ BEGIN DELETE FROM shop.notes; EXCEPTION WHEN others THEN RAISE NOTICE '%', SQLERRM; END $$", False),
    ],
)
def test_errors_that_could_quote_a_value_are_sanitised(sql: str, sanitised: bool) -> None:
    assert analysed(sql).plan.sanitise_errors is sanitised


def test_parameters_that_become_masked_values_are_named() -> None:
    plan = analysed("INSERT INTO crm.customers (id, name, email, ssn) VALUES ($1, $2, $3::text, $4), (2, 'x', 'y', $5)").plan
    assert [(number, mask.method) for number, mask in plan.written] == [(3, "email"), (4, "redact"), (5, "redact")]
    plan = analysed("UPDATE crm.customers SET city = $1, (name, ssn) = ROW($2, $3) WHERE id = $4").plan
    assert [(number, mask.method) for number, mask in plan.written] == [(3, "redact")]
    merge = "MERGE INTO shop.unknown u USING crm.customers c ON u.id = c.id WHEN NOT MATCHED THEN INSERT VALUES (c.ssn)"
    assert analysed(merge).plan.kind == "scan"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE crm.customers SET ssn = '123' WHERE id = 1",
        "UPDATE crm.customers SET city = '***' WHERE id = 1",
        "INSERT INTO shop.notes VALUES (1, '***')",
        "INSERT INTO shop.notes SELECT id, ssn FROM crm.customers",
        "UPDATE crm.customers SET ssn = NULL",
    ],
)
def test_other_values_may_be_written(sql: str) -> None:
    assert analysed(sql).plan.kind != "refuse"


def test_masked_names_every_column_that_is_touched() -> None:
    assert analysed("SELECT upper(ssn), email FROM crm.customers").plan.masked == ("crm.customers.email", "crm.customers.ssn")
    assert analysed("SELECT 1 FROM shop.items; SELECT card FROM crm.orders").plan.masked == ("crm.orders.card",)
