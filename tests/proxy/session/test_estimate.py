"""Conversations about statements whose decision depends on the planner."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from proxy import effects as fx
from proxy import events as ev
from proxy.session.estimate import rows_of
from proxy.wire import long_bind
from proxy.wire.backend import CommandComplete, DataRow
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import bundle, one
from tests.proxy.session.playbook import FAILED, IDLE, Playbook, error

SMALL = {"name": "small", "when": {"estimated_rows": {"over": 10}}, "then": "deny", "workflow": None, "message": None, "shadow": False}
FULL = one("delete", planned=True)
ASKED = ["server Close", "server Close", "server Parse", "server Bind", "server Execute", "server Close", "server Close"]
OK = b"3\0\0\0\x04"


def plan(rows: int, **more: Any) -> bytes:
    return json.dumps([{"Plan": {"Node Type": "Seq Scan", "Plan Rows": rows, **more}}]).encode()


def answer(rows: int, *end: Any) -> tuple[Any, ...]:
    return (OK, OK, b"1\0\0\0\x04", b"2\0\0\0\x04", DataRow((plan(rows),)), CommandComplete("EXPLAIN"), OK, OK, *end)


def book(**rule: Any) -> Playbook:
    return Playbook(bundle(rules=[{**SMALL, **rule}]), {"DELETE": FULL, "q": FULL, "BEGIN": one("transaction")}).sign_in()


def test_a_query_is_planned_before_it_is_decided() -> None:
    talk = book()
    assert talk.client(Query(b"DELETE")) == [*ASKED, "server Sync"]
    assert b"EXPLAIN (FORMAT JSON) DELETE\0" in talk.sent()
    assert talk.server(*answer(10, IDLE)) == ["record statement.intended allow", "server Query"]
    assert talk.records("statement.intended")[0]["estimated_rows"] == 10
    talk.server(CommandComplete("DELETE 3"), IDLE)
    talk.client(Query(b"DELETE"))
    assert talk.server(*answer(11, IDLE))[-2:] == ["client ErrorResponse 42501", "client ReadyForQuery I"]
    assert talk.records("statement.intended")[1]["estimated_rows"] == 11


def test_a_portal_is_planned_once_inside_of_its_batch() -> None:
    talk = book()
    said = talk.client(Parse(b"", b"q", (23,)), Bind(b"", b"", (1,), (b"\0\0\0\x07",)), Execute(b"", 5), Execute(b"", 5), SYNC_MESSAGE)
    assert said == ["server Parse", "server Bind", *ASKED, "server Flush"]
    assert Parse(talk.session._relay.own_name, b"EXPLAIN (FORMAT JSON) q", (23,)).encode() in talk.sent()  # type: ignore[union-attr]
    assert b"\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x07" in talk.sent().rpartition(b"EXPLAIN")[2]
    said = talk.server(b"1\0\0\0\x04", b"2\0\0\0\x04", *answer(3))
    assert said == [
        "record statement.intended allow", "record statement.intended allow", "server Execute", "server Execute", "server Sync",
        "client ParseComplete", "client BindComplete",
    ]  # fmt: skip


def test_the_planners_error_is_the_statements() -> None:
    talk = book()
    talk.client(Query(b"DELETE"))
    said = talk.server(OK, OK, error("42P01", "no such", P="30"), IDLE)
    assert said == [
        "record statement.intended deny", "record statement.completed error", "client ErrorResponse 42P01", "client ReadyForQuery I",
    ]  # fmt: skip
    assert b"P8\0" in talk.sent(fx.SendToClient)  # without EXPLAIN (FORMAT JSON)
    talk.client(Parse(b"", b"q"), Bind(b"", b""), Execute(b""), Parse(b"", b"q"), SYNC_MESSAGE)
    said = talk.server(b"1\0\0\0\x04", b"2\0\0\0\x04", OK, OK, error("22012"))
    assert said[2:] == ["server Sync", "client ParseComplete", "client BindComplete", "client ErrorResponse 22012"]  # the rest is ignored
    assert talk.server(IDLE) == ["client ReadyForQuery I"]


def test_an_earlier_failure_of_the_batch_leaves_no_question_open() -> None:
    talk = book()
    talk.client(Parse(b"", b"q"), Bind(b"", b""), Execute(b""), SYNC_MESSAGE)
    assert talk.server(error("42601")) == ["server Sync", "client ErrorResponse 42601"]
    assert talk.server(IDLE) == ["client ReadyForQuery I"]
    assert talk.records("statement.intended") == []
    assert talk.client(Query(b"BEGIN")) == ["record statement.intended allow", "server Query"]


def test_where_nothing_depends_on_it_nothing_is_asked() -> None:
    deny = {"name": "never", "when": {"actions": ["delete"]}, "then": "deny", "workflow": None, "message": None, "shadow": False}
    talk = Playbook(bundle(rules=[SMALL, deny]), {"DELETE": FULL}).sign_in()
    talk.client(Query(b"DELETE"))
    assert talk.sent() == b""
    [refused] = talk.records("statement.intended")
    assert refused["reason"].startswith('rule "never"')
    assert "estimated_rows" not in refused
    assert book(when={"estimated_rows": {"over": 10}, "actions": ["insert"]}).client(Query(b"DELETE"))[-1] == "server Query"


@pytest.mark.parametrize("analysis", [one("truncate", writes=frozenset({"t"})), replace(FULL, statements=FULL.statements * 2), one("do")])
def test_what_cannot_be_planned_is_too_much(analysis: Any) -> None:
    talk = Playbook(bundle(rules=[SMALL]), {"x": analysis}).sign_in()
    assert "client ErrorResponse 42501" in talk.client(Query(b"x"))
    assert "unknown number of rows" in talk.records("statement.intended")[0]["reason"]


def test_long_parameters_were_not_kept() -> None:
    talk = book()
    long = Bind(b"", b"", (), (b"x" * (2 * long_bind.LONG),))
    said = talk.client(Parse(b"", b"q"), long, Execute(b""), SYNC_MESSAGE)
    assert "record statement.intended deny" in said


def test_a_cancel_while_the_planner_is_asked() -> None:
    talk = book()
    talk.client(Query(b"DELETE"))
    assert talk.give(ev.CancelRequested()) == ["CancelServer"]
    assert "client ErrorResponse 57014" in talk.server(OK, OK, b"1\0\0\0\x04", b"2\0\0\0\x04", error("57014"), IDLE)
    talk.client(Query(b"DELETE"))
    talk.give(ev.CancelRequested())
    assert "client ErrorResponse 57014" in talk.server(*answer(3, IDLE))


def test_a_policy_that_changes_meanwhile() -> None:
    talk = book()
    talk.client(Query(b"DELETE"))
    talk.environment.bundle = bundle(rules=[{**SMALL, "when": {"estimated_rows": {"over": 2}}}])
    assert "client ErrorResponse 42501" in talk.server(*answer(3, IDLE))
    talk.client(Query(b"DELETE"))
    talk.environment.bundle = bundle(rules=[SMALL], connection={"trusted_functions": ["f"]})
    assert "client ErrorResponse TG003" in talk.server(*answer(3, IDLE))


def test_in_a_failed_transaction_the_answer_is_the_servers() -> None:
    talk = book()
    talk.client(Query(b"DELETE"))
    assert talk.server(OK, OK, error("25P02"), FAILED)[-2:] == ["client ErrorResponse 25P02", "client ReadyForQuery E"]


def test_the_larger_of_what_is_returned_and_changed() -> None:
    update = {"Node Type": "ModifyTable", "Parent Relationship": "InitPlan", "Plan Rows": 0}
    fed = {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Plan Rows": 700}
    assert rows_of(plan(5)) == 5
    assert rows_of(plan(5, Plans=[{**update, "Plans": [fed, {**fed, "Parent Relationship": "InitPlan"}]}])) == 700
    assert rows_of(plan(0, **{"Node Type": "ModifyTable", "Plans": [{**fed, "Parent Relationship": "Member"}] * 3})) == 2100
    assert rows_of(plan(10**30)) == 2**53 - 1
    for unknown in (b"", b"[]", b'["Utility Statement"]', b"{", b'[{"Plan": {"Plan Rows": "x"}}]', b"[" * 100_000):
        assert rows_of(unknown) is None
