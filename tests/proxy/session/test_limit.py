"""What ends a statement that is running: how many rows it has, and how long it takes. (On real parts: tests/worker/test_limits.py.)"""

import pytest

from proxy import effects as fx
from proxy import events as ev
from proxy.sql.facts import CopyOut
from proxy.wire.backend import CommandComplete, CopyOutResponse, DataRow, RowDescription
from proxy.wire.copy_data import BINARY_END, CopyFormat
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import NOW, bundle, one
from tests.proxy.session.playbook import FAILED, IDLE, IN_BLOCK, Playbook, error

PARSED, BOUND = b"1\0\0\0\x04", b"2\0\0\0\x04"
RUN = (Parse(b"", b"select"), Bind(b"", b""), Execute(b""))
INSERT = (Parse(b"", b"insert"), Bind(b"", b""), Execute(b""))
RETURNING = (Parse(b"", b"insert returning"), Bind(b"", b""), Execute(b""))
COLUMNS = RowDescription(())
ANALYSES = {
    name: one("insert", writes=frozenset({"crm.customers"})) for name in ("insert", "insert returning")
}  # fmt: skip


def rows(first: int, last: int) -> list[DataRow]:
    return [DataRow((str(number).encode(),)) for number in range(first, last + 1)]


def limited(most: int = 3, analyses: dict[str, object] | None = None) -> Playbook:
    return Playbook(bundle(connection={"max_rows": most}), {**ANALYSES, **(analyses or {})}).sign_in()


def to_server(words: list[str]) -> list[str]:
    return [word for word in words if word.startswith("server")]


def outcomes(book: Playbook) -> list[tuple[str, str, int]]:
    return [(r["outcome"], r["sqlstate"], r["rows"]) for r in book.records("statement.completed")]


def test_as_many_rows_as_are_allowed() -> None:
    book = limited()
    book.client(Query(b"select"))
    book.server(COLUMNS, *rows(1, 3), CommandComplete("SELECT 3"), IDLE)
    assert outcomes(book) == [("ok", "", 3)]


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_one_row_more_ends_a_query_and_stops_the_server(piece: int) -> None:
    book = limited()
    book.client(Query(b"select"))
    data = b"".join(row.encode() for row in rows(1, 9))
    words = [word for start in range(0, len(data), piece) for word in book.give(ev.ServerData(data[start : start + piece]))]
    assert words.count("CancelServer") == 1
    assert [effect.wait for effect in book.effects if isinstance(effect, fx.CancelServer)] == [True]
    assert book.sent(fx.SendToClient) == data[: 3 * 12]
    assert book.server(*rows(10, 12), error("57014"), IDLE) == [
        "record statement.completed refused", "client ErrorResponse 54000", "client ReadyForQuery I",
    ]  # fmt: skip
    assert outcomes(book) == [("refused", "54000", 3)]


def test_a_server_that_was_faster_than_the_cancel() -> None:
    book = limited()
    book.client(Query(b"select"))
    words = book.server(COLUMNS, *rows(1, 4), CommandComplete("SELECT 4"), COLUMNS, *rows(1, 1), CommandComplete("SELECT 1"), IDLE)
    assert [word for word in words if not word.startswith("client DataRow")] == [
        "record statement.completed refused", "client RowDescription", "CancelServer", "client ErrorResponse 54000",
        "client ReadyForQuery I",
    ]  # fmt: skip
    assert b"stands" in book.sent(fx.SendToClient)


def test_an_open_transaction_is_made_to_fail() -> None:
    for messages, answers in (((Query(b"select"),), ()), ((*RUN, SYNC_MESSAGE), (PARSED, BOUND))):
        book = limited()
        book.client(Query(b"begin"))
        book.server(CommandComplete("BEGIN"), IN_BLOCK)
        book.client(*messages)
        words = book.server(*answers, *rows(1, 4), CommandComplete("SELECT 4"), IN_BLOCK)
        assert words[-1] == "client ErrorResponse 54000"
        assert to_server(words) == ["server Execute", "server Sync"]
        assert book.server(error("34000"), FAILED) == ["client ReadyForQuery E"]
        assert b"stands" not in book.sent(fx.SendToClient)
        assert book.client(Query(b"select"))[-1] == "server Query"


def test_a_portal_counts_however_it_is_fetched_from() -> None:
    book = limited()
    book.client(Query(b"begin"))
    book.server(CommandComplete("BEGIN"), IN_BLOCK)
    book.client(Parse(b"", b"select"), Bind(b"p", b""), Execute(b"p", 2), SYNC_MESSAGE)
    assert "client PortalSuspended" in book.server(PARSED, BOUND, *rows(1, 2), b"s\0\0\0\x04", IN_BLOCK)
    book.client(Execute(b"p", 2), SYNC_MESSAGE)
    words = book.server(*rows(3, 4), b"s\0\0\0\x04", IN_BLOCK)
    assert words[-1] == "client ErrorResponse 54000"
    assert to_server(words) == ["server Execute", "server Sync"]
    assert "client PortalSuspended" not in words
    assert outcomes(book)[1:] == [("ok", "", 2), ("refused", "54000", 1)]


def test_what_changes_something_waits_for_the_rows_before_it() -> None:
    book = limited()
    sent = ["Parse", "Bind", "Execute", "Parse", "Bind", "Flush"]
    assert to_server(book.client(*RUN, *INSERT)) == [f"server {name}" for name in sent]
    assert book.client(SYNC_MESSAGE) == []
    words = book.server(PARSED, BOUND, *rows(1, 4), CommandComplete("SELECT 4"), PARSED, BOUND)
    assert "client CommandComplete" not in words
    assert words.count("client ParseComplete") == 1
    assert to_server(words) == ["server Execute", "server Sync"], "of a portal that is not there"
    assert book.server(error("34000"), IDLE)[-1] == "client ReadyForQuery I"
    assert [outcome for outcome, _, _ in outcomes(book)] == ["refused"]
    assert len(book.records("statement.intended")) == 1


