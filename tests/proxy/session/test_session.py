"""How a session ends, and what reaches it from outside of its two connections."""

import pytest

from proxy import effects as fx
from proxy import events as ev
from proxy.wire import frontend as wire
from proxy.wire.backend import CommandComplete, DataRow
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Describe, Execute, Parse, Query
from tests.proxy.session.example import HELD, MASKED, bundle, one
from tests.proxy.session.playbook import FAILED, IDLE, IN_BLOCK, PROBE_ANSWER, Playbook, error


def test_cancel_goes_to_the_server_with_its_own_key() -> None:
    book = Playbook().sign_in()
    assert book.give(ev.CancelRequested()) == []  # nothing is under way
    book.client(Query(b"a"))
    book.effects.clear()
    book.give(ev.CancelRequested())
    assert book.effects == [fx.CancelServer(77, b"real")]


def test_a_cancel_that_comes_while_the_statement_is_analysed_is_not_lost() -> None:
    book = Playbook().sign_in()
    book.answer_analyses = False
    book.client(Query(b"select 1"))
    assert book.give(ev.CancelRequested()) == []
    assert book.give(ev.Analysed(one("select"))) == [
        "record statement.intended deny", "record statement.completed refused", "client ErrorResponse 57014", "client ReadyForQuery I",
    ]  # fmt: skip
    book.client(Query(b"select 1"))
    assert book.give(ev.Analysed(one("select"))) == ["record statement.intended allow", "server Query"], "it is forgotten"


def test_a_cancel_that_comes_while_names_are_asked_for_is_not_lost() -> None:
    book = Playbook(bundle(**MASKED)).sign_in()
    book.answer_probes = False
    book.client(Query(b"select 1"))
    assert book.give(ev.CancelRequested()) == [], "the probe is not the client's"
    assert "client ErrorResponse 57014" in book.server(*PROBE_ANSWER)


@pytest.mark.parametrize("first", [Execute(b"p"), Describe(b"P", b"p"), wire.Close(b"P", b"p")])
def test_a_cancel_that_comes_while_a_batch_waits_for_names_is_not_lost(first: Execute | Describe | wire.Close) -> None:
    book = Playbook(bundle(**MASKED), {"set": one("set", names_change=True)}).sign_in()
    book.client(Query(b"begin"))
    book.server(CommandComplete("BEGIN"), IN_BLOCK)
    book.client(Parse(b"", b"select 1"), Bind(b"p", b""), SYNC_MESSAGE)
    book.server(b"1\0\0\0\x04", b"2\0\0\0\x04", IN_BLOCK)
    book.client(Query(b"set"))
    book.server(CommandComplete("SET"), IN_BLOCK)
    book.answer_probes = False
    asked = book.client(first, Execute(b"p"), SYNC_MESSAGE)
    assert "server Parse" in asked, "the probe"
    book.effects.clear()
    assert book.give(ev.CancelRequested()) == [], "the probe is not the client's"
    book.server(*PROBE_ANSWER[:-1], IN_BLOCK)
    denied = ["deny"] if isinstance(first, Execute) else []
    assert [record["decision"] for record in book.records("statement.intended")] == denied
    assert first.encode() not in book.sent()
    words = book.server(error("34000"), FAILED)
    assert words == ["client ErrorResponse 57014", "client ReadyForQuery E"]
    book.answer_probes = True
    book.client(Query(b"rollback"))
    book.server(CommandComplete("ROLLBACK"), IDLE)
    assert book.client(Query(b"select 1"))[-1] == "server Query", "it is forgotten"


def test_a_cancel_of_a_statement_that_was_refused_meanwhile_is_forgotten() -> None:
    book = Playbook(bundle(**MASKED)).sign_in()
    known = book.environment.catalogs.copy()
    book.environment.catalogs.clear()
    book.answer_analyses = False
    book.client(Query(b"select 1"))
    book.give(ev.CancelRequested())
    assert "client ErrorResponse TG003" in book.give(ev.CatalogRefreshed()), "the catalog is still not known"
    book.environment.catalogs.update(known)
    book.answer_analyses = True
    assert book.client(Query(b"select 1"))[-1] == "server Query"


