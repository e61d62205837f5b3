"""Each condition alone, met and not met, for rules that restrict and for rules that allow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from proxy.policy import payload
from proxy.policy.rules import CONDITIONS, Situation, applies, compile_rule, parse_address
from proxy.sql.facts import Facts
from tests.proxy.policy.example import NOW, facts, rule

UPDATE = facts(
    "update", actions=("update", "select"), reads=("crm.regions",), writes=("crm.customers",), columns=("crm.customers.ssn",),
    functions=("pg_catalog.pg_sleep",), normalised="UPDATE crm.customers SET ssn = $1",
)  # fmt: skip


def speaks(then: str, statement: Facts = UPDATE, *, situation: dict[str, Any] | None = None, **when: Any) -> bool:
    here: dict[str, Any] = {
        "subject": "bot", "groups": frozenset({"agents"}), "connection": "crm", "client_ip": "10.1.2.3", "now": NOW,
        "touches_masked": False, "multiple_statements": False,
    }  # fmt: skip
    compiled = compile_rule(msgspec.convert(rule(then, workflow="owners", **when), payload.Rule))
    return applies(compiled, Situation(**{**here, **(situation or {})}), statement)


@pytest.mark.parametrize("then", ["deny", "approve", "allow"])
@pytest.mark.parametrize(
    ("met", "unmet"),
    [
        ({"subjects": ["bot"]}, {"subjects": ["other"]}),
        ({"groups": ["agents", "x"]}, {"groups": ["x"]}),
        ({"connections": ["crm"]}, {"connections": ["other"]}),
        ({"actions": ["update", "select"]}, {"actions": ["drop"]}),
        ({"relations": ["crm.*"]}, {"relations": ["hr.*"]}),
        ({"relations": ["customers", "regions"]}, {"relations": ["orders"]}),
        ({"columns": ["*.*.ssn"]}, {"columns": ["*.*.email"]}),
        ({"functions": ["pg_sleep"]}, {"functions": ["lo_*"]}),
        ({"functions": ["pg_catalog.pg_sl?ep"]}, {"functions": ["crm.pg_sleep"]}),
        ({"without_where": False}, {"without_where": True}),
        ({"matches": r"(?i)set\s+SSN"}, {"matches": "^DELETE"}),
        ({"client_from": ["10.0.0.0/8", "::/0"]}, {"client_from": ["192.168.0.0/16"]}),
        ({"client_not_from": ["192.168.0.0/16"]}, {"client_not_from": ["10.1.2.3/32"]}),
        ({"touches_masked": False}, {"touches_masked": True}),
        ({"multiple_statements": False}, {"multiple_statements": True}),
        ({"between": {"from": "00:00", "to": "06:00"}}, {"between": {"from": "06:00", "to": "07:00"}}),
    ],
)
def test_each_condition_alone(then: str, met: dict[str, Any], unmet: dict[str, Any]) -> None:
    assert speaks(then, **met)
    assert not speaks(then, **unmet)


def test_every_condition_of_the_policy_file_has_its_function() -> None:
    assert set(CONDITIONS) == set(payload.When.__struct_fields__)


def test_all_conditions_must_be_met() -> None:
    assert speaks("deny", actions=["update"], relations=["crm.customers"], without_where=False)
    assert not speaks("deny", actions=["update"], relations=["crm.customers"], without_where=True)


def test_a_rule_without_conditions_speaks_about_everything() -> None:
    assert speaks("deny")
    assert speaks("allow")


@pytest.mark.parametrize(
    "when", [{"actions": ["update"]}, {"relations": ["crm.customers"]}, {"columns": ["crm.customers.ssn"]}, {"functions": ["pg_sleep"]}]
)
def test_restricting_rules_need_one_fit_and_allowing_rules_need_all(when: dict[str, Any]) -> None:
    more = facts(
        "update", actions=("update", "delete"), writes=("crm.customers", "hr.salaries"),
        columns=("crm.customers.ssn", "hr.salaries.amount"), functions=("pg_catalog.pg_sleep", "pg_catalog.pg_read_file"),
    )  # fmt: skip
    assert speaks("deny", more, **when)
    assert speaks("approve", more, **when)
    assert not speaks("allow", more, **when)


@pytest.mark.parametrize("then", ["deny", "approve"])
def test_an_estimate_that_nobody_has_counts_as_too_much(then: str) -> None:
    assert speaks(then, estimated_rows={"over": 10**12})


def test_an_estimate_that_nobody_has_allows_nothing() -> None:
    assert not speaks("allow", estimated_rows={"over": 0})


def test_an_estimate_is_compared() -> None:
    for then in ("deny", "approve", "allow"):
        assert speaks(then, situation={"estimated_rows": 11}, estimated_rows={"over": 10})
        assert not speaks(then, situation={"estimated_rows": 10}, estimated_rows={"over": 10})


@pytest.mark.parametrize(
    ("statement", "known"),
    [
        (facts("transaction"), True), (facts("set"), True), (facts("listen"), True), (facts("cursor"), True), (facts("create"), True),
        (facts("prepare", actions=("prepare", "delete"), writes=("t",)), True), (facts("create", writes=("t",)), False),
        (facts("cursor", reads=("t",)), False), (facts("do"), False), (facts("truncate", writes=("t",)), False), (facts("drop"), False),
    ],
)  # fmt: skip
def test_what_has_no_rows_needs_no_estimate(statement: Any, known: bool) -> None:
    assert speaks("deny", statement, estimated_rows={"over": 0}) is not known
    assert not speaks("allow", statement, estimated_rows={"over": 0})


def test_a_short_function_name_means_only_postgresqls_own_where_it_allows() -> None:
    evil = facts("select", functions=("evil.pg_sleep",))
    assert speaks("deny", evil, functions=["pg_sleep"])
    assert not speaks("allow", evil, functions=["pg_sleep"])


@pytest.mark.parametrize(
    ("start", "end", "zone", "clock", "inside"),
    [
        ("22:00", "06:00", "UTC", "23:30", True),
        ("22:00", "06:00", "UTC", "05:59", True),
        ("22:00", "06:00", "UTC", "06:00", False),
        ("22:00", "06:00", "UTC", "21:59", False),
        ("09:00", "17:00", "UTC", "09:00", True),
        ("09:00", "17:00", "UTC", "17:00", False),
        ("09:00", "17:00", "Asia/Kolkata", "03:30", True),
        ("09:00", "17:00", "Asia/Kolkata", "03:29", False),
        ("09:00", "17:00", "America/New_York", "13:00", True),  # summer time: four hours behind
        ("09:00", "17:00", "America/New_York", "12:59", False),
    ],
)
def test_hours_in_their_time_zone(start: str, end: str, zone: str, clock: str, inside: bool) -> None:
    now = datetime.fromisoformat(f"2026-07-15T{clock}:00").replace(tzinfo=UTC).timestamp()
    assert speaks("deny", situation={"now": now}, between={"from": start, "to": end, "tz": zone}) is inside


@pytest.mark.parametrize(
    ("text", "networks", "inside"),
    [
        ("127.0.0.1", ["127.0.0.0/8"], True),
        ("::ffff:127.0.0.1", ["127.0.0.0/8"], True),
        ("::1", ["127.0.0.0/8"], False),
        ("fe80::1%eth0", ["fe80::/10"], True),
        ("2001:db8::1", ["2001:db8::/32", "10.0.0.0/8"], True),
    ],
)
def test_addresses(text: str, networks: list[str], inside: bool) -> None:
    situation = {"client_ip": text}
    assert speaks("deny", situation=situation, client_from=networks) is inside
    assert speaks("deny", situation=situation, client_not_from=networks) is not inside


@pytest.mark.parametrize("text", ["", "[local]", "10.1.2", "10.1.2.3:5555", "host"])
def test_what_is_no_address_is_unknown(text: str) -> None:
    assert parse_address(text) is None


def test_an_expression_cannot_be_made_slow() -> None:
    text = facts("select", normalised="a" * 50_000)
    assert not speaks("deny", text, matches="(a+)+$b")
