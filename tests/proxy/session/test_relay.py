"""Statements on their way: simple and extended protocol, refusals that keep the server's state true, COPY, errors."""

from proxy import effects as fx
from proxy import events as ev
from proxy.sql.facts import Analysis, MaskPlan, SyntaxProblem
from proxy.wire.backend import CommandComplete, DataRow, ErrorFields, NotificationResponse, ParameterStatus, ResultColumn, RowDescription
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Close, Describe, Execute, Parse, Query
from tests.proxy.session.playbook import (
    CUSTOMERS,
    FAILED,
    IDLE,
    IN_BLOCK,
    MASKED,
    Playbook,
    bundle,
    error,
    one,
    rule,
)

NO_DROP = {"rules": [rule("drop", "deny")]}
DROP = {"drop table t": one("drop", writes=frozenset({"t"}))}
ALLOWED = ["record statement.intended allow", "server Query"]
DENIED = ["record statement.intended deny", "record statement.completed refused"]
PARSED, BOUND, CLOSED, NO_DATA = b"1\0\0\0\x04", b"2\0\0\0\x04", b"3\0\0\0\x04", b"n\0\0\0\x04"
SUSPENDED, EMPTY = b"s\0\0\0\x04", b"I\0\0\0\x04"
SSN = RowDescription((ResultColumn(b"id", CUSTOMERS, 1, 25, -1, -1, 0), ResultColumn(b"x", CUSTOMERS, 3, 25, -1, -1, 0)))


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


def test_every_record_comes_before_the_bytes_it_vouches_for() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"select 1"), Query(b"select 2"))
    for position, effect in enumerate(book.effects):
        if isinstance(effect, fx.SendToServer):
            before = sum(isinstance(e, fx.Record) for e in book.effects[:position])
            queries = sum(bytes(e.data).count(b"select") for e in book.effects[: position + 1] if isinstance(e, fx.SendToServer))
            assert before >= queries


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


def test_a_denied_parse_skips_to_sync_as_a_server_would() -> None:
    book = strict()
    words = book.client(Parse(b"", b"drop table t"), Bind(b"", b""), Execute(b""), SYNC_MESSAGE)
    assert words == [*DENIED, "server Sync", "client ErrorResponse 42501"]
    assert book.server(IDLE) == ["client ReadyForQuery I"]


def test_a_denied_parse_after_an_unsynced_execute_undoes_it() -> None:
    book = strict()
    book.client(Parse(b"", b"insert"), Bind(b"", b""), Execute(b""), Parse(b"", b"drop table t"), Execute(b""), SYNC_MESSAGE)
    sent = book.sent()
    assert sent.endswith(SYNC_MESSAGE)
    assert sent.count(b"-none\0") == 1  # the portal that cannot exist
    words = book.server(PARSED, BOUND, CommandComplete("INSERT 0 1"), error("34000"), IDLE)
    assert [word for word in words if word.startswith("client")][-3:] == [
        "client CommandComplete", "client ErrorResponse 42501", "client ReadyForQuery I",
    ]  # fmt: skip


def test_an_error_of_the_server_skips_to_sync_and_later_intents_end_as_cancelled() -> None:
    book = Playbook().sign_in()
    run = (Parse(b"", b"a"), Bind(b"", b""), Execute(b""))
    book.client(*run, *run)
    words = book.server(PARSED, BOUND, error("22012"))
    assert "client ErrorResponse 22012" in words
    assert [r["outcome"] for r in book.records("statement.completed")] == ["error", "cancelled"]
    assert book.client(*run) == []  # ignored until Sync, as by the server
    assert book.client(SYNC_MESSAGE) == ["server Sync"]
    assert book.server(IDLE) == ["client ReadyForQuery I"]
    assert book.client(Query(b"a")) == ALLOWED


def test_a_parse_that_failed_does_not_change_what_its_name_means() -> None:
    book = strict()
    book.client(Parse(b"s", b"first"), SYNC_MESSAGE)
    book.server(PARSED, IDLE)
    book.client(Parse(b"s", b"second"), SYNC_MESSAGE)
    book.server(error("42P05"), IDLE)
    book.effects.clear()
    book.client(Bind(b"", b"s"), Execute(b""), SYNC_MESSAGE)
    assert [r["sql"] for r in book.records("statement.intended")] == ["first"]


def test_unknown_statements_and_portals_are_refused_in_the_servers_words() -> None:
    book = Playbook().sign_in()
    assert book.client(Bind(b"", b"nope"), SYNC_MESSAGE) == ["server Sync", "client ErrorResponse 26000"]
    book.server(IDLE)
    assert book.client(Execute(b"c"), SYNC_MESSAGE) == ["server Sync", "client ErrorResponse 34000"]


def test_portals_end_with_their_transaction() -> None:
    book = Playbook().sign_in()
    book.client(Parse(b"", b"a"), Bind(b"p", b""), SYNC_MESSAGE)
    book.server(PARSED, BOUND, IDLE)
    assert "client ErrorResponse 34000" in book.client(Execute(b"p"), SYNC_MESSAGE)


