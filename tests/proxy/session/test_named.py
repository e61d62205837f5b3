"""What SQL runs by a name: EXECUTE and FETCH."""

from typing import Any

import pytest

from proxy.sql.facts import Analysis, MaskPlan
from proxy.wire.backend import CommandComplete
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Parse, Query
from tests.proxy.session.example import HELD, MASKED, bundle, one
from tests.proxy.session.playbook import IDLE, Playbook

PARSED, BOUND = b"1\0\0\0\x04", b"2\0\0\0\x04"
FORWARDED = {"server Query", "server Parse", "server Bind", "server Execute"}
READS = {"reads": frozenset({"crm.customers"})}



def refused(book: Playbook, message: Any, sqlstate: str = "TG003") -> bool:
    words = book.client(message)
    return f"client ErrorResponse {sqlstate}" in words and FORWARDED.isdisjoint(words)



def masked(analyses: dict[str, Analysis] | None = None, **policy: Any) -> Playbook:
    return Playbook(bundle(**{**MASKED, **policy}), analyses).sign_in()



DELETE = {"delete": one("delete", writes=frozenset({"crm.orders"}))}
PARSED, BOUND = b"1\0\0\0\x04", b"2\0\0\0\x04"
RUN = ["record statement.intended approve", "server Query"]



def held(analyses: dict[str, Any] | None = None, **policy: Any) -> Playbook:
    return Playbook(bundle(**{**HELD, **policy}), analyses or DELETE).sign_in()




def test_a_sql_prepared_statement_after_masks_changed() -> None:
    prepare, execute = one("prepare", actions={"prepare", "select"}), one("prepare", runs_prepared=True)
    book = masked({"prepare": prepare, "execute": execute})
    book.client(Query(b"prepare"))
    book.server(CommandComplete("PREPARE"), IDLE)
    book.environment.bundle = bundle(masking=[{"name": "n", "columns": ["crm.customers.name"], "method": {"name": "redact"}}])
    assert refused(book, Query(b"execute"))


def test_a_cursor_declared_before_masks_changed() -> None:
    book = masked({"declare": one("cursor", actions={"cursor", "select"}), "fetch": one("cursor")})
    book.client(Query(b"declare"))
    book.server(CommandComplete("DECLARE CURSOR"), IDLE)
    book.environment.bundle = bundle(masking=[{"name": "n", "columns": ["crm.customers.name"], "method": {"name": "redact"}}])
    assert refused(book, Query(b"fetch"))


def test_what_needs_approval_cannot_be_prepared_in_sql() -> None:
    prepare = one("prepare", actions={"prepare", "delete"})
    book = held({"prepare p as delete": prepare})
    assert "client ErrorResponse TG003" in book.client(Query(b"prepare p as delete"))


def test_sql_execute_cannot_run_what_needs_approval() -> None:
    execute = one("prepare", runs_prepared=True)
    book = held({**DELETE, "execute s": execute})
    book.client(Parse(b"s", b"delete"), SYNC_MESSAGE)  # a Parse runs nothing and is not held
    book.server(PARSED, IDLE)
    assert "client ErrorResponse TG003" in book.client(Query(b"execute s"))
    assert b"execute s" not in book.sent()


SECRET = {"secret": one("select", MaskPlan("result", masked=("crm.customers.ssn",)), **READS)}


@pytest.mark.parametrize(("action", "stops"), [("create", True), ("explain", True), ("prepare", False)])
def test_sql_that_keeps_what_a_parsed_statement_yields(action: str, stops: bool) -> None:
    book = masked({**SECRET, "sql": one(action, runs_prepared=True)})
    book.client(Parse(b"s", b"secret"), SYNC_MESSAGE)
    book.server(PARSED, IDLE)
    assert refused(book, Query(b"sql")) is stops


@pytest.mark.parametrize(
    ("text", "facts", "stops"),
    [
        ("do fetch", {"action": "do"}, True),
        ("do something", {"action": "do"}, False),
        ("update", {"action": "update", "writes": frozenset({"crm.orders"})}, False),
        ("select f() -- fetch", {"action": "select", "functions": frozenset({"crm.f"})}, True),
        ("select lower() -- fetch", {"action": "select", "functions": frozenset({"pg_catalog.lower"})}, False),
    ],
)
def test_code_while_a_masked_portal_is_open(text: str, facts: dict[str, Any], stops: bool) -> None:
    book = masked({**SECRET, text: one(**facts)})
    book.client(Parse(b"", b"secret"), Bind(b"p", b""), SYNC_MESSAGE)
    book.server(PARSED, BOUND, b"Z\0\0\0\x05T")
    assert ("record statement.intended deny" in book.client(Query(text.encode()))) is stops
