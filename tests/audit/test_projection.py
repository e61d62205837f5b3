"""What people search in follows from the entries, however these arrive, and can be made again from them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from audit import projection, services
from audit.models import Activity, ApprovalEvent, Boot, Entry, Name, Refusals, Session, Statement
from tests.audit.conftest import Process

pytestmark = pytest.mark.django_db
TABLES = (Statement, Session, Activity, Refusals, ApprovalEvent)


def state() -> dict[str, list[dict[str, Any]]]:
    """All that was projected, without what numbers the rows only."""
    return {
        model.__name__: sorted(
            ({k: v for k, v in row.items() if model in (Statement, ApprovalEvent) or k != "id"} for row in model.objects.values()), key=str
        )
        for model in TABLES
    }


def test_a_statement_and_its_end_make_one_row(process):
    said = {"actions": ["select"], "relations": ["crm.customers"], "columns": ["crm.customers.ssn"], "masked": ["crm.customers.ssn"]}
    process.ship(process.session("SELECT ssn FROM crm.customers", masked_cells=4, rules=["r"], **said))
    row = Statement.objects.get()
    entry = Entry.objects.get(kind="statement.intended")
    assert (row.pk, row.time, row.session, row.subject, row.connection) == (entry.pk, entry.time, entry.session, "support-bot", "crm")
    assert (row.decision, row.outcome, row.rows, row.masked_cells, row.duration_us, row.tag) == ("allow", "ok", 3, 4, 1500, "SELECT 3")
    assert (row.sql, row.rules) == ("SELECT ssn FROM crm.customers", ["r"])
    assert {name: getattr(row, name) for name in said} == said
    assert set(Name.objects.filter(kind="column").values_list("name", flat=True)) == {"crm.customers.ssn"}


def test_a_session_counts_its_statements(process):
    process.ship(process.session("SELECT 1", "SELECT 2", outcome="error", masked_cells=2))
    row = Session.objects.get()
    assert (row.subject, row.client, row.application, row.reason) == ("support-bot", "10.1.2.3:5", "psql", "client closed")
    assert (row.statements, row.failed, row.rows, row.masked_cells, row.denied) == (2, 2, 6, 4, 0)
    assert row.opened_at <= row.closed_at


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_batches_cut_anywhere_give_the_same(process, size):
    denied = process.session("SELECT 1", "SELECT 2", decision="deny", outcome="refused", rules=["r"])
    items = denied + process.session("DELETE FROM t", subject="b")
    for start in range(0, len(items), size):
        process.ship(items[start : start + size])
        process.ship(items[start : start + size])  # a worker that did not hear the answer sends it again
    cut = state()
    assert sorted(row["statements"] for row in cut["Session"]) == [1, 2]
    assert Session.objects.get(subject="support-bot").denied == 2
    projection.rebuild(process.boot)
    assert state() == cut


def test_what_was_lost_or_spoilt_is_made_again(process):
    process.ship(process.session("SELECT 1", masked_cells=1))
    services.record(
        "approval.requested", {"request": "r-1", "by": "", "subject": "b", "connection": "crm", "binding": "ab", "comment": "c"}
    )
    before = state()
    Statement.objects.update(subject="x")
    Session.objects.all().delete()
    Activity.objects.update(statements=9)
    Refusals.objects.create(boot_id=process.boot, hour=Statement.objects.all()[0].time, rule="x", statements=1)
    ApprovalEvent.objects.all().delete()
    assert state() != before
    call_command("audit", "reindex")
    assert state() == before
    assert ApprovalEvent.objects.get().event == "requested"


def test_nobody_finishes_the_statement_of_another_boot(process):
    items = process.session("SELECT 1")
    process.ship(items[:2])
    statement = json.loads(items[1]["entry"])["fields"]["statement"]
    other = Process("host-b")
    other.ship([other.entry("statement.completed", {"statement": statement, "session": "s", "outcome": "ok", "rows": 99})])
    assert Statement.objects.get().outcome == ""
    process.ship(items[2:])
    assert (Statement.objects.get().outcome, Statement.objects.get().rows) == ("ok", 3)


def test_many_long_names_are_no_reason_to_refuse_a_batch(process):
    names = [f"{number}{'é' * 600}" for number in range(300)]
    process.ship(process.session("SELECT 1", decision="deny", rules=names, relations=names, columns=names, masked=names, actions=names))
    assert Statement.objects.get().rules[0] == names[0][:400]


def test_a_second_end_changes_nothing(process):
    items = process.session("SELECT 1")
    process.ship(items[:3])
    statement = json.loads(items[1]["entry"])["fields"]["statement"]
    process.ship([items[3], process.entry("statement.completed", {"statement": statement, "session": "s", "outcome": "error", "rows": 7})])
    assert Statement.objects.get().outcome == "ok"
    assert Session.objects.get(subject="support-bot").rows == 3


def test_fields_that_no_worker_of_ours_sends_do_no_harm(process):
    odd = {"actions": "select", "relations": ["a\0b", 7, None, "x" * 5000], "columns": {"a": 1}, "rules": [[]], "approval": 7}
    who = {"session": "s\0", "statement": "s-1", "subject": "b", "connection": "crm", "decision": "allow"}
    ended = {"statement": "s-1", "session": "s\0", "outcome": "o" * 99, "rows": 2**200, "masked_cells": -5, "duration_us": "1"}
    process.ship([process.entry("statement.intended", who | odd), process.entry("statement.completed", ended)])
    row = Statement.objects.get()
    assert (row.outcome, row.rows, row.masked_cells, row.duration_us) == ("o" * 16, 2**53, 0, 0)
    assert (row.relations, row.actions, row.columns, row.approval) == (["a�b", "x" * 400], [], [], "")


def test_a_long_text_is_found_by_its_beginning(process):
    process.ship(process.session("SELECT beginning, '" + "x y " * 500_000 + "' ending"))
    with connection.cursor() as cursor:
        for word, found in (("beginning", 1), ("ending", 0)):
            cursor.execute("SELECT count(*) FROM audit_statement WHERE words @@ to_tsquery('simple', %s)", [word])
            assert cursor.fetchone() == (found,)


def test_a_text_that_is_withheld_is_not_found(process):
    process.ship([item | {"disclosures": {}} for item in process.session("SELECT secret")])
    row = Statement.objects.get()
    assert (row.sql, row.words) == ("", "")


def test_a_text_that_was_erased_leaves_the_search(process, auditor):
    process.ship(process.session("SELECT 'ann@example.com'"))
    assert auditor.get("/api/v1/audit/statements?q=ann@example.com").json()["results"]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # the ledger's triggers refuse it otherwise
        cursor.execute("UPDATE audit_entry SET disclosures = '{}' WHERE kind = 'statement.intended'")
        cursor.execute("SET LOCAL session_replication_role = origin")
    projection.rebuild(process.boot)
    assert auditor.get("/api/v1/audit/statements?q=ann@example.com").json()["results"] == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_statement WHERE sql <> '' OR words <> ''")
        assert cursor.fetchone() == (0,)


def test_rebuilding_says_how_many(process, capsys):
    process.ship(process.session("SELECT 1"))
    assert projection.rebuild(process.boot) == 4
    call_command("audit", "reindex")
    assert "4 entries of 1 boot" in capsys.readouterr().out
    assert Boot.objects.count() == 1
