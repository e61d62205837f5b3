"""Statements on their way: simple and extended protocol, refusals that keep the server's state true, COPY, errors."""

from proxy import effects as fx
from proxy import events as ev
from proxy.sql.facts import Analysis, MaskPlan, SyntaxProblem
from proxy.wire.backend import CommandComplete, DataRow, ErrorFields, ResultColumn, RowDescription
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Describe, Execute, Parse, Query
from tests.proxy.session.example import CUSTOMERS, MASKED, bundle, one, rule
from tests.proxy.session.playbook import FAILED, IDLE, IN_BLOCK, Playbook, error, joined

NO_DROP = {"rules": [rule("drop", "deny")]}
DROP = {"drop table t": one("drop", writes=frozenset({"t"}))}
ALLOWED = ["record statement.intended allow", "server Query"]
DENIED = ["record statement.intended deny", "record statement.completed refused"]
PARSED, BOUND, CLOSED, NO_DATA = b"1\0\0\0\x04", b"2\0\0\0\x04", b"3\0\0\0\x04", b"n\0\0\0\x04"


def strict(**more: object) -> Playbook:
    return Playbook(bundle(**NO_DROP, **more), DROP).sign_in()


def test_a_query_is_recorded_then_forwarded_unchanged() -> None:
    book = Playbook().sign_in()
    query = Query(b"select 1").encode()
    assert book.client(query) == ALLOWED
    assert book.sent() == query
    assert book.server(RowDescription(()), DataRow(()), CommandComplete("SELECT 1"), IDLE) == [
        "record statement.completed ok", "client RowDescription", "client DataRow", "client CommandComplete", "client ReadyForQuery I",
    ]  # fmt: skip
    [done] = book.records("statement.completed")
    assert (done["rows"], done["tag"], done["sqlstate"]) == (1, "SELECT 1", "")


def test_a_denied_query_is_answered_locally_when_idle() -> None:
    book = strict()
    assert book.client(Query(b"drop table t")) == [*DENIED, "client ErrorResponse 42501", "client ReadyForQuery I"]
    assert book.sent() == b""
    assert book.client(Query(b"select 1")) == ALLOWED


def test_a_denied_query_in_a_transaction_makes_the_server_fail_too() -> None:
    book = strict()
    book.client(Query(b"begin"))
    book.server(CommandComplete("BEGIN"), IN_BLOCK)
    assert book.client(Query(b"drop table t")) == [*DENIED, "server Execute", "server Sync"]
    assert b"drop" not in book.sent()
    # The server's own words (34000) are replaced; its transaction state is real.
    assert book.server(error("34000"), FAILED) == ["client ErrorResponse 42501", "client ReadyForQuery E"]
    assert book.client(Query(b"drop table t")) == [*DENIED, "client ErrorResponse 42501", "client ReadyForQuery E"]


def test_a_denied_query_behind_others_keeps_its_turn() -> None:
    book = strict()
    assert book.client(Query(b"select 1"), Query(b"drop table t")) == [*ALLOWED, *DENIED, "server Execute", "server Sync"]
    done = (CommandComplete("SELECT 0"), IDLE, error("34000"), IDLE)
    assert [word for word in book.server(*done) if word.startswith("client")] == [
        "client CommandComplete", "client ReadyForQuery I", "client ErrorResponse 42501", "client ReadyForQuery I",
    ]  # fmt: skip


def test_a_syntax_error_is_postgresqls_own() -> None:
    syntax = Analysis(syntax=SyntaxProblem('syntax error at or near "selekt"', 1))
    # What is free of any policy is left to the server, whose version may have a syntax that the gateway's parser has not.
    assert Playbook(analyses={"selekt": syntax}).sign_in().client(Query(b"selekt")) == ALLOWED
    book = Playbook(bundle(connection={"unanalyzable": "deny"}), analyses={"selekt": syntax}).sign_in()
    assert book.client(Query(b"selekt")) == [*DENIED, "client ErrorResponse 42601", "client ReadyForQuery I"]
    fields = ErrorFields.decode(book.sent(fx.SendToClient)[5:-6]).fields
    assert (fields["M"], fields["P"]) == (b'syntax error at or near "selekt"', b"1")


