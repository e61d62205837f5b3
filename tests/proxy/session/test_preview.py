"""What the gateway asks the target about a statement before it is held, and that it gives everything back.

(What a real target answers: tests/worker/test_previews.py.)
"""

import dataclasses
import itertools
from typing import Any

from proxy import effects as fx
from proxy import events as ev
from proxy.sql.facts import Analysis, Count
from proxy.wire.backend import CommandComplete, DataRow
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import HELD, MASKED, bundle, one, rule
from tests.proxy.session.playbook import FAILED, IDLE, IN_BLOCK, Playbook, error

PARSED, BOUND, CLOSED = b"1\0\0\0\x04", b"2\0\0\0\x04", b"3\0\0\0\x04"
DELETE = one("delete", writes=frozenset({"crm.customers"}), planned=True)
PLAN = b'[{"Plan": {"Node Type": "ModifyTable", "Plans": [{"Parent Relationship": "Outer", "Plan Rows": 7}]}}]'


class Counting(Playbook):
    """The analysis process counts by ``count``."""

    count = Count("SELECT count(*) FROM crm.customers", assigned=frozenset())

    def give(self, event: ev.Event) -> list[str]:
        if isinstance(event, ev.Analysed) and self.asked().counting:
            event = ev.Analysed(dataclasses.replace(event.analysis, count=self.count))
        return super().give(event)

    def asked(self) -> Any:
        return [effect.request for effect in self.effects if isinstance(effect, fx.Analyse)][-1]


def talk(status: Any = IDLE, analysis: Analysis = DELETE, **policy: Any) -> Counting:
    book = Counting(bundle(**{**HELD, **policy}), {"delete": analysis, "delete $1": analysis}).sign_in()
    if status is IN_BLOCK:
        book.client(Query(b"begin"))
        book.server(CommandComplete("BEGIN"), IN_BLOCK)
    book.effects.clear()
    return book


def texts(book: Playbook) -> list[bytes]:
    """The questions of the last round."""
    data, found = bytes([e for e in book.effects if isinstance(e, fx.SendToServer)][-1].data), []
    while data:
        length = int.from_bytes(data[1:5], "big") + 1
        if data[:1] == b"P":
            found.append(data[5:length].split(b"\0")[1].strip().split(b"\n")[0])
        data = data[length:]
    return found


def answered(*cells: bytes | None, status: Any = IN_BLOCK) -> list[Any]:
    """What answers one question for each of these values."""
    rows = [[DataRow((cell,))] if cell is not None else [] for cell in cells]
    return [
        message for row in rows for message in (CLOSED, CLOSED, PARSED, BOUND, *row, CommandComplete("OK"), CLOSED, CLOSED, status)
    ]  # fmt: skip


def failed(sqlstate: str, status: Any = FAILED) -> list[Any]:
    return [CLOSED, CLOSED, error(sqlstate, "a secret"), status]


def told(book: Playbook) -> dict[str, Any]:
    request = [e for e in book.effects if isinstance(e, fx.RequestApproval)][-1].request
    assert request["bound"] == request["preview"]["affected_rows"]  # type: ignore[index]
    return dict(request["preview"])  # type: ignore[call-overload]


def test_outside_of_a_transaction_it_is_the_gateways_own() -> None:
    book = talk()
    book.client(Query(b"delete"))
    assert texts(book)[0] == b"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
    assert b"statement_timeout" in texts(book)[1]
    assert b"lock_timeout" in texts(book)[2]
    book.server(*answered(None, None, None))
    assert [text[:8] for text in texts(book)[:2]] == [b"SELECT t", b"SELECT k"], "triggers and foreign keys, which wait for nothing"
    assert texts(book)[2:] == [b"EXPLAIN delete", b"EXPLAIN (FORMAT JSON) delete", b"SELECT count(*) FROM crm.customers"]
    book.server(*answered(None, None, b"Delete on orders", PLAN, b"5"))
    assert texts(book) == [b"ROLLBACK"]
    assert book.server(*answered(None, status=IDLE)) == ["RequestApproval"]
    preview = told(book)
    assert (preview["plan"], preview["estimated_rows"], preview["affected_rows"]) == ("Delete on orders", 7, 5)
    assert preview["notes"] == []
    assert book.sent(fx.SendToClient) == b""