def test_what_changes_something_runs_behind_rows_that_are_not_too_many() -> None:
    book = limited()
    book.client(*RUN, *INSERT, SYNC_MESSAGE)
    words = book.server(PARSED, BOUND, *rows(1, 3), CommandComplete("SELECT 3"), PARSED, BOUND)
    assert to_server(words) == ["server Execute", "server Sync"]
    assert book.server(CommandComplete("INSERT 0 1"), IDLE)[-1] == "client ReadyForQuery I"
    assert book.client(*INSERT, *INSERT, SYNC_MESSAGE)[-1] == "server Sync", "without rows nobody waits"


def test_the_commit_of_a_change_waits_for_its_own_rows() -> None:
    book = limited()
    assert book.client(*RETURNING, SYNC_MESSAGE)[-1] == "server Flush"
    words = book.server(PARSED, BOUND, *rows(1, 4), CommandComplete("INSERT 0 4"))
    assert to_server(words) == ["server Execute"]
    assert book.server(error("34000")) == ["server Sync"]
    assert book.server(IDLE)[-1] == "client ReadyForQuery I"
    assert outcomes(book) == [("refused", "54000", 3)]
    book.client(*RETURNING, SYNC_MESSAGE)
    assert to_server(book.server(PARSED, BOUND, *rows(1, 3), CommandComplete("INSERT 0 3"))) == ["server Sync"]
    assert book.server(IDLE)[-1] == "client ReadyForQuery I"


def test_reads_behind_it_in_the_pipeline_are_not_seen() -> None:
    book = limited()
    book.client(*RUN, *RUN, SYNC_MESSAGE)
    words = book.server(PARSED, BOUND, *rows(1, 4), CommandComplete("SELECT 4"))
    words += book.server(PARSED, BOUND, *rows(1, 1), CommandComplete("SELECT 1"), IDLE)
    assert words[-2:] == ["client ErrorResponse 54000", "client ReadyForQuery I"]
    assert words.count("client DataRow") == 3
    assert [outcome for outcome, _, _ in outcomes(book)] == ["refused", "cancelled"]


def test_a_later_batch_is_not_hit_by_the_cancel() -> None:
    book = limited()
    book.client(*RUN, SYNC_MESSAGE, *RUN, SYNC_MESSAGE)
    assert "CancelServer" not in book.server(PARSED, BOUND, *rows(1, 4))
    assert book.server(CommandComplete("SELECT 4"), IDLE)[-2:] == ["client ErrorResponse 54000", "client ReadyForQuery I"]
    assert book.server(PARSED, BOUND, *rows(1, 3), CommandComplete("SELECT 3"), IDLE)[-1] == "client ReadyForQuery I"


@pytest.mark.parametrize(
    ("form", "header", "more"), [(CopyFormat(), False, []), (CopyFormat(), True, []), (CopyFormat("binary"), False, [BINARY_END])]
)
@pytest.mark.parametrize("piece", [1, 1000])
def test_rows_of_a_copy(form: CopyFormat, header: bool, more: list[bytes], piece: int) -> None:
    line = b"d\0\0\0\x061\n"
    for count, outcome in ((3, "ok"), (4, "refused")):
        book = limited(3, {"copy": one("copy_to", copy_out=CopyOut(form, header, types=(25,)))})
        book.client(Query(b"copy"))
        begin = CopyOutResponse(0, 1).encode()
        data = begin + line * (count + header) + b"".join(more)
        for start in range(0, len(data), piece):
            book.give(ev.ServerData(data[start : start + piece]))
        book.server(b"c\0\0\0\x04", CommandComplete(f"COPY {count}"), IDLE)
        assert [r["outcome"] for r in book.records("statement.completed")] == [outcome]
        assert book.sent(fx.SendToClient).startswith(begin + line * (3 + header) + (b"".join(more) if outcome == "ok" else b"E"))


def test_a_copy_in_behind_a_result_that_was_cut_off_ends_the_session() -> None:
    book = limited()
    book.client(Query(b"select; copy"))
    words = book.server(*rows(1, 4), CommandComplete("SELECT 4"), b"G\0\0\0\x07\0\0\0")
    assert words[-1] == "Close"


def test_what_takes_too_long_is_cancelled_whatever_was_set() -> None:
    book = Playbook(bundle(connection={"statement_timeout_ms": 500})).sign_in()
    book.client(*RUN, SYNC_MESSAGE)
    book.now = NOW + 1.4
    assert book.give(ev.Tick()) == ["WakeAt"]
    book.now = NOW + 1.6
    assert book.give(ev.Tick()) == ["CancelServer", "WakeAt"]
    words = book.server(PARSED, BOUND, error("57014", "canceling statement due to user request"), IDLE)
    assert words[-2:] == ["client ErrorResponse 57014", "client ReadyForQuery I"]
    assert b"due to statement timeout" in book.sent(fx.SendToClient)


def test_in_a_pipeline_a_statement_begins_when_the_one_before_has_ended() -> None:
    book = Playbook(bundle(connection={"statement_timeout_ms": 500})).sign_in()
    book.client(*RUN, *RUN, SYNC_MESSAGE)
    book.now = NOW + 1.2
    book.server(PARSED, BOUND, CommandComplete("SELECT 0"))
    book.now = NOW + 1.6
    assert "CancelServer" not in book.give(ev.Tick())
    book.now = NOW + 2.8
    assert "CancelServer" in book.give(ev.Tick())
