"""What each report says."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from audit import reports, services
from audit.reports import REPORTS
from tests.audit.conftest import Process

pytestmark = pytest.mark.django_db
COLUMNS = ["crm.customers.id", "crm.customers.ssn"]


@pytest.fixture
def ledger(process: Process) -> Process:
    process.ship(process.session(
        "SELECT id, ssn FROM crm.customers", actions=["select"], relations=["crm.customers"], columns=COLUMNS,
        masked=COLUMNS[1:], masked_cells=3,
    ))  # fmt: skip
    process.ship(process.session("SELECT 1", subject="report-bot", connection="erp"))
    refused = {"decision": "deny", "outcome": "refused", "actions": ["drop"], "rules": ["no ddl"], "reason": "ddl is not for agents"}
    process.ship(process.session("DROP TABLE t", **refused))
    process.ship(process.session("DELETE FROM t", decision="approve", approval="r-1", outcome="ok"))
    for kind, by in (("requested", ""), ("voted", "dana"), ("approved", "rob"), ("consumed", "support-bot")):
        told = {"request": "r-1", "subject": "support-bot", "connection": "crm", "binding": "ab"}
        services.record(f"approval.{kind}", {**told, "by": by, "comment": ""})
    services.record("approval.requested", {"request": "r-2", "by": "", "subject": "b", "connection": "crm", "binding": "ab", "comment": ""})
    change = {"model": "policies.StatementRule", "object": "no ddl", "action": "change", "actor": "root"}
    services.record("admin.changed", {**change, "before": {"shadow": True}, "after": {"shadow": False}})
    return process


def lines(kind: str, people, **parameters: str) -> list[dict[str, object]]:
    report = REPORTS[kind]
    chosen = report.chosen(parameters, people["ari"])
    assert chosen.is_valid(), chosen.errors
    return [dict(zip(report.columns, line, strict=True)) for line in report.whole(chosen.qs)]


def test_access_by_subject(ledger, people):
    found = lines("access", people, subject="support-bot")
    assert [line["statement"] for line in found] == ["SELECT id, ssn FROM crm.customers", "DROP TABLE t", "DELETE FROM t"]
    assert {"tables": "crm.customers", "masked columns": "crm.customers.ssn", "rows": 3, "masked cells": 3}.items() <= found[0].items()
    assert len(lines("access", people)) == 4
    assert lines("access", people, period="24h") == lines("access", people)
    assert lines("access", people, until="2020-01-01T00:00:00Z") == []


def test_access_to_a_column(ledger, people):
    (line,) = lines("column", people, column="ssn")
    assert (line["masked columns"], line["outcome"], line["subject"]) == ("crm.customers.ssn", "ok", "support-bot")
    assert lines("column", people, column="salary") == []
    assert lines("column", people, column="id", masked="no") == []


def test_refusals(ledger, people):
    (line,) = lines("refusals", people)
    assert (line["rules"], line["reason"], line["actions"]) == ("no ddl", "ddl is not for agents", "drop")
    assert lines("refusals", people, rule="another") == []


def test_approvals(ledger, people):
    first, second = lines("approvals", people)
    assert (first["answer"], first["by"], first["statement"]) == ("approved", "dana, rob", "DELETE FROM t")
    assert first["waited (s)"] == round((first["answered"] - first["time"]).total_seconds())
    assert first["time"] <= first["answered"] <= first["used"]
    assert (second["answer"], second["answered"], second["used"], second["by"]) == ("open", None, None, "")
    assert [line["request"] for line in lines("approvals", people, subject="b")] == ["r-2"]


def test_policy_changes(ledger, people):
    (line,) = lines("changes", people)
    assert (line["actor"], line["object"]) == ("root", "no ddl")
    assert (json.loads(line["before"]), json.loads(line["after"])) == ({"shadow": True}, {"shadow": False})


@pytest.mark.parametrize("kind", sorted(REPORTS))
def test_every_report_is_whole_and_of_one_shape(ledger, people, kind, monkeypatch):
    """However many rows are in memory at a time, the lines are the same, and each value is what its column says."""
    report = REPORTS[kind]
    parameters = {"column": "ssn"} if kind == "column" else {}
    once = lines(kind, people, **parameters)
    assert once
    monkeypatch.setattr(reports, "CHUNK", 1)
    assert lines(kind, people, **parameters) == once
    assert report.times <= set(report.columns)
    types = {**dict.fromkeys(report.times, datetime), **dict.fromkeys(report.numbers, int)}
    assert all(value is None or type(value) is types.get(name, str) for line in once for name, value in line.items())


@pytest.mark.parametrize("kind", sorted(REPORTS))
def test_who_may_not_read_the_ledger_gets_no_line(ledger, people, kind):
    for who in ("dana", "nobody", "left"):
        assert not REPORTS[kind].chosen({}, people[who]).qs.exists()


def test_what_makes_no_sense_is_refused(ledger, people):
    for kind, parameters in (("access", {"decision": "x"}), ("access", {"period": "9y"}), ("changes", {"since": "never"}),
    ("column", {"subject": "b"})):
        assert not REPORTS[kind].chosen(parameters, people["ari"]).is_valid()