def test_in_a_transaction_it_stands_behind_a_savepoint() -> None:
    book = talk(IN_BLOCK)
    book.client(Query(b"delete"))
    assert texts(book)[0].startswith(b'SAVEPOINT "tidegate-')
    assert texts(book)[1] == b"SET LOCAL transaction_read_only = on"
    book.server(*answered(None, None, None, None))
    book.server(*answered(None, None, b"", PLAN, b"5"))
    assert [text.partition(b'"')[0] for text in texts(book)] == [b"ROLLBACK TO SAVEPOINT ", b"RELEASE SAVEPOINT "]
    assert book.server(*answered(None, None)) == ["RequestApproval"]


def test_what_fails_is_said_and_nothing_of_its_text() -> None:
    for status in (IDLE, IN_BLOCK):
        book = talk(status)
        book.client(Query(b"delete"))
        book.server(*answered(*[None] * len(texts(book))))
        book.server(*answered(None, None), *failed("55P03"), *failed("25P02"), *failed("25P02"))
        assert book.server(*answered(*[None] * len(texts(book)), status=status)) == ["RequestApproval"]
        preview = told(book)
        assert (preview["plan"], preview["estimated_rows"], preview["affected_rows"]) == ("", None, None)
        assert "a lock was not free within half a second (SQLSTATE 55P03)" in preview["notes"][0]
        assert "secret" not in str(preview)
        assert book.sent(fx.SendToClient) == b""


def test_questions_are_only_put_where_they_can_be_given_back() -> None:
    book = talk()
    book.client(Query(b"delete"))
    book.server(*failed("57P03", IDLE), *answered(None, None, status=IDLE))
    assert texts(book) == [b"ROLLBACK"]
    assert book.server(*answered(None, status=IDLE)) == ["RequestApproval"]
    assert "57P03" in told(book)["notes"][0]


def test_a_session_whose_transaction_cannot_be_given_back_ends() -> None:
    book = talk(IN_BLOCK)
    book.client(Query(b"delete"))
    book.server(*answered(None, None, None, None))
    book.server(*answered(None, None), *failed("57014"), *failed("25P02"), *failed("25P02"))
    words = list(itertools.chain.from_iterable(book.server(*failed("57014"), *failed("57014")) for _ in range(3)))
    assert "client ErrorResponse XX000" in words
    assert words[-1] == "Close"


def test_a_cancel_ends_it_and_opens_no_request() -> None:
    book = talk()
    book.client(Query(b"delete"))
    book.server(*answered(None, None, None))
    assert book.give(ev.CancelRequested()) == ["CancelServer"]
    book.server(*answered(None, None), *failed("57014"), *failed("25P02"), *failed("25P02"))
    words = book.server(*answered(None, status=IDLE))
    assert words[-2:] == ["client ErrorResponse 57014", "client ReadyForQuery I"]
    assert "RequestApproval" not in words
    assert book.records("statement.completed")[0]["outcome"] == "cancelled"


def test_a_cancel_that_fails_the_clients_transaction_is_the_clients() -> None:
    book = talk(IN_BLOCK)
    book.client(Query(b"delete"))
    assert book.give(ev.CancelRequested()) == ["CancelServer"]
    book.server(*failed("57014"), *failed("25P02"), *failed("25P02"), *failed("25P02"))
    words = list(itertools.chain.from_iterable(book.server(*failed("3B001"), *failed("3B001")) for _ in range(3)))
    assert words[-2:] == ["client ErrorResponse 57014", "client ReadyForQuery E"]


def test_the_batch_of_a_portal_ends_and_its_portals_are_bound_again() -> None:
    book = talk()
    bind = Bind(b"p", b"", (1,), (b"\0\0\0\7",))
    book.client(Parse(b"", b"delete $1", (23,)), bind, Execute(b"p"), SYNC_MESSAGE)
    book.server(PARSED, BOUND)
    book.server(*answered(None, None, None))
    assert b"EXPLAIN delete $1\0\0\1\0\0\0\x17" in book.sent()
    book.server(*answered(None, None, b"", PLAN, b"5"))
    assert book.server(*answered(None, status=IDLE)) == ["RequestApproval"]
    book.effects.clear()
    book.give(ev.ApprovalAnswered("r1", "consumed"))
    assert book.sent() == bind.encode() + Execute(b"p").encode() + SYNC_MESSAGE
    assert book.server(BOUND, CommandComplete("DELETE 5"), IDLE) == [
        "record statement.completed ok", "client CommandComplete", "client ReadyForQuery I",
    ]  # fmt: skip


