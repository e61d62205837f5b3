"""What the server says on its way to the client: rows, masks, COPY, errors, notices."""

import pytest

from proxy import effects as fx
from proxy import events as ev
from proxy.sql.facts import Analysis, CopyOut, MaskPlan
from proxy.wire.backend import (
    CommandComplete,
    CopyOutResponse,
    DataRow,
    ErrorFields,
    NotificationResponse,
    ParameterStatus,
    ResultColumn,
    RowDescription,
)
from proxy.wire.copy_data import CopyFormat
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Describe, Execute, Parse, Query
from tests.proxy.session.example import CUSTOMERS, MASKED, bundle, one
from tests.proxy.session.playbook import IDLE, Playbook, error

ALLOWED = ["record statement.intended allow", "server Query"]
PARSED, BOUND, CLOSED, NO_DATA = b"1\0\0\0\x04", b"2\0\0\0\x04", b"3\0\0\0\x04", b"n\0\0\0\x04"
SSN = RowDescription((ResultColumn(b"id", CUSTOMERS, 1, 25, -1, -1, 0), ResultColumn(b"x", CUSTOMERS, 3, 25, -1, -1, 0)))


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


def test_a_query_in_the_middle_of_a_copy_fails_it_and_is_never_run() -> None:
    for early in (True, False):
        book = Playbook().sign_in()
        wanted = b"G\0\0\0\x07\0\0\0"
        if early:
            book.client(Query(b"copy"), Query(b"second"))
            book.server(wanted)
        else:
            book.client(Query(b"copy"))
            book.server(wanted)
            book.client(Query(b"second"))
        words = book.server(error("08P01", R="CopyGetData"), IDLE)
        assert words[-2:] == ["client ErrorResponse 08P01", "client ReadyForQuery I"]
        assert sorted(r["outcome"] for r in book.records("statement.completed")) == ["cancelled", "error"]
        assert book.client(Query(b"third"))[-1] == "server Query"
        assert book.server(CommandComplete("SELECT 0"), IDLE)[-1] == "client ReadyForQuery I"


def test_a_query_behind_a_copy_that_failed_by_its_data_is_run() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"copy"), Query(b"second"))
    book.server(b"G\0\0\0\x07\0\0\0", error("22P02"), IDLE)
    assert book.server(CommandComplete("SELECT 0"), IDLE)[-1] == "client ReadyForQuery I"
    assert [r["outcome"] for r in book.records("statement.completed")] == ["error", "ok"]


def test_copy_out_is_streamed_in_pieces() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"copy"))
    data = b"d\0\0\x10\x04" + b"x" * 4096
    book.server(b"H\0\0\0\x07\0\0\0", data[:1000])
    book.server(data[1000:], b"c\0\0\0\x04", CommandComplete("COPY 1"), IDLE)
    assert data in book.sent(fx.SendToClient)
    assert book.records("statement.completed")[0]["bytes"] == len(data)


def test_a_large_notice_is_passed_on_in_pieces_where_nothing_is_taken_from_it() -> None:
    notice = error("00000", "x" * 4096, "NOTICE").replace(b"E", b"N", 1)
    book = Playbook().sign_in()
    book.client(Query(b"a"))
    book.server(notice[:1000])
    assert book.sent(fx.SendToClient) == notice[:1000]
    book.server(notice[1000:], CommandComplete("DO"), IDLE)
    assert notice in book.sent(fx.SendToClient)
    assert book.records("statement.completed")[0]["bytes"] == 0, "it is no result"


def test_a_large_notice_about_a_masked_relation_is_not() -> None:
    plan = MaskPlan("result", masked=("crm.customers.ssn",), sanitise_errors=True)
    book = Playbook(bundle(**MASKED), {"q": one("select", plan, reads=frozenset({"crm.customers"}))}).sign_in()
    book.client(Query(b"q"))
    notice = error("00000", "123-45-6789" * 400, "NOTICE").replace(b"E", b"N", 1)
    assert book.server(notice[:1000]) == []
    assert book.server(notice[1000:]) == ["client NoticeResponse"]
    assert b"6789" not in book.sent(fx.SendToClient)