def test_row_limited_execute_goes_on_where_it_stopped() -> None:
    book = Playbook().sign_in()
    book.client(Parse(b"", b"a"), Bind(b"p", b""), Execute(b"p", 2), b"H\0\0\0\x04")
    words = book.server(PARSED, BOUND, DataRow(()), DataRow(()), SUSPENDED)
    assert words[-1] == "client PortalSuspended"
    assert book.client(Execute(b"p", 2), SYNC_MESSAGE) == ["record statement.intended allow", "server Execute", "server Sync"]
    book.server(DataRow(()), CommandComplete("SELECT 1"), IDLE)
    assert [r["rows"] for r in book.records("statement.completed")] == [2, 1]


def test_describe_close_and_flush_are_relayed() -> None:
    book = Playbook().sign_in()
    words = book.client(Parse(b"s", b"a"), Describe(b"S", b"s"), Close(b"S", b"s"), b"H\0\0\0\x04", SYNC_MESSAGE)
    assert words == ["server Parse", "server Describe", "server Close", "server Flush", "server Sync"]
    words = book.server(PARSED, b"t\0\0\0\x06\0\0", NO_DATA, CLOSED, IDLE)
    assert words[1:3] == ["client ParameterDescription", "client NoData"]
    assert "client ErrorResponse 26000" in book.client(Bind(b"", b"s"), SYNC_MESSAGE)


def test_an_empty_query_is_answered_by_the_server() -> None:
    book = Playbook(analyses={"": Analysis()}).sign_in()
    assert book.client(Query(b"")) == ALLOWED
    assert book.server(EMPTY, IDLE)[-2:] == ["client EmptyQueryResponse", "client ReadyForQuery I"]


def test_a_syntax_error_is_postgresqls_own() -> None:
    syntax = Analysis(syntax=SyntaxProblem('syntax error at or near "selekt"', 1))
    book = Playbook(analyses={"selekt": syntax}).sign_in()
    assert book.client(Query(b"selekt")) == [*DENIED, "client ErrorResponse 42601", "client ReadyForQuery I"]
    fields = ErrorFields.decode(book.sent(fx.SendToClient)[5:-6]).fields
    assert (fields["M"], fields["P"]) == (b'syntax error at or near "selekt"', b"1")


def test_copy_in_and_the_sync_that_a_server_ignores() -> None:
    book = Playbook().sign_in()
    book.client(Parse(b"", b"copy"), Bind(b"", b""), Execute(b""), SYNC_MESSAGE)
    assert book.server(PARSED, BOUND, b"G\0\0\0\x07\0\0\0")[-1] == "client CopyInResponse"
    assert book.client(b"d\0\0\0\x06x\n", b"d\0\0\0\x06y\n", b"c\0\0\0\x04", SYNC_MESSAGE) == [
        "server CopyData", "server CopyData", "server CopyDone", "server Sync",
    ]  # fmt: skip
    assert book.server(CommandComplete("COPY 2"), IDLE)[-1] == "client ReadyForQuery I"
    assert book.client(Query(b"a")) == ALLOWED
    assert book.records("statement.completed")[0]["rows"] == 2


def test_copy_in_sent_at_once() -> None:
    book = Playbook().sign_in()
    run = (Parse(b"", b"copy"), Bind(b"", b""), Execute(b""), SYNC_MESSAGE)
    book.client(*run, b"d\0\0\0\x06x\n", b"c\0\0\0\x04", SYNC_MESSAGE, Query(b"a"))
    book.server(PARSED, BOUND, b"G\0\0\0\x07\0\0\0", CommandComplete("COPY 1"), IDLE)
    assert book.server(CommandComplete("SELECT 0"), IDLE)[-1] == "client ReadyForQuery I"


def test_a_failed_copy_in_leaves_the_session_usable() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"copy"))
    book.server(b"G\0\0\0\x07\0\0\0")
    book.client(b"d\0\0\0\x06x\n")
    assert book.server(error("22P02"), IDLE)[-1] == "client ReadyForQuery I"
    book.client(b"d\0\0\0\x06y\n", b"c\0\0\0\x04")
    assert book.client(Query(b"a")) == ALLOWED


def test_copy_out_is_streamed_in_pieces() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"copy"))
    data = b"d\0\0\x10\x04" + b"x" * 4096
    book.server(b"H\0\0\0\x07\0\0\0", data[:1000])
    book.server(data[1000:], b"c\0\0\0\x04", CommandComplete("COPY 1"), IDLE)
    assert data in book.sent(fx.SendToClient)
    assert book.records("statement.completed")[0]["bytes"] == len(data)


