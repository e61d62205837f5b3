"""Messages that are handled before their end has come: whatever else happens meanwhile."""

import dataclasses
import hashlib

import pytest

from proxy import events as ev
from proxy.wire.backend import CommandComplete
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import MASKED, bundle, one, rule
from tests.proxy.session.playbook import IDLE, Playbook, error

PARSED, BOUND = b"1\0\0\0\x04", b"2\0\0\0\x04"
VALUE = b"v" * 300_000
LONG = Bind(b"", b"s", (), (VALUE,)).encode()


def prepared(book: Playbook | None = None) -> Playbook:
    book = (book or Playbook()).sign_in()
    book.client(Parse(b"s", b"insert"), SYNC_MESSAGE)
    book.server(PARSED, IDLE)
    book.effects.clear()
    return book


def in_pieces(book: Playbook, data: bytes, size: int = 50_000) -> None:
    for start in range(0, len(data), size):
        book.client(data[start : start + size])


def recorded(book: Playbook) -> str:
    (record,) = book.records("statement.intended")
    (text,) = record["parameters"]
    return str(text)


@pytest.mark.parametrize("size", [7, 4_000, 65_536, 299_999, 400_000])
def test_a_long_bind_goes_to_the_server_as_it_comes_and_is_recorded_by_its_digest(size: int) -> None:
    book = prepared()
    book.client(LONG[:100_000])
    assert book.sent() == LONG[:100_000]
    in_pieces(book, LONG[100_000:], size)
    assert book.sent() == LONG
    words = book.client(Execute(b""), SYNC_MESSAGE)
    assert words == ["record statement.intended allow", "server Execute", "server Sync"]
    assert recorded(book).endswith(f"(+{300_000 - 65_536} bytes, sha256 {hashlib.sha256(VALUE).hexdigest()})")
    assert book.server(BOUND, CommandComplete("INSERT 0 1"), IDLE)[-1] == "client ReadyForQuery I"


def test_nothing_of_it_leaves_before_its_names_are_known() -> None:
    book = prepared()
    message = Bind(b"p" * 60, b"s", (), (VALUE,)).encode()
    assert book.client(message[:40]) == []
    in_pieces(book, message[40:])
    assert book.sent() == message


def test_a_long_bind_of_an_unknown_statement_is_refused_and_dropped() -> None:
    book = Playbook(bundle(**MASKED)).sign_in()
    message = Bind(b"", b"nope", (), (VALUE,)).encode()
    assert book.client(message[:50_000]) == ["client ErrorResponse 26000"]
    assert book.client(message[50_000:]) == []
    assert book.client(Execute(b""), SYNC_MESSAGE) == ["server Sync"]
    assert VALUE[:100] not in book.sent()


def test_it_waits_for_what_its_statement_means_now() -> None:
    book = prepared(Playbook(bundle(**MASKED)))
    book.client(Query(b"select 1"))
    book.environment.catalogs["crm", "crm_db"] = dataclasses.replace(book.environment.catalogs["crm", "crm_db"], digest="other")
    book.server(CommandComplete("SELECT 1"), IDLE)
    book.effects.clear()
    book.answer_analyses = False
    assert book.client(LONG[:70_000]) == ["Analyse"]
    assert "PauseClient" in book.client(LONG[70_000:])
    assert book.sent() == b""
    book.give(ev.Analysed(one("select")))
    assert book.sent() == LONG


def test_a_policy_that_changes_while_it_comes_in_keeps_it_from_running() -> None:
    book = prepared(Playbook(bundle(**MASKED)))
    book.client(LONG[:70_000])
    book.environment.catalogs["crm", "crm_db"] = dataclasses.replace(book.environment.catalogs["crm", "crm_db"], digest="other")
    book.client(LONG[70_000:])
    words = book.client(Execute(b""), SYNC_MESSAGE)
    assert words[:2] == ["record statement.intended deny", "record statement.completed refused"]
    (record,) = book.records("statement.intended")
    assert "changed while the values of the portal came in" in record["reason"]


def test_an_earlier_error_of_the_pipeline_meanwhile() -> None:
    book = Playbook().sign_in()
    book.client(Parse(b"s", b"wrong"), LONG[:70_000])
    assert book.server(error("42601")) == ["client ErrorResponse 42601"]
    in_pieces(book, LONG[70_000:])
    assert book.sent().endswith(LONG[-1000:])  # what has begun must be ended
    assert book.client(Execute(b""), SYNC_MESSAGE) == ["server Sync"]
    assert book.server(IDLE) == ["client ReadyForQuery I"]
    assert book.records("statement.intended") == []
    book.client(Query(b"select 1"))
    assert book.server(CommandComplete("SELECT 1"), IDLE)[-1] == "client ReadyForQuery I"


def test_a_malformed_one_is_answered_by_the_server_and_its_portal_never_runs() -> None:
    book = prepared()
    malformed = LONG[:-2] + b"\0\7"
    in_pieces(book, malformed)
    assert book.sent() == malformed
    assert book.client(Execute(b""))[0] == "record statement.intended deny"
    assert book.client(SYNC_MESSAGE) == ["server Sync"]
    assert [word for word in book.server(error("08P01"), IDLE) if word.startswith("client")] == [
        "client ErrorResponse 08P01", "client ReadyForQuery I",
    ]  # fmt: skip


def test_names_without_an_end_are_malformed_and_the_session_goes_on() -> None:
    book = prepared()
    endless = b"B" + (300_004).to_bytes(4, "big") + b"n" * 300_000
    words = [word for start in range(0, len(endless), 50_000) for word in book.client(endless[start : start + 50_000])]
    assert words == ["client ErrorResponse 08P01"]
    assert book.client(SYNC_MESSAGE) == ["server Sync"]
    assert book.server(IDLE) == ["client ReadyForQuery I"]
    assert b"nnn" not in book.sent()


def test_what_is_skipped_is_not_kept() -> None:
    book = Playbook(bundle(rules=[rule("drop", "deny")]), {"drop table t": one("drop")}).sign_in()
    book.client(Parse(b"", b"drop table t"))
    book.client(LONG[:200_000])
    assert book.session._state.reader.waiting() == 0
    book.client(LONG[200_000:], SYNC_MESSAGE)
    assert book.sent() == SYNC_MESSAGE


def test_a_session_that_drains_waits_for_the_end() -> None:
    book = prepared()
    book.client(LONG[:70_000])
    assert book.give(ev.Drain()) == []
    assert book.client(LONG[70_000:], Execute(b""), SYNC_MESSAGE)[0] == "record statement.intended allow"
    assert book.server(BOUND, CommandComplete("INSERT 0 1"), IDLE)[-1] == "Close"


def test_a_name_that_differs_only_where_the_server_cuts_it_off_is_the_same() -> None:
    book = Playbook().sign_in()
    book.client(Parse(b"n" * 63 + b"1", b"first"), Bind(b"p" * 64, b"n" * 63 + b"2"), Execute(b"p" * 63), SYNC_MESSAGE)
    assert [record["sql"] for record in book.records("statement.intended")] == ["first"]