def test_masked_cells_by_origin_in_the_simple_protocol() -> None:
    plan = MaskPlan("result", masked=("crm.customers.ssn",))
    book = Playbook(bundle(**MASKED), {"q": one("select", plan, reads=frozenset({"crm.customers"}))}).sign_in()
    assert book.client(Query(b"q"))[-2:] == ALLOWED
    book.server(SSN, DataRow((b"1", b"123-45-6789")), DataRow((b"2", None)), CommandComplete("SELECT 2"), IDLE)
    sent = book.sent(fx.SendToClient)
    assert DataRow((b"1", b"***")).encode() + DataRow((b"2", None)).encode() in sent
    assert b"6789" not in sent
    assert book.records("statement.completed")[0]["masked_cells"] == 1


@pytest.mark.parametrize(("setting", "told"), [("off", b"ann@example.com"), ("alert", b"ann@example.com"), ("mask", b"***@*******.***")])
@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_detectors_look_at_columns_of_unknown_origin(setting: str, told: bytes, protocol: str) -> None:
    book = Playbook(bundle(connection={"detectors": setting})).sign_in()
    columns = RowDescription((ResultColumn(b"f", 0, 0, 25, -1, -1, 0),))
    row = DataRow((b"ann@example.com",))
    if protocol == "simple":
        book.client(Query(b"select f()"))
        book.server(columns, row, CommandComplete("SELECT 1"), IDLE)
    else:
        words = book.client(Parse(b"", b"select f()"), Bind(b"", b""), Execute(b""), SYNC_MESSAGE)
        assert ("server Describe" in words) == (setting != "off"), "what the client did not ask for it does not get"
        described = [columns] if setting != "off" else []
        words = book.server(b"1\0\0\0\x04", b"2\0\0\0\x04", *described, row, CommandComplete("SELECT 1"), IDLE)
        assert "client RowDescription" not in words
    assert DataRow((told,)).encode() in book.sent(fx.SendToClient)
    (completed,) = book.records("statement.completed")
    assert completed.get("detected") == (None if setting == "off" else {"email": 1})


def test_a_large_row_is_not_passed_on_in_pieces_where_detectors_look_at_it() -> None:
    book = Playbook(bundle(connection={"detectors": "mask"})).sign_in()
    book.client(Query(b"select f()"))
    row = DataRow((b"x" * 5000 + b" ann@example.com",)).encode()
    book.server(RowDescription((ResultColumn(b"f", 0, 0, 25, -1, -1, 0),)))
    assert book.server(row[:4000]) == []
    assert book.server(row[4000:]) == ["client DataRow"]
    assert b"ann@" not in book.sent(fx.SendToClient)


COPIED = b"d\0\0\0\x14ann@example.com\n"


@pytest.mark.parametrize(("setting", "told"), [("off", COPIED), ("alert", COPIED), ("mask", b"d\0\0\0\x14***@*******.***\n")])
@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("piece", [3, 1000])
def test_detectors_look_into_copy_data(setting: str, told: bytes, protocol: str, piece: int) -> None:
    copies = {"copy": one("copy_to", copy_out=CopyOut(CopyFormat(), types=(0,)))}
    book = Playbook(bundle(connection={"detectors": setting}), copies).sign_in()
    if protocol == "simple":
        book.client(Query(b"copy"))
    else:
        book.client(Parse(b"", b"copy"), Bind(b"", b""), Execute(b""), SYNC_MESSAGE)
        book.server(PARSED, BOUND, *([NO_DATA] if setting != "off" else []))
    data = CopyOutResponse(0, 1).encode() + COPIED * 2
    for start in range(0, len(data), piece):
        book.give(ev.ServerData(data[start : start + piece]))
    book.server(b"c\0\0\0\x04", CommandComplete("COPY 2"), IDLE)
    assert CopyOutResponse(0, 1).encode() + told * 2 + b"c\0\0\0\x04" in book.sent(fx.SendToClient)
    (completed,) = book.records("statement.completed")
    assert completed.get("detected") == (None if setting == "off" else {"email": 2})


