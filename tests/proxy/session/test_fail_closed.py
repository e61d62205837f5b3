"""Unknown means no: one test for every way in which the core may not know enough (a test's name says which)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import effects as fx
from proxy import events as ev
from proxy.sql.facts import Analysis, MaskPlan
from proxy.wire.backend import CommandComplete, DataRow, ParameterStatus, ResultColumn, RowDescription
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import CUSTOMERS, HELD, MASKED, NOW, bundle, one, rule
from tests.proxy.session.playbook import FAILED, IDLE, IN_BLOCK, Playbook

PARSED, BOUND = b"1\0\0\0\x04", b"2\0\0\0\x04"
FORWARDED = {"server Query", "server Parse", "server Bind", "server Execute"}
STRICT = bundle(connection={"unanalyzable": "deny"})
READS = {"reads": frozenset({"crm.customers"})}


def refused(book: Playbook, message: Any, sqlstate: str = "TG003") -> bool:
    words = book.client(message)
    return f"client ErrorResponse {sqlstate}" in words and FORWARDED.isdisjoint(words)


def masked(analyses: dict[str, Analysis] | None = None, **policy: Any) -> Playbook:
    return Playbook(bundle(**{**MASKED, **policy}), analyses).sign_in()


def test_no_bundle() -> None:
    book = Playbook().sign_in()
    book.environment.bundle = None
    assert refused(book, Query(b"select 1"))
    assert isinstance(book.effects[-1], fx.Close)


def test_stale_bundle() -> None:
    book = Playbook().sign_in()
    book.now = NOW + 3601
    assert refused(book, Query(b"select 1"))
    assert refused(book, Parse(b"", b"select 1"))
    book.environment.confirmed_at = book.now
    book.client(SYNC_MESSAGE)
    book.server(IDLE)
    assert book.client(Query(b"select 1"))[-1] == "server Query"


def test_unparseable_sql() -> None:
    book = Playbook(bundle(connection={"unanalyzable": "deny"}), {"?": Analysis(problem="too deep")}).sign_in()
    assert refused(book, Query(b"?"))


def test_analyser_dead_or_slow() -> None:
    book = Playbook(bundle(connection={"unanalyzable": "deny"})).sign_in()
    book.answer_analyses = False
    assert book.client(Query(b"select 1")) == ["Analyse"]
    assert "client ErrorResponse TG003" in book.give(ev.Analysed(Analysis(problem="the analysis process died")))
    assert book.sent() == b""


def test_a_plan_that_cannot_be_carried_out() -> None:
    for kind in ("refuse", "something new"):
        plan = MaskPlan(kind, masked=("crm.customers.ssn",), reason="ssn cannot be masked")
        assert refused(masked({"q": one("update", plan, **READS)}), Query(b"q"))


def test_result_masking_of_what_has_no_row_description() -> None:
    plan = MaskPlan("result", masked=("crm.customers.ssn",))
    for action in ("copy_to", "cursor", "prepare", "explain", "do"):
        assert refused(masked({"q": one(action, plan, **READS)}), Query(b"q"))


def test_catalog_unknown() -> None:
    book = masked({"q": one("select", **READS)})
    book.environment.catalogs.clear()
    assert refused(book, Query(b"q"))
    assert fx.RefreshCatalog("crm", "crm_db") in book.effects


def test_search_path_unknown_because_the_probe_failed() -> None:
    book = masked({"q": one("select", **READS)})
    book.answer_probes = False
    book.client(Query(b"q"))
    words = book.server(b"E\0\0\0\x1aSERROR\0VERROR\0C57014\0\0", IDLE)
    assert "client ErrorResponse TG003" in words
    assert b"q\0" not in book.sent()


def test_search_path_changed_earlier_in_the_pipeline() -> None:
    book = masked({"set": one("set", names_change=True), "q": one("select", **READS)})
    book.client(Parse(b"", b"set"), Bind(b"", b""), Execute(b""))
    assert "server Parse" not in book.client(Parse(b"", b"q"), SYNC_MESSAGE)
    words = book.server(PARSED, BOUND, CommandComplete("SET"), b"E\0\0\0\x1aSERROR\0VERROR\0C34000\0\0", IDLE)
    assert "client ErrorResponse TG003" in words
    book = masked({"set": one("set", names_change=True), "q": one("select", **READS)})
    words = book.client(Parse(b"s", b"q"), Parse(b"", b"set"), Bind(b"", b""), Execute(b""), Bind(b"", b"s"), SYNC_MESSAGE)
    assert words.count("server Bind") == 1  # the second, to what would now be planned against another path, was refused


def test_search_path_unknown_in_a_failed_transaction() -> None:
    rollback = one("transaction", transaction="rollback")
    book = masked({"set": one("set", names_change=True), "q": one("select", **READS), "rollback": rollback})
    book.client(Query(b"set"))
    book.server(CommandComplete("SET"), FAILED)
    assert refused(book, Query(b"q"))
    assert book.client(Query(b"rollback"))[-1] == "server Query"


def test_a_prepared_statement_that_would_be_forwarded_otherwise_now() -> None:
    book = masked({"q": one("select", MaskPlan("scan", "masked A", ("crm.customers.ssn",)), **READS)})
    book.client(Parse(b"s", b"q"), SYNC_MESSAGE)
    book.server(PARSED, IDLE)
    book.analyses["q"] = one("select", MaskPlan("scan", "masked B", ("crm.customers.ssn",)), **READS)
    masking = [{"name": "ssn", "columns": ["crm.customers.ssn"], "method": {"name": "nullify"}}]
    book.environment.bundle = bundle(masking=masking)
    assert refused(book, Bind(b"", b"s"))


def test_encodings_in_which_gateway_and_server_may_differ() -> None:
    for name in ("SJIS", "BIG5", "GBK", "GB18030", "UHC", "JOHAB", "MULE_INTERNAL"):
        book = masked({"q": one("select", **READS)})
        book.server(ParameterStatus("client_encoding", name))
        assert refused(book, Query(b"q"))
        book = Playbook().sign_in()  # no rule, no mask: as transparent as it gets
        book.server(ParameterStatus("client_encoding", name))
        assert book.client(Query(b"q"))[-1] == "server Query"


def test_standard_conforming_strings_off() -> None:
    book = masked({"q": one("select", **READS)})
    book.server(ParameterStatus("standard_conforming_strings", "off"))
    assert refused(book, Query(b"q"))


def test_encoding_changed_earlier_in_the_pipeline() -> None:
    book = masked({"set": one("set", reading_changes=True)})
    book.client(Parse(b"", b"set"), Bind(b"", b""), Execute(b""))
    book.client(Parse(b"", b"select 'x\\'' "))
    assert b"select 'x" not in book.sent()


def test_bytes_that_are_no_text() -> None:
    assert refused(Playbook(STRICT).sign_in(), Query(b"select '\xff'"), "22021")
    assert Playbook().sign_in().client(Query(b"select '\xff'"))[-1] == "server Query"  # its own error, where nothing depends on it


def test_tables_altered_in_an_open_transaction() -> None:
    alter = one("alter", schema_changes=True, writes=frozenset({"crm.customers"}))
    book = masked({"alter": alter, "q": one("select", **READS)})
    book.client(Query(b"alter"))
    book.server(CommandComplete("ALTER TABLE"), IN_BLOCK)
    assert "client ErrorResponse TG003" in [*book.client(Query(b"q")), *book.server(b"E\0\0\0\x1aSERROR\0VERROR\0C34000\0\0")]
    assert b"q\0" not in book.sent()


def test_schema_changes_make_the_catalog_read_again() -> None:
    create = one("create", schema_changes=True)
    book = masked({"create": create, "q": one("select", **READS)})
    book.client(Query(b"create"))
    book.server(CommandComplete("CREATE TABLE"), IDLE)
    book.effects.clear()
    book.client(Query(b"q"))
    assert fx.RefreshCatalog("crm", "crm_db") in book.effects


def test_unknown_relations_are_looked_up_once() -> None:
    book = masked({"q": one("select")})
    book.analyses["q"] = Analysis(book.analyses["q"].statements, unknown_relations=frozenset({"t"}))
    assert book.client(Query(b"q"))[-1] == "server Query"
    assert sum(isinstance(e, fx.RefreshCatalog) for e in book.effects) == 1


def test_function_call() -> None:
    book = Playbook(STRICT).sign_in()
    assert refused(book, b"F\0\0\0\x08\0\0\0\x07", "TG003")
    assert book.records("statement.intended")[0]["sql"] == "FunctionCall 7"
    assert book.client(Query(b"select 1"))[-1] == "server Query"


def test_unknown_frontend_message() -> None:
    book = Playbook().sign_in()
    assert refused(book, b"y\0\0\0\x04", "08P01")
    assert isinstance(book.effects[-1], fx.Close)


def test_message_over_the_size_limit() -> None:
    book = Playbook().sign_in()
    assert refused(book, b"Q\x40\0\0\x05", "08P01")
    assert isinstance(book.effects[-1], fx.Close)


def test_malformed_message() -> None:
    for message in (b"Q\0\0\0\x05x", b"P\0\0\0\x06\0\0", b"B\0\0\0\x04", b"D\0\0\0\x06x\0", b"Q\0\0\0\x03"):
        book = Playbook().sign_in()
        assert refused(book, message, "08P01")


def test_records_cannot_be_kept() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"select 1"))
    words = book.give(ev.RecordFailed("disk full"))
    assert words[-3:] == ["client ErrorResponse 58030", "server Terminate", "Close"]
    assert not any(w.startswith("record") for w in words)
    assert "CancelServer" in words
    assert book.client(Query(b"select 1")) == []


def test_the_records_of_the_end_cannot_be_kept() -> None:
    book = Playbook().sign_in()
    book.give(ev.ClientGone())
    assert book.give(ev.RecordFailed("disk full")) == ["Close"]


def test_broker_down() -> None:
    book = Playbook(bundle(**HELD), {"delete": one("delete")}).sign_in()
    book.client(Query(b"delete"))
    assert "client ErrorResponse TG003" in book.give(ev.ApprovalAnswered("", "unavailable"))
    assert book.client(Query(b"select 1"))[-1] == "server Query"  # others go on


def test_exception_in_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Playbook().sign_in()

    def broken(question: object) -> None:
        raise KeyError("a secret value")

    monkeypatch.setattr("proxy.policy.engine.decide", broken)
    words = book.client(Query(b"select 1"))
    assert words[-3:] == ["client ErrorResponse XX000", "server Terminate", "Close"]
    assert "a secret value" not in repr(book.effects)
    [log] = [e for e in book.effects if isinstance(e, fx.Log) and e.event == "session.failed"]
    assert str(log.fields["error"]).startswith("KeyError at ")
    assert book.give(ev.ClientGone()) == []


def test_replies_that_nobody_asked_for() -> None:
    unknown, copy_both = b"y\0\0\0\x04", b"W\0\0\0\x07\0\0\0"
    for message in (DataRow(()), IDLE, CommandComplete("SELECT 1"), PARSED, copy_both, unknown, RowDescription(())):
        book = Playbook().sign_in()
        words = book.server(message)
        assert words[-3:] == ["client ErrorResponse XX000", "server Terminate", "Close"]


def test_a_catalog_or_policy_that_is_gone_when_the_rows_arrive() -> None:
    plan = MaskPlan("result", masked=("crm.customers.ssn",))
    columns = RowDescription((ResultColumn(b"b", CUSTOMERS, 3, 25, -1, -1, 0),))
    for message in (Query(b"q").encode(), b"".join(m.encode() for m in (Parse(b"", b"q"), Bind(b"", b""), Execute(b"")))):
        book = masked({"q": one("select", plan, **READS)})
        book.client(message)
        book.environment.catalogs.clear()
        extended = (PARSED, BOUND) if message[:1] == b"P" else ()
        book.server(*extended, columns, DataRow((b"123-45-6789",)))
        assert b"***" in book.sent(fx.SendToClient)
        assert b"6789" not in book.sent(fx.SendToClient)


def test_rows_without_the_columns_that_were_described() -> None:
    plan = MaskPlan("result", masked=("crm.customers.ssn",))
    book = masked({"q": one("select", plan, **READS)})
    book.client(Query(b"q"))
    columns = RowDescription((ResultColumn(b"a", CUSTOMERS, 1, 25, -1, -1, 0), ResultColumn(b"b", CUSTOMERS, 3, 25, -1, -1, 0)))
    words = book.server(columns, DataRow((b"123-45-6789",)))
    assert words[-1] == "Close"
    assert b"6789" not in book.sent(fx.SendToClient)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(b"BCdcfDEHFPpQSX?"), st.binary(max_size=20)), max_size=8), st.booleans())
def test_garbage_from_the_client_never_raises(messages: list[tuple[int, bytes]], is_masked: bool) -> None:
    book = masked() if is_masked else Playbook().sign_in()
    for kind, body in messages:
        book.client(bytes([kind]) + (len(body) + 4).to_bytes(4, "big") + body)
    assert not any(isinstance(e, fx.Log) and e.event == "session.failed" for e in book.effects)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(b"RK23CWdcGHDIEVvnNAtS1sZT?"), st.binary(max_size=20)), max_size=8))
def test_garbage_from_the_server_never_raises(messages: list[tuple[int, bytes]]) -> None:
    book = Playbook().sign_in()
    book.client(Parse(b"", b"a"), Bind(b"", b""), Execute(b""), SYNC_MESSAGE, Query(b"b"))
    for kind, body in messages:
        book.server(bytes([kind]) + (len(body) + 4).to_bytes(4, "big") + body)
    assert not any(isinstance(e, fx.Log) and e.event == "session.failed" for e in book.effects)


@pytest.mark.parametrize(
    "policy", [{"connection": {"default": "deny"}, "rules": [rule("select", "allow")]}, {"rules": [rule("drop", "deny")]}]
)
def test_what_the_server_would_read_differently_is_not_decided_by_what_we_read(policy: dict[str, Any]) -> None:
    # With standard_conforming_strings off, a DROP can hide in what looks like one string.
    book = Playbook(bundle(**policy)).sign_in()
    book.server(ParameterStatus("standard_conforming_strings", "off"))
    assert refused(book, Query(rb"select '\''; drop table t; --'"), "TG003")
    book.server(ParameterStatus("standard_conforming_strings", "on"), ParameterStatus("client_encoding", "SJIS"))
    assert refused(book, Query(b"select 1"), "TG003")
    assert Playbook().sign_in().client(Query(b"select 1"))[-1] == "server Query"
