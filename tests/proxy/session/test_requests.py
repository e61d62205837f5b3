"""What the client says in the extended protocol."""

from proxy import events as ev
from proxy.effects import SendToClient
from proxy.sql.facts import Analysis
from proxy.wire.backend import CommandComplete, DataRow
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Close, Describe, Execute, Parse, Query
from tests.proxy.session.example import MASKED, bundle, one, rule
from tests.proxy.session.playbook import IDLE, PROBE_ANSWER, Playbook, error

NO_DROP = {"rules": [rule("drop", "deny")]}
DROP = {"drop table t": one("drop", writes=frozenset({"t"}))}
ALLOWED = ["record statement.intended allow", "server Query"]
DENIED = ["record statement.intended deny", "record statement.completed refused"]
PARSED, BOUND, CLOSED, NO_DATA = b"1\0\0\0\x04", b"2\0\0\0\x04", b"3\0\0\0\x04", b"n\0\0\0\x04"
SUSPENDED, EMPTY = b"s\0\0\0\x04", b"I\0\0\0\x04"


def strict(**more: object) -> Playbook:
    return Playbook(bundle(**NO_DROP, **more), DROP).sign_in()


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
    book = Playbook(bundle(**MASKED)).sign_in()
    assert book.client(Bind(b"", b"nope"), SYNC_MESSAGE) == ["server Sync", "client ErrorResponse 26000"]
    book.server(IDLE)
    assert book.client(Execute(b"c"), SYNC_MESSAGE) == ["server Sync", "client ErrorResponse 34000"]


def test_portals_end_with_their_transaction() -> None:
    book = Playbook(bundle(**MASKED)).sign_in()
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
    book = Playbook(bundle(**MASKED)).sign_in()
    words = book.client(Parse(b"s", b"a"), Describe(b"S", b"s"), Close(b"S", b"s"), b"H\0\0\0\x04", SYNC_MESSAGE)
    assert words == ["server Parse", "server Describe", "server Close", "server Flush", "server Sync"]
    words = book.server(PARSED, b"t\0\0\0\x06\0\0", NO_DATA, CLOSED, IDLE)
    assert words[1:3] == ["client ParameterDescription", "client NoData"]
    assert "client ErrorResponse 26000" in book.client(Bind(b"", b"s"), SYNC_MESSAGE)


def test_an_empty_query_is_answered_by_the_server() -> None:
    book = Playbook(analyses={"": Analysis()}).sign_in()
    assert book.client(Query(b"")) == ALLOWED
    assert book.server(EMPTY, IDLE)[-2:] == ["client EmptyQueryResponse", "client ReadyForQuery I"]


def test_names_are_asked_for_before_a_batch_whatever_opens_it() -> None:
    book = Playbook(bundle(**MASKED), {"q": one("select", reads=frozenset({"crm.customers"}))}).sign_in()
    book.answer_probes = False
    assert book.client(Close(b"P", b"p"), Parse(b"", b"q"), SYNC_MESSAGE) == [
        "server Close", "server Close", "server Parse", "server Bind", "server Execute", "server Close", "server Close", "server Sync",
    ]  # fmt: skip
    assert book.server(*PROBE_ANSWER) == ["server Close", "server Parse", "server Sync"]


def test_a_refused_parse_or_query_destroys_the_unnamed_statement_as_a_server_would() -> None:
    for message in (Parse(b"", b"drop table t"), Query(b"drop table t")):
        book = strict()
        book.client(Parse(b"", b"a"), SYNC_MESSAGE)
        book.server(b"1\0\0\0\x04", IDLE)
        book.client(message, *([SYNC_MESSAGE] if isinstance(message, Parse) else []))
        book.server(*([IDLE] if isinstance(message, Parse) else []))
        assert "client ErrorResponse 26000" in book.client(Bind(b"", b""), SYNC_MESSAGE)


def test_a_function_call_is_answered_and_may_be_refused_by_the_server() -> None:
    call, result = b"F\0\0\0\x08\0\0\x03\xba", b"V\0\0\0\x08\xff\xff\xff\xff"
    book = Playbook().sign_in()
    assert book.client(call) == ["record statement.intended allow", "server FunctionCall"]
    assert book.server(result, IDLE) == ["record statement.completed ok", "client FunctionCallResponse", "client ReadyForQuery I"]
    book.client(call)
    assert "client ErrorResponse 42704" in book.server(error("42704"), IDLE)
    assert book.records("statement.completed")[-1]["sqlstate"] == "42704"


