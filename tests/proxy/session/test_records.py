"""The fields of records are those of docs/contracts.md §5, and of the ledger's classes."""

from dataclasses import replace

from proxy import events as ev
from proxy.session.records import run_in
from proxy.wire.backend import CommandComplete
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import one
from tests.proxy.session.playbook import IDLE, Playbook

INTENDED = {
    "session", "statement", "subject", "issuer", "connection", "database", "client", "application", "run", "protocol", "actions",
    "relations", "columns", "functions", "normalised", "decision", "decision_id", "reason", "rules", "would", "bundle", "catalog", "plan",
    "masked", "approval", "sql", "parameters", "statements",
}  # fmt: skip
COMPLETED = {"statement", "session", "outcome", "tag", "rows", "bytes", "masked_cells", "sqlstate", "duration_us"}


def test_intended_and_completed() -> None:
    book = Playbook(analyses={"q": one("select", reads=frozenset({"b", "a"}), functions=frozenset({"f"}))}).sign_in()
    book.client(Parse(b"", b"q"), Bind(b"", b"", (), (b"7", None)), Execute(b""), SYNC_MESSAGE)
    book.now += 0.25
    book.server(b"1\0\0\0\x04", b"2\0\0\0\x04", CommandComplete("UPDATE 3"), IDLE)
    [intended], [completed] = book.records("statement.intended"), book.records("statement.completed")
    assert set(intended) == INTENDED
    assert set(completed) == COMPLETED
    assert (intended["relations"], intended["functions"], intended["protocol"]) == (["a", "b"], ["f"], "extended")
    assert intended["parameters"] == ["7", None]
    assert intended["subject"] == "bot"
    assert intended["statement"] == completed["statement"]
    assert (completed["rows"], completed["duration_us"], completed["outcome"]) == (3, 250_000, "ok")


def test_what_a_token_added_is_recorded() -> None:
    book = Playbook(analyses={"q": one("select")}).sign_in()
    state = book.session._state
    state.identity = replace(state.who, groups=frozenset({"b", "a"}))
    book.client(Query(b"q"))
    assert book.records("statement.intended")[0]["groups"] == ["a", "b"]


def test_sessions() -> None:
    book = Playbook()
    book.sign_in()
    book.client(Query(b"q"))
    book.server(CommandComplete("SELECT 0"), IDLE)
    book.give(ev.ClientGone())
    [closed] = book.records("session.closed")
    assert (closed["statements"], closed["reason"]) == (1, "client gone")


def test_the_run_in_a_sqlcommenter_comment() -> None:
    assert run_in("select 1 /*app='x',run='r%207'*/;") == "r 7"
    assert run_in("select 1 /*tidegate.run='r'*/") == "r"
    for text in ("select 1", "/*run='r'*/ select 1", "select 1 /*prune='r'*/", "select 1 /*run=*/", "/*" * 5000):
        assert run_in(text) == ""