def test_a_client_that_sends_while_an_analysis_is_awaited_is_paused() -> None:
    book = Playbook().sign_in()
    book.answer_analyses = False
    assert book.client(Query(b"a")) == ["Analyse"]
    assert book.client(Query(b"b" * 300_000)) == ["PauseClient"]
    words = book.give(ev.Analysed(one("select")))
    assert words == [*ALLOWED, "Analyse"]
    assert book.give(ev.Analysed(one("select"))) == [*ALLOWED, "ResumeClient"]


def test_an_answer_that_is_no_longer_wanted_is_not_taken_for_the_next_one() -> None:
    book = strict()
    book.answer_analyses = False
    book.client(Parse(b"", b"first"))
    book.give(ev.Analysed(one("select")))
    book.client(Bind(b"", b""), Execute(b""), Parse(b"", b"second"))  # waits for the analysis of "second"
    book.server(PARSED, BOUND, error("22012"))  # … which the server will now ignore
    assert book.client(SYNC_MESSAGE, Query(b"drop table t")) == []
    words = book.give(ev.Analysed(one("select")))  # of "second"
    assert words == ["server Sync", "Analyse"]
    assert book.give(ev.Analysed(DROP["drop table t"]))[:2] == DENIED


def test_where_the_bytes_are_cut_changes_nothing() -> None:
    """Every split of a conversation in both directions, with masked rows in it, gives the same bytes to both sides."""
    plan = MaskPlan("result", masked=("crm.customers.ssn",))
    analyses = {"q": one("select", plan, reads=frozenset({"crm.customers"}))}
    client = joined([Parse(b"", b"q"), Bind(b"", b""), Describe(b"P", b""), Execute(b""), SYNC_MESSAGE, Query(b"q")])
    columns = RowDescription((ResultColumn(b"x", CUSTOMERS, 3, 25, -1, -1, 0),))
    rows = (columns, DataRow((b"123-45-6789",)), DataRow((None,)), CommandComplete("SELECT 2"), IDLE)
    server = joined([b"1\0\0\0\x04", b"2\0\0\0\x04", *rows, *rows])

    def talk(cut: int, other: int) -> tuple[bytes, bytes]:
        book = Playbook(bundle(**MASKED), analyses).sign_in()
        book.client(client[:cut])
        book.client(client[cut:])
        book.server(server[:other])
        book.server(server[other:])
        return book.sent(), book.sent(fx.SendToClient)

    whole = talk(0, 0)
    assert b"6789" not in whole[1]
    assert whole[1].count(b"***") == 2
    for cut in range(max(len(client), len(server))):
        assert talk(min(cut, len(client)), min(cut, len(server))) == whole


def test_truncated_at_every_offset_forwards_only_what_is_complete() -> None:
    message = Query(b"select 1").encode()
    for cut in range(len(message)):
        book = Playbook().sign_in()
        assert book.client(message[:cut]) == []
        assert book.client(message[cut:]) == ALLOWED


def test_a_refused_query_behind_an_unsynced_message_that_fails_is_ignored_as_by_the_server() -> None:
    book = strict()
    assert book.client(Parse(b"", b"a"), Query(b"drop table t")) == ["server Parse", *DENIED, "server Flush"]
    assert book.server(error("42P01")) == ["client ErrorResponse 42P01"]
    assert book.client(SYNC_MESSAGE) == ["server Sync"]
    book = strict()
    book.client(Parse(b"", b"a"), Query(b"drop table t"))
    assert book.server(b"1\0\0\0\x04") == ["client ParseComplete", "client ErrorResponse 42501", "client ReadyForQuery I"]