def test_a_statement_that_sql_prepared_can_be_bound_as_execute_would() -> None:
    made = one("prepare", actions={"prepare", "select"})
    executed = one("prepare", actions={"prepare"}, runs_prepared=True)
    book = strict()
    book.analyses |= {"PREPARE": made, 'EXECUTE "p"': executed}
    book.client(Query(b"PREPARE"))
    book.server(CommandComplete("PREPARE"), IDLE)
    words = book.client(Bind(b"", b"p"), Execute(b""), SYNC_MESSAGE)
    assert words == ["record statement.intended allow", "server Bind", "server Execute", "server Sync"]
    assert "client ErrorResponse 26000" in Playbook(bundle(**MASKED)).sign_in().client(Bind(b"", b"p"))
    # As with EXECUTE, what it runs must be allowed now.
    book.analyses["prepare drop"] = one("prepare", actions={"prepare", "delete"})
    book.server(BOUND, CommandComplete("SELECT 1"), IDLE)
    book.client(Query(b"prepare drop"))
    book.server(CommandComplete("PREPARE"), IDLE)
    book.environment.bundle = bundle(rules=[rule("delete", "deny")])
    words = book.client(Bind(b"", b"p"), Execute(b""), SYNC_MESSAGE)
    assert "server Execute" not in words
    assert "record statement.intended deny" in words


def test_a_cursor_that_sql_declared_can_be_executed_as_fetch_would() -> None:
    book = strict()
    book.analyses |= {'FETCH ALL FROM "c ""1"""': one("cursor")}
    words = book.client(Execute(b'c "1"', 2), SYNC_MESSAGE)
    assert words == ["record statement.intended allow", "server Execute", "server Sync"]
    assert book.records("statement.intended")[0]["sql"] == 'FETCH ALL FROM "c ""1"""'
    assert book.server(DataRow((b"1",)), SUSPENDED, IDLE)[1:] == ["client DataRow", "client PortalSuspended", "client ReadyForQuery I"]
    assert book.records("statement.completed")[0]["rows"] == 1
    # Whether there is one, the server says; whether it may be read, the policy.
    book.client(Execute(b"none"), SYNC_MESSAGE)
    assert "client ErrorResponse 34000" in book.server(error("34000"), IDLE)
    book.analyses['FETCH ALL FROM "d"'] = one("cursor")
    book.environment.bundle = bundle(rules=[rule("cursor", "deny")])
    assert "record statement.intended deny" in book.client(Execute(b"d"), SYNC_MESSAGE)


def test_a_malformed_message_is_answered_in_the_servers_words_and_the_session_goes_on() -> None:
    for message, said in (
        (b"Q\0\0\0\x05x", b"invalid string in message"),
        (b"P\0\0\0\x06\0\0", b"insufficient data left in message"),
        (Bind(b"", b"", (0, 0), (b"1",)).encode(), b"bind message has 2 parameter formats but 1 parameters"),
        (b"D\0\0\0\x06x\0", b"invalid DESCRIBE message subtype 120"),
        (b"E\0\0\0\x0a\0\0\0\0\0\0", b"invalid message format"),
    ):
        book = Playbook().sign_in()
        words = book.client(message, *([] if message[:1] == b"Q" else [Query(b"ignored"), SYNC_MESSAGE]))
        words += book.server(*([] if message[:1] == b"Q" else [IDLE]))
        assert [word for word in words if word.startswith("client")] == ["client ErrorResponse 08P01", "client ReadyForQuery I"]
        assert said in book.sent(SendToClient)
        assert book.client(Query(b"a"))[-1] == "server Query"


def test_a_client_that_sends_much_at_once_yields_its_turn() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"select 1"))  # analysed
    book.server(CommandComplete("SELECT 1"), IDLE)
    book.answer_turns = False
    words = book.client(*[Query(b"select 1")] * 600)
    assert words.count("server Query") == 250
    assert words[-1] == "YieldTurn"
    assert book.server(CommandComplete("SELECT 1"), IDLE)[-1] == "client ReadyForQuery I"
    assert book.client(Query(b"select 2")) == [], "until others had theirs"
    assert book.give(ev.Turn()).count("server Query") == 250
    book.answer_turns = True
    assert book.give(ev.Turn()).count("server Query") == 101
    assert [record["sql"] for record in book.records("statement.intended")] == ["select 1"] * 601 + ["select 2"]
