"""A statement that was approved for so many rows. (On real parts: tests/worker/test_previews.py.)"""

from typing import Any

from proxy import effects as fx
from proxy import events as ev
from proxy.wire.backend import CommandComplete, DataRow, RowDescription
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import HELD, bundle, one
from tests.proxy.session.playbook import FAILED, IDLE, IN_BLOCK, Playbook, error

PARSED, BOUND, CLOSED = b"1\0\0\0\x04", b"2\0\0\0\x04", b"3\0\0\0\x04"
BEGUN = (CLOSED, CLOSED, PARSED, BOUND, CommandComplete("BEGIN"), CLOSED, CLOSED, IN_BLOCK)
EXTENDED = (Parse(b"", b"delete"), Bind(b"", b""), Execute(b"", 1))
ROWS = [RowDescription(()), *(DataRow((str(n).encode(),)) for n in range(4))]


def approved(rows: int, *messages: Any, status: Any = IDLE, answers: tuple[bytes, ...] = (PARSED, BOUND), **policy: Any) -> Playbook:
    """A DELETE that was approved for so many rows, and what has been sent for it since."""
    book = Playbook(bundle(**HELD, **policy), {"delete": one("delete", writes=frozenset({"crm.orders"}))}).sign_in()
    if status is IN_BLOCK:
        book.client(Query(b"begin"))
        book.server(CommandComplete("BEGIN"), IN_BLOCK)
    book.client(*messages)
    if len(messages) > 1:
        book.server(*answers)
    book.effects.clear()
    book.give(ev.ApprovalAnswered("r1", "consumed", bound=rows))
    return book


def enclosed(rows: int) -> Playbook:
    """… by a simple Query outside of a transaction; the gateway's own has begun."""
    book = approved(rows, Query(b"delete"))
    assert b"BEGIN" in book.sent()
    assert b"delete" not in book.sent()
    assert book.server(*BEGUN) == ["record statement.intended approve", "server Query"]
    return book


def done(book: Playbook) -> tuple[str, str, str, int]:
    [fields] = [r for r in book.records("statement.completed") if r["tag"] != "BEGIN"]
    return fields["outcome"], fields["sqlstate"], fields["tag"], fields["rows"]


def test_a_query_gets_a_transaction_and_is_done_when_that_is() -> None:
    book = enclosed(2)
    assert book.server(CommandComplete("DELETE 2"), IN_BLOCK) == ["server Query"]
    assert book.sent().endswith(Query(b"COMMIT").encode())
    assert book.server(CommandComplete("COMMIT"), IDLE) == [
        "record statement.completed ok", "client CommandComplete", "client ReadyForQuery I",
    ]  # fmt: skip
    assert CommandComplete("DELETE 2").encode() in book.sent(fx.SendToClient)
    assert done(book) == ("ok", "", "DELETE 2", 2)


def test_one_row_more_is_rolled_back() -> None:
    book = enclosed(2)
    assert book.server(CommandComplete("DELETE 3"), IN_BLOCK) == ["server Query", "client ErrorResponse TG002"]
    assert book.sent().endswith(Query(b"ROLLBACK").encode())
    assert book.server(CommandComplete("ROLLBACK"), IDLE) == ["record statement.completed refused", "client ReadyForQuery I"]
    assert done(book) == ("refused", "TG002", "DELETE 3", 3)


def test_rows_that_it_shows_end_with_the_bound() -> None:
    book = enclosed(3)
    words = book.server(*ROWS)
    assert words == ["client RowDescription", "CancelServer", *["client DataRow"] * 3]
    book.server(error("57014"), FAILED)
    assert book.sent().endswith(Query(b"ROLLBACK").encode())
    book.server(CommandComplete("ROLLBACK"), IDLE)
    assert done(book)[:2] == ("refused", "TG002")


def test_its_own_error_is_its_end() -> None:
    book = enclosed(2)
    assert book.server(error("23505"), FAILED)[-1] == "client ErrorResponse 23505"
    assert book.server(CommandComplete("ROLLBACK"), IDLE) == ["record statement.completed error", "client ReadyForQuery I"]


