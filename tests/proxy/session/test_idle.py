"""Sessions that ask for nothing, and what does not count as that."""

from typing import Any

from proxy import effects as fx
from proxy import events as ev
from proxy.wire.backend import CommandComplete, NotificationResponse
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import HELD, NOW, bundle, one
from tests.proxy.session.playbook import FAILED, IDLE, IN_BLOCK, Playbook, error

ENDED = ["record session.closed", "client ErrorResponse 57P05", "server Terminate", "Close"]


def started(timeout: int | None = 60, **policy: Any) -> Playbook:
    """Somebody signed in at NOW."""
    return Playbook(bundle(connection={"idle_timeout": timeout}, **policy), {"delete": one("delete")}).sign_in()


def tick(book: Playbook, after: float) -> list[str]:
    """So many seconds after the sign-in."""
    book.now = NOW + after
    book.effects.clear()
    return book.give(ev.Tick())


def woken(book: Playbook) -> float:
    """When the worker is to wake the session, in seconds after the sign-in."""
    (wake,) = [effect for effect in book.effects if isinstance(effect, fx.WakeAt)]
    return wake.when - NOW


def test_a_session_that_never_asks_for_anything_ends() -> None:
    book = Playbook(bundle(connection={"idle_timeout": 60}))
    kept, book.effects = book.effects, type("Kept", (list,), {"clear": lambda self: None})()
    book.sign_in()
    assert kept == []
    assert woken(book) == 60
    book.now = NOW + 60
    assert book.give(ev.Tick()) == ENDED
    assert b"terminating connection due to idle-session timeout" in book.sent(fx.SendToClient)


def test_without_the_setting_nobody_is_woken() -> None:
    book = Playbook()
    book.sign_in()
    assert tick(book, 1000) == []
    assert book.client(Query(b"a"))[-1] == "server Query"


def test_the_timer_is_not_set_anew_by_what_a_client_does() -> None:
    book = started()
    book.now = NOW + 40
    book.client(Query(b"a"))
    book.now = NOW + 50
    book.server(CommandComplete("SELECT 0"), IDLE)
    assert not [effect for effect in book.effects if isinstance(effect, fx.WakeAt)]
    assert tick(book, 60) == ["WakeAt"]
    assert woken(book) == 110
    assert tick(book, 110) == ENDED


def test_a_statement_under_way_is_not_idleness() -> None:
    book = started()
    book.client(Query(b"a"))
    assert tick(book, 60) == ["WakeAt"]
    assert tick(book, 120) == ["WakeAt"]
    book.now = NOW + 130
    book.server(CommandComplete("SELECT 0"), IDLE)
    assert tick(book, 180) == ["WakeAt"]
    assert woken(book) == 190


def test_neither_is_a_batch_without_its_sync_nor_an_analysis() -> None:
    book = started()
    book.client(Parse(b"", b"a"))
    assert tick(book, 60) == ["WakeAt"]
    book = started()
    book.answer_analyses = False
    book.client(Query(b"a"))
    assert tick(book, 60) == ["WakeAt"]


def test_what_the_server_says_on_its_own_is_no_activity() -> None:
    book = started()
    book.now = NOW + 50
    assert book.server(NotificationResponse(1, "c", "")) == ["client NotificationResponse"]
    assert tick(book, 60) == ENDED


def test_a_message_that_never_becomes_complete_keeps_no_session() -> None:
    book = started()
    book.now = NOW + 50
    book.client(Query(b"a").encode()[:-1])
    assert tick(book, 60) == ["WakeAt"], "it is activity"
    assert tick(book, 110) == ENDED


def test_in_a_transaction_the_state_tells_so() -> None:
    for status in (IN_BLOCK, FAILED):
        book = started()
        book.client(Query(b"begin"))
        book.server(CommandComplete("BEGIN"), status)
        assert tick(book, 60)[1] == "client ErrorResponse 25P03"
        assert b"terminating connection due to idle-in-transaction timeout" in book.sent(fx.SendToClient)


def held(**policy: Any) -> Playbook:
    """A statement waits for approval, for ten minutes at most."""
    book = started(**HELD, **policy)
    book.client(Query(b"delete"))
    book.effects.clear()
    assert book.give(ev.ApprovalAnswered("r1", "open", url="https://t/r1")) == ["client NoticeResponse", "WakeAt"]
    return book


def test_a_held_statement_is_not_idleness_and_its_end_is_not_missed() -> None:
    book = held()
    assert woken(book) == 60, "one timer for both: the sooner of them"
    for minute in range(1, 10):
        assert tick(book, minute * 60) == ["WakeAt"]
        assert woken(book) == (minute + 1) * 60
    assert "client ErrorResponse TG001" in tick(book, 600)
    assert woken(book) == 660
    assert tick(book, 660) == ENDED


def test_the_end_of_a_hold_comes_before_that_of_the_session() -> None:
    book = held(timeout=3600)
    assert woken(book) == 600
    assert "client ErrorResponse TG001" in tick(book, 600)
    assert woken(book) == 4200


def test_what_was_sent_behind_a_held_statement_is_answered() -> None:
    book = started(**HELD)
    book.client(Parse(b"", b"delete"), Bind(b"", b""), Execute(b""), SYNC_MESSAGE)
    book.server(b"1\0\0\0\x04", b"2\0\0\0\x04")
    book.give(ev.ApprovalAnswered("r1", "open", url="https://t/r1"))
    words = tick(book, 600)
    assert "client ErrorResponse TG001" in words
    assert "Close" not in words


def test_a_refusal_is_activity() -> None:
    book = held()
    book.now = NOW + 59
    assert "client ErrorResponse TG002" in book.give(ev.ApprovalAnswered("r1", "rejected"))
    assert tick(book, 60) == ["WakeAt"]
    assert woken(book) == 119


def test_the_policy_in_force_says_how_long() -> None:
    book = started(None)
    book.environment.bundle = bundle(connection={"idle_timeout": 30})
    assert tick(book, 10) == ["WakeAt"]
    assert woken(book) == 30
    book.environment.bundle = None
    assert tick(book, 30) == []
    book.environment.bundle = bundle(connection={"idle_timeout": 30, "name": "other"})
    assert tick(book, 30) == []


def test_the_server_may_be_quicker() -> None:
    book = started()
    assert "client ErrorResponse 57P05" in book.server(error("57P05", severity="FATAL"))
    assert tick(book, 60) == []