def test_masked_cells_by_origin_in_the_simple_protocol() -> None:
    plan = MaskPlan("result", masked=("crm.customers.ssn",))
    book = Playbook(bundle(**MASKED), {"q": one("select", plan, reads=frozenset({"crm.customers"}))}).sign_in()
    assert book.client(Query(b"q"))[-2:] == ALLOWED
    book.server(SSN, DataRow((b"1", b"123-45-6789")), DataRow((b"2", None)), CommandComplete("SELECT 2"), IDLE)
    sent = book.sent(fx.SendToClient)
    assert DataRow((b"1", b"***")).encode() + DataRow((b"2", None)).encode() in sent
    assert b"6789" not in sent
    assert book.records("statement.completed")[0]["masked_cells"] == 1


def test_masked_cells_where_nobody_described_the_portal() -> None:
    plan = MaskPlan("result", masked=("crm.customers.ssn",))
    book = Playbook(bundle(**MASKED), {"q": one("select", plan, reads=frozenset({"crm.customers"}))}).sign_in()
    words = book.client(Parse(b"s", b"q"), Bind(b"", b"s"), Execute(b""), SYNC_MESSAGE)
    assert words == [
        "record statement.intended allow", "server Parse", "server Bind", "server Describe", "server Execute", "server Sync",
    ]  # fmt: skip
    words = book.server(PARSED, BOUND, SSN, DataRow((b"1", b"123-45-6789")), CommandComplete("SELECT 1"), IDLE)
    assert "client RowDescription" not in words  # the client did not ask for it
    assert b"6789" not in book.sent(fx.SendToClient)


def test_masked_cells_with_a_description_from_an_earlier_batch() -> None:
    plan = MaskPlan("result", masked=("crm.customers.ssn",))
    book = Playbook(bundle(**MASKED), {"q": one("select", plan, reads=frozenset({"crm.customers"}))}).sign_in()
    book.client(Parse(b"s", b"q"), Describe(b"S", b"s"), SYNC_MESSAGE)
    book.server(PARSED, b"t\0\0\0\x06\0\0", SSN, IDLE)
    assert "server Describe" not in book.client(Bind(b"", b"s", (), (), (1,)), Execute(b""), SYNC_MESSAGE)
    book.server(BOUND, DataRow((b"1", b"123-45-6789")), CommandComplete("SELECT 1"), IDLE)
    assert b"6789" not in book.sent(fx.SendToClient)


def test_scan_masking_forwards_the_spliced_text_only() -> None:
    plan = MaskPlan("scan", "select * from (masked) c", ("crm.customers.ssn",), sanitise_errors=True)
    book = Playbook(bundle(**MASKED), {"q": one("select", plan, reads=frozenset({"crm.customers"}))}).sign_in()
    book.client(Query(b"q"))
    assert Query(b"select * from (masked) c").encode() in book.sent()
    assert Query(b"q").encode() not in book.sent()
    book.server(error("22P02", 'invalid input syntax for type integer: "123-45-6789"', D="123-45-6789", t="customers"), IDLE)
    sent = book.sent(fx.SendToClient)
    assert b"6789" not in sent
    assert b"invalid text representation" in sent
    assert b"customers" in sent


def test_notices_of_statements_that_touch_masked_columns_lose_their_text() -> None:
    plan = MaskPlan("none", sanitise_errors=True)
    book = Playbook(bundle(**MASKED), {"q": one("update", plan, writes=frozenset({"crm.customers"}))}).sign_in()
    book.client(Query(b"q"))
    notice = ErrorFields({"S": b"NOTICE", "V": b"NOTICE", "C": b"00000", "M": b"row 123-45-6789"}).encode(b"N")
    book.server(notice, CommandComplete("UPDATE 1"), IDLE)
    assert b"6789" not in book.sent(fx.SendToClient)


def test_notifications_lose_their_payload_under_masks() -> None:
    book = Playbook(bundle(**MASKED)).sign_in()
    book.server(NotificationResponse(7, b"chan", b"secret"))
    sent = book.sent(fx.SendToClient)
    assert b"chan" in sent
    assert b"secret" not in sent


def test_the_application_name_in_records_follows_the_session() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"set"))
    book.server(CommandComplete("SET"), ParameterStatus("application_name", "job 7"), IDLE)
    book.client(Query(b"select 1"))
    assert [r["application"] for r in book.records("statement.intended")] == ["psql", "job 7"]


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


def test_cancel_goes_to_the_server_with_its_own_key() -> None:
    book = Playbook().sign_in()
    assert book.give(ev.CancelRequested()) == []  # nothing is under way
    book.client(Query(b"a"))
    book.effects.clear()
    book.give(ev.CancelRequested())
    assert book.effects == [fx.CancelServer(77, b"real")]


def test_a_client_that_goes_while_the_server_works() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"a"))
    assert book.give(ev.ClientGone()) == [
        "record statement.completed lost", "record session.closed", "CancelServer", "server Terminate", "Close",
    ]  # fmt: skip
    assert book.environment.sessions["crm"] == 0


def test_the_server_goes_with_and_without_a_word() -> None:
    book = Playbook().sign_in()
    assert book.server(error("57P01", severity="FATAL")) == ["client ErrorResponse 57P01"]
    assert "client ErrorResponse 08006" not in book.give(ev.ServerGone())
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