def test_an_error_of_the_commit_is_its_end() -> None:
    book = enclosed(2)
    book.server(CommandComplete("DELETE 2"), IN_BLOCK)
    words = book.server(error("23503"), IDLE)
    assert words == ["record statement.completed error", "client ErrorResponse 23503", "client ReadyForQuery I"]


def test_a_commit_that_a_cancel_kept_from_beginning_is_rolled_back() -> None:
    book = enclosed(2)
    book.server(CommandComplete("DELETE 2"), IN_BLOCK)
    assert book.server(error("57014"), FAILED) == ["server Query", "client ErrorResponse 57014"]
    assert book.sent().endswith(Query(b"ROLLBACK").encode())
    assert book.server(CommandComplete("ROLLBACK"), IDLE)[-1] == "client ReadyForQuery I"
    assert done(book)[:2] == ("error", "57014")
    assert b"DELETE 2" not in book.sent(fx.SendToClient)


def test_nothing_is_sent_where_no_transaction_could_be_begun() -> None:
    book = approved(2, Query(b"delete"))
    words = book.server(CLOSED, CLOSED, PARSED, BOUND, error("57014"), IDLE)
    assert words[-2:] == ["client ErrorResponse TG003", "client ReadyForQuery I"]
    assert b"delete" not in book.sent()


def test_a_session_that_ends_meanwhile_has_lost_it() -> None:
    for answers in ((), (CommandComplete("DELETE 2"), IN_BLOCK)):
        book = enclosed(2)
        if answers:
            book.server(*answers)
        book.give(ev.ServerGone())
        assert done(book)[0] == "lost"


def test_in_a_transaction_that_is_made_to_fail() -> None:
    book = approved(2, Query(b"delete"), status=IN_BLOCK)
    assert book.client(Query(b"commit")) == [], "not before it is known how many rows changed"
    words = book.server(CommandComplete("DELETE 3"), IN_BLOCK)
    assert words == ["record statement.completed refused", "server Execute", "server Sync", "client ErrorResponse TG002"]
    assert Query(b"commit").encode() not in book.sent()
    assert "client ReadyForQuery E" in book.server(error("34000"), FAILED)
    assert Query(b"commit").encode() in book.sent()


def test_in_a_transaction_that_goes_on() -> None:
    book = approved(2, Query(b"delete"), status=IN_BLOCK)
    assert book.server(CommandComplete("DELETE 2"), IN_BLOCK)[-1] == "client ReadyForQuery T"


def test_a_portal_is_run_to_its_end_before_anything_else() -> None:
    """However many rows were asked for: the tag comes behind the last of them."""
    book = approved(2, *EXTENDED, SYNC_MESSAGE)
    assert book.sent() == Execute(b"").encode() + b"H\0\0\0\x04"
    assert book.server(CommandComplete("DELETE 2")) == ["record statement.completed ok", "server Sync", "client CommandComplete"]


def test_a_batch_with_a_portal_that_changes_more_fails() -> None:
    book = approved(2, *EXTENDED, SYNC_MESSAGE)
    words = book.server(CommandComplete("DELETE 3"))
    assert words == ["record statement.completed refused", "server Execute", "server Sync", "client ErrorResponse TG002"]
    assert b"-none\0" in book.sent(), "of a portal that is not there"
    assert book.server(error("34000"), IDLE) == ["client ReadyForQuery I"]
    assert done(book)[:2] == ("refused", "TG002")


def test_the_lower_of_two_limits_ends_the_rows() -> None:
    for bound, sqlstate in ((1, "TG002"), (3, "54000")):
        book = approved(bound, *EXTENDED, SYNC_MESSAGE, connection={"max_rows": 2})
        book.server(*ROWS[1:], CommandComplete("DELETE 4"))
        assert done(book)[:2] == ("refused", sqlstate)


def test_a_query_behind_messages_without_a_sync_could_not_be_undone_alone() -> None:
    book = approved(2, Parse(b"x", b"select"), Query(b"delete"), answers=(PARSED,))
    assert b"TG003" in book.sent(fx.SendToClient)
    assert done(book)[:2] == ("refused", "TG003")
    assert b"delete" not in book.sent()