def test_a_cancel_of_an_idle_session_means_nothing_later() -> None:
    book = Playbook().sign_in()
    book.give(ev.CancelRequested())
    assert book.client(Query(b"select 1"))[-1] == "server Query"


def test_a_client_that_goes_while_the_server_works() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"a"))
    assert book.give(ev.ClientGone()) == [
        "record statement.completed lost", "record session.closed", "CancelServer", "server Terminate", "Close",
    ]  # fmt: skip
    assert book.environment.sessions["crm"] == 0


def test_a_client_that_sends_nothing_more_gets_its_answers_first() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"a"), Query(b"b"))
    assert book.give(ev.ClientFinished()) == []
    assert "Close" not in book.server(CommandComplete("SELECT 0"), IDLE)
    assert book.server(CommandComplete("SELECT 0"), IDLE) == [
        "record statement.completed ok", "record session.closed", "client CommandComplete", "client ReadyForQuery I", "server Terminate",
        "Close",
    ]  # fmt: skip


def test_a_client_that_sends_nothing_more_and_waits_for_nothing_ends() -> None:
    ended = ["record session.closed", "server Terminate", "Close"]
    assert Playbook().sign_in().give(ev.ClientFinished()) == ended
    book = Playbook().sign_in()
    book.client(Query(b"a").encode()[:-1])
    assert book.give(ev.ClientFinished()) == ended, "what is incomplete stays so"
    assert Playbook().give(ev.ClientFinished()) == ["Close"]


def test_a_copy_without_its_end_ends_with_its_client() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"copy"))
    assert book.server(b"G\0\0\0\x07\0\0\0") == ["client CopyInResponse"]
    words = book.give(ev.ClientFinished())
    assert words[0] == "record statement.completed lost"
    assert words[-2:] == ["server Terminate", "Close"]


def test_a_held_statement_goes_on_until_the_client_is_gone() -> None:
    book = Playbook(bundle(**HELD), {"delete": one("delete")}).sign_in()
    book.client(Query(b"delete"))
    assert book.give(ev.ClientFinished()) == []
    assert "Close" in book.give(ev.ClientGone())


def test_the_server_goes_with_and_without_a_word() -> None:
    book = Playbook().sign_in()
    words = book.server(error("57P01", severity="FATAL"))
    assert words == ["record session.closed", "client ErrorResponse 57P01", "server Terminate", "Close"]
    assert book.give(ev.ServerGone()) == []
    book = Playbook().sign_in()
    book.client(Query(b"a"))
    words = book.give(ev.ServerGone())
    assert words[:2] == ["record statement.completed lost", "record session.closed"]
    assert "client ErrorResponse 08006" in words


def test_drain_lets_the_statement_under_way_finish() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"a"))
    assert book.give(ev.Drain()) == []
    words = book.server(CommandComplete("SELECT 0"), IDLE)
    assert words[-4:] == ["client ReadyForQuery I", "client ErrorResponse 57P01", "server Terminate", "Close"]
    idle = Playbook().sign_in()
    assert "client ErrorResponse 57P01" in idle.give(ev.Drain())


def test_an_idle_session_drains_although_its_policy_is_gone() -> None:
    book = Playbook().sign_in()
    book.environment.bundle = None
    assert book.give(ev.Drain()) == ["record session.closed", "client ErrorResponse 57P01", "server Terminate", "Close"]


def test_a_session_that_ends_inside_of_a_message_adds_nothing_to_it() -> None:
    """A row short of a few bytes would be completed by the beginning of the goodbye, and taken for a whole one."""
    row = DataRow((b"x" * 5000,)).encode()
    for end in (ev.ServerGone(), ev.RecordFailed("full")):
        book = Playbook().sign_in()
        book.client(Query(b"a"))
        book.server(row[:-3])
        words = book.give(end)
        assert words[-1] == "Close"
        assert book.sent(fx.SendToClient) == row[:-3]
        assert isinstance(end, ev.RecordFailed) or book.records("statement.completed")[0]["outcome"] == "lost"
    book = Playbook().sign_in()
    book.client(Query(b"copy"))
    book.server(b"G\0\0\0\x07\0\0\0")
    book.client(b"d\0\0\x10\x04half a line")
    book.give(ev.ClientGone())
    assert book.sent().endswith(b"half a line")
