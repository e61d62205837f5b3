"""What an approver is shown, and what an approval covers."""

import dataclasses
from typing import Any

import pytest

from proxy import effects as fx
from proxy.session import approval
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import HELD, bundle, one
from tests.proxy.session.playbook import Playbook

DELETE = {"delete": one("delete", writes=frozenset({"crm.orders"}))}
PARSED, BOUND = b"1\0\0\0\x04", b"2\0\0\0\x04"
RUN = ["record statement.intended approve", "server Query"]


def held(analyses: dict[str, Any] | None = None, **policy: Any) -> Playbook:
    return Playbook(bundle(**{**HELD, **policy}), analyses or DELETE).sign_in()


def request(book: Playbook) -> dict[str, Any]:
    return dict([e for e in book.effects if isinstance(e, fx.RequestApproval)][-1].request)


def test_what_the_approver_is_told() -> None:
    book = held()
    book.client(Parse(b"", b"delete", (20, 0)), Bind(b"", b"", (1, 0), (b"\0\0\0\0\0\0\0\x07", b"x")), Execute(b""), SYNC_MESSAGE)
    book.server(PARSED, BOUND)
    told = request(book)
    assert told["parameters"] == [{"n": 1, "oid": 20, "text": "7"}, {"n": 2, "oid": 0, "text": "x"}]
    assert (told["sql"], told["subject"], told["connection"], told["workflow"]) == ("delete", "bot", "crm", "owners")
    assert (told["relations"], told["actions"], told["in_transaction"]) == (["crm.orders"], ["delete"], False)
    assert set(told) == {
        "binding", "workflow", "subject", "issuer", "connection", "database", "session", "statement", "decision", "sql", "parameters",
        "actions", "relations", "reason", "rules", "masked", "bundle", "in_transaction", "client", "application", "run",
        "normalised", "shape", "preview", "bound",
    }  # fmt: skip


def test_the_binding_covers_text_and_parameters() -> None:
    bindings = set()
    for value in (b"7", b"8", None):
        book = held()
        book.client(Parse(b"", b"delete"), Bind(b"", b"", (), (value,)), Execute(b""), SYNC_MESSAGE)
        book.server(PARSED, BOUND)
        bindings.add(request(book)["binding"])
    for _ in range(2):
        book = held()
        book.client(Query(b"delete"))
        bindings.add(request(book)["binding"])
    assert len(bindings) == 4


def test_binary_values_of_unknown_types_are_shown_in_hexadecimal() -> None:
    book = held()
    book.client(Parse(b"", b"delete"), Bind(b"", b"", (1,), (b"\x01\x02",)), Execute(b""), SYNC_MESSAGE)
    book.server(PARSED, BOUND)
    assert request(book)["parameters"][0]["text"] == "\\x0102"


def shape_of(analysis: Any, text: str = "delete", **policy: Any) -> str:
    book = held({text: analysis}, **policy)
    book.client(Query(text.encode()))
    return str(request(book)["shape"])


def test_a_shape_is_the_statement_without_its_values() -> None:
    one_value, another = one("delete", writes=frozenset({"crm.orders"})), one("delete", writes=frozenset({"crm.orders"}))
    assert shape_of(one_value, "delete") == shape_of(another, "delete where 8") != ""
    assert request_of(one_value, "delete")["binding"] != request_of(another, "delete where 8")["binding"]


def request_of(analysis: Any, text: str) -> dict[str, Any]:
    book = held({text: analysis})
    book.client(Query(text.encode()))
    return request(book)


def test_under_another_search_path_the_same_text_is_another_statement() -> None:
    here, there = one("delete", writes=frozenset({"crm.orders"})), one("delete", writes=frozenset({"archive.orders"}))
    assert shape_of(here) != shape_of(there)
    assert request_of(here, "delete")["binding"] != request_of(there, "delete")["binding"]


def test_where_values_decide_what_a_statement_does_it_has_no_shape() -> None:
    assert shape_of(one("delete", actions=frozenset({"delete", "function"}))) == ""


@pytest.mark.parametrize("change", ["subject", "connection", "database", "path", "masks", "types"])
def test_binding_and_shape_cover_where_and_how_it_is_read(change: str) -> None:
    book = held()
    book.client(Parse(b"", b"delete", (20,)), Bind(b"", b"", (), (b"7",)), Execute(b""), SYNC_MESSAGE)
    book.server(b"1\0\0\0\x04", b"2\0\0\0\x04")
    hold, state = book.session._relay.holder.hold, book.session._relay.state
    before = approval.binding(state, hold.prospect), approval.shape(state, hold.prospect)
    match change:
        case "subject":
            state.identity = dataclasses.replace(state.who, subject="other")
        case "connection" | "database":
            setattr(state, change, "other")
        case "path":
            hold.prospect.context = dataclasses.replace(hold.prospect.context, path=("pg_catalog", "archive"))
        case "masks":
            masks = dataclasses.replace(hold.prospect.context.masks, digest="0" * 64)
            hold.prospect.context = dataclasses.replace(hold.prospect.context, masks=masks)
        case "types":
            hold.prospect.portal.prepared.declared = (25,)
    after = approval.binding(state, hold.prospect), approval.shape(state, hold.prospect)
    assert "" not in before + after
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_name_of_a_session_s_temporary_schema_says_nothing() -> None:
    book = held()
    book.client(Query(b"delete"))
    hold, state, found = book.session._relay.holder.hold, book.session._relay.state, set()
    for path in (("pg_temp_3", "crm"), ("pg_temp_44", "crm"), ("crm",)):
        hold.prospect.context = dataclasses.replace(hold.prospect.context, path=path)
        found.add(approval.binding(state, hold.prospect))
    assert len(found) == 2