def test_a_portal_that_is_bound_again_means_what_was_approved_or_does_not_run() -> None:
    book = talk(**MASKED)
    book.client(Parse(b"", b"delete"), Bind(b"p", b""), Execute(b"p"), SYNC_MESSAGE)
    book.server(PARSED, BOUND)
    book.server(*answered(None, None, None))
    book.server(*answered(None, None, b"", PLAN, b"5"))
    book.server(*answered(None, status=IDLE))
    [key] = [key for key in book.environment.analyses._known if key[0] == "delete" and key[-1] is not True]
    book.environment.analyses.put(key, one("delete", writes=frozenset({"crm.others"})))
    assert "client ErrorResponse TG003" in book.give(ev.ApprovalAnswered("r1", "consumed"))


def test_parameters_of_the_count_are_those_of_the_statement() -> None:
    book = talk()
    book.count = Count("SELECT count(*) FROM t WHERE id = $2", (2,))
    book.client(Parse(b"", b"delete $1"), Bind(b"", b"", (), (b"left out", b"42")), Execute(b""), SYNC_MESSAGE)
    book.server(PARSED, BOUND)
    book.server(*answered(None, None, None))
    asked = bytes([e for e in book.effects if isinstance(e, fx.SendToServer)][-1].data)
    counting = asked[asked.index(b"WHERE id = $2") :]
    assert b"42" in counting
    assert b"left out" not in counting


def test_rows_are_not_counted_where_it_is_not_known_what_changes_with_them() -> None:
    book = talk(analysis=one("delete", writes=frozenset({"crm.new"}), planned=True))
    book.client(Query(b"delete"))
    book.server(*answered(None, None, None))
    assert texts(book) == [b"EXPLAIN delete", b"EXPLAIN (FORMAT JSON) delete"]
    book.server(*answered(b"", PLAN))
    book.server(*answered(None, status=IDLE))
    assert told(book)["affected_rows"] is None
    assert told(book)["notes"][0] == "Triggers and foreign keys are not known."


def test_nothing_is_asked_about_what_is_not_held() -> None:
    book = talk(analysis=one("select", planned=True))
    assert book.client(Query(b"delete")) == ["record statement.intended allow", "server Query"]
    book = talk(rules=[rule("delete", "deny")])
    assert book.client(Query(b"delete"))[-2:] == ["client ErrorResponse 42501", "client ReadyForQuery I"]
    assert book.sent() == b""


def test_nothing_is_asked_where_there_is_no_place_for_it() -> None:
    for messages, why in (
        ((Parse(b"", b"x"), Bind(b"", b""), Execute(b""), Parse(b"", b"delete"), Bind(b"", b""), Execute(b"")), "pipeline"),
        ((Parse(b"", b"x"), Query(b"delete")), "pipeline"),
    ):
        book = talk()
        book.client(*messages)
        assert why in told(book)["notes"][0]
        assert b"READ ONLY" not in book.sent()
    book = talk(analysis=dataclasses.replace(DELETE, statements=DELETE.statements * 2))
    assert book.client(Query(b"delete")) == ["RequestApproval"]
    assert "several statements" in told(book)["notes"][0]


def test_a_drain_meanwhile_ends_the_session() -> None:
    book = talk()
    book.client(Query(b"delete"))
    book.give(ev.Drain())
    book.server(*answered(None, None, None))
    book.server(*answered(None, None, b"", PLAN, b"5"))
    words = book.server(*answered(None, status=IDLE))
    assert "client ErrorResponse 57P01" in words
    assert "RequestApproval" not in words


def test_a_long_plan_is_cut() -> None:
    book = talk()
    book.client(Query(b"delete"))
    book.server(*answered(None, None, None))
    book.server(*answered(None, None, "é".encode() * 10_000, PLAN, b"5"))
    book.server(*answered(None, status=IDLE))
    plan = told(book)["plan"]
    assert len(plan.encode()) <= 16 << 10
    assert plan.endswith("é…")