def test_a_copy_of_a_text_that_was_not_read_is_not_passed_on_unseen() -> None:
    book = Playbook(bundle(connection={"detectors": "mask"}), {"copy": Analysis(problem="it is too long")}).sign_in()
    book.client(Query(b"copy"))
    assert book.server(CopyOutResponse(0, 1), COPIED) == ["CancelServer"]
    assert book.server(error("57014"), IDLE)[-2:] == ["client ErrorResponse TG003", "client ReadyForQuery I"]
    assert b"ann@" not in book.sent(fx.SendToClient)


def test_each_copy_of_a_query_has_its_own_form() -> None:
    copies = one("copy_to", copy_out=CopyOut(CopyFormat(), types=(0,)))
    second = one("copy_to", copy_out=CopyOut(CopyFormat("csv", b"a", b""), types=(0, 0)))
    book = Playbook(bundle(connection={"detectors": "mask"}), {"two": Analysis(copies.statements + second.statements)}).sign_in()
    book.client(Query(b"two"))
    book.server(CopyOutResponse(0, 1), COPIED, b"c\0\0\0\x04", CommandComplete("COPY 1"))
    book.server(CopyOutResponse(0, 2), b"d\0\0\0\x0dxay@b.cc\n", b"c\0\0\0\x04", CommandComplete("COPY 1"), IDLE)
    assert book.records("statement.completed")[0]["detected"] == {"email": 2}
    assert b"xa*@*.**\n" in book.sent(fx.SendToClient)


def test_system_columns_belong_to_their_table() -> None:
    book = Playbook(bundle(**MASKED), {"q": one("select", reads=frozenset({"crm.customers"}))}).sign_in()
    book.client(Query(b"q"))
    columns = RowDescription((ResultColumn(b"ctid", CUSTOMERS, -1, 27, -1, -1, 0),))
    assert "Close" not in book.server(columns, DataRow((b"(0,1)",)), CommandComplete("SELECT 1"), IDLE)
    assert DataRow((b"(0,1)",)).encode() in book.sent(fx.SendToClient)


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


def test_what_a_name_runs_is_masked_by_origin_and_its_errors_lose_their_text() -> None:
    book = Playbook(bundle(**MASKED), {"fetch": one("cursor")}).sign_in()
    words = book.client(Parse(b"", b"fetch"), Bind(b"", b""), Execute(b""), SYNC_MESSAGE)
    assert words[-3:] == ["server Describe", "server Execute", "server Sync"]
    book.server(PARSED, BOUND, SSN, DataRow((b"1", b"123-45-6789")), error("22P02", "bad: 123-45-6789"), IDLE)
    assert b"6789" not in book.sent(fx.SendToClient)


def test_rows_of_several_results_are_counted_once() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"several"))
    book.server(RowDescription(()), DataRow(()), DataRow(()), CommandComplete("SELECT 2"), CommandComplete("UPDATE 3"))
    book.server(RowDescription(()), DataRow(()), CommandComplete("DELETE 1"), IDLE)  # DELETE … RETURNING
    assert book.records("statement.completed")[0]["rows"] == 6


def test_nothing_follows_a_fatal_error_of_the_server() -> None:
    book = Playbook().sign_in()
    book.client(Query(b"a"))
    words = book.server(error("57P01", severity="FATAL"), error("57014"), IDLE)
    assert [word for word in words if word.startswith("client")] == ["client ErrorResponse 57P01"]
    assert words[-1] == "Close"
    assert [r["outcome"] for r in book.records("statement.completed")] == ["lost"]
