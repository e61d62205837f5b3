"""Statements that wait for a human: what is asked, how it ends, and that nothing runs that was not approved."""

from typing import Any

from proxy import effects as fx
from proxy import events as ev
from proxy.sql.facts import MaskPlan
from proxy.wire.backend import CommandComplete, DataRow, ErrorFields
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query
from tests.proxy.session.example import HELD, MASKED, NOW, bundle, one, rule
from tests.proxy.session.playbook import IDLE, IN_BLOCK, Playbook, error

DELETE = {"delete": one("delete", writes=frozenset({"crm.orders"}))}
PARSED, BOUND = b"1\0\0\0\x04", b"2\0\0\0\x04"
RUN = ["record statement.intended approve", "server Query"]


def held(analyses: dict[str, Any] | None = None, **policy: Any) -> Playbook:
    return Playbook(bundle(**{**HELD, **policy}), analyses or DELETE).sign_in()


def workflow(**over: Any) -> list[dict[str, Any]]:
    base = {"name": "owners", "quorum": 1, "expires": 900, "hold": "wait", "max_wait": 600, "has_approvers": True}
    return [{**base, **over}]


def request(book: Playbook) -> dict[str, Any]:
    return dict([e for e in book.effects if isinstance(e, fx.RequestApproval)][-1].request)


def opened(book: Playbook) -> list[str]:
    return book.give(ev.ApprovalAnswered("r1", "open", url="https://t/r1"))


def test_a_held_query_runs_once_it_is_approved() -> None:
    book = held()
    query = Query(b"delete").encode()
    assert book.client(query) == ["RequestApproval"]
    assert opened(book) == ["client NoticeResponse", "WakeAt"]
    assert b"https://t/r1" in book.sent(fx.SendToClient)
    assert book.sent() == b""
    assert book.give(ev.ApprovalAnswered("r1", "consumed")) == RUN
    assert book.sent() == query
    assert book.records("statement.intended")[0]["approval"] == "r1"
    assert book.server(CommandComplete("DELETE 1"), IDLE)[0] == "record statement.completed ok"
    assert book.client(query) == ["RequestApproval"]  # once is once


def test_the_notice_does_not_break_into_a_row_that_is_on_its_way() -> None:
    book = held()
    run = (Bind(b"", b""), Execute(b""))
    book.client(Parse(b"", b"select"), *run, Parse(b"", b"delete"), *run, SYNC_MESSAGE)
    row, notice = DataRow((b"x" * 5000,)).encode(), b"https://t/r1"
    book.server(PARSED, BOUND, row[:1000])
    assert opened(book) == ["WakeAt"]
    assert book.server(row[1000:2000])
    assert notice not in book.sent(fx.SendToClient)
    book.server(row[2000:], CommandComplete("SELECT 1"))
    before, _, behind = book.sent(fx.SendToClient).partition(notice)
    assert row in before
    assert CommandComplete("SELECT 1").encode() in behind


def test_rejected_expired_and_the_rest() -> None:
    for outcome, sqlstate in {
        "rejected": "TG002", "expired": "TG002", "cancelled": "TG002", "no_approver": "42501", "unavailable": "TG003", "nonsense": "TG003",
    }.items():  # fmt: skip
        book = held()
        book.client(Query(b"delete"))
        words = book.give(ev.ApprovalAnswered("r1", outcome, "too risky"))
        assert words[-2:] == [f"client ErrorResponse {sqlstate}", "client ReadyForQuery I"]
        assert book.sent() == b""
        assert book.records("statement.completed")[0]["outcome"] == "refused"


def test_a_rejected_statement_in_a_transaction_fails_it() -> None:
    book = held()
    book.client(Query(b"begin"))
    book.server(CommandComplete("BEGIN"), IN_BLOCK)
    book.client(Query(b"delete"))
    assert book.give(ev.ApprovalAnswered("r1", "rejected"))[-2:] == ["server Execute", "server Sync"]


def test_a_rejected_execute_in_a_pipeline_skips_to_sync() -> None:
    book = held()
    book.client(Parse(b"", b"delete"), Bind(b"", b""), Execute(b""), Execute(b""), SYNC_MESSAGE, Query(b"select 1"))
    book.server(PARSED, BOUND)
    words = book.give(ev.ApprovalAnswered("r1", "rejected"))
    assert [w for w in words if not w.startswith("record")] == ["server Sync", "client ErrorResponse TG002", "server Query"]


def test_a_ticket_is_refused_at_once_and_stays_open() -> None:
    book = held(workflows=workflow(hold="ticket"))
    book.client(Query(b"delete"))
    words = opened(book)
    assert words[-2:] == ["client ErrorResponse TG001", "client ReadyForQuery I"]
    fields = ErrorFields.decode(book.sent(fx.SendToClient)[5:-6]).fields
    assert b"r1" in fields["H"]
    assert not any(isinstance(e, fx.WithdrawApproval) for e in book.effects)
    assert book.records("statement.completed")[0]["outcome"] == "held"
    book.client(Query(b"delete"))  # the same statement again: this time it was approved
    assert book.give(ev.ApprovalAnswered("r2", "consumed")) == RUN


def test_waiting_ends_after_max_wait_and_a_late_answer_means_nothing() -> None:
    book = held()
    book.client(Query(b"delete"))
    opened(book)
    book.now = NOW + 599
    assert book.give(ev.Tick()) == ["WakeAt"], "too early: it is looked at again"
    book.now = NOW + 600
    assert book.give(ev.Tick())[-2:] == ["client ErrorResponse TG001", "client ReadyForQuery I"]
    assert book.give(ev.ApprovalAnswered("r1", "consumed")) == []
    book.client(Query(b"delete"))
    assert book.give(ev.ApprovalAnswered("r1", "consumed")) == []  # of the first run, not of this one
    assert book.sent() == b""


def test_cancel_withdraws() -> None:
    book = held()
    book.client(Query(b"delete"))
    opened(book)
    words = book.give(ev.CancelRequested())
    assert fx.WithdrawApproval("r1", "cancelled by the client") in book.effects
    assert words[-2:] == ["client ErrorResponse 57014", "client ReadyForQuery I"]
    assert book.records("statement.completed")[0]["outcome"] == "cancelled"


def test_cancel_before_the_request_has_a_name() -> None:
    book = held()
    book.client(Query(b"delete"))
    assert book.give(ev.CancelRequested())[-2:] == ["client ErrorResponse 57014", "client ReadyForQuery I"]
    assert book.client(Query(b"delete")) == []  # the first answer is still due
    assert book.give(ev.ApprovalAnswered("r1", "consumed")) == ["WithdrawApproval", "RequestApproval"]
    assert book.sent() == b""


def test_a_client_that_goes_withdraws() -> None:
    book = held()
    book.client(Query(b"delete"))
    opened(book)
    words = book.give(ev.ClientGone())
    assert "WithdrawApproval" in words
    assert words[:2] == ["record statement.intended approve", "record statement.completed cancelled"]


def test_a_failure_of_an_earlier_message_withdraws() -> None:
    book = held()
    book.client(Parse(b"", b"delete"), Bind(b"", b""), Execute(b""))
    book.now = NOW + 2  # as long as the preview waits for the answers to what came before
    assert book.give(ev.Tick()) == ["server Flush", "RequestApproval"]
    opened(book)
    words = book.server(PARSED, error("22P02"))
    assert "WithdrawApproval" in words
    assert book.client(SYNC_MESSAGE) == ["server Sync"]


def test_nobody_is_asked_about_what_will_not_be_reached() -> None:
    book = held()
    book.client(Parse(b"", b"delete"), Bind(b"", b""), Execute(b""))
    assert "RequestApproval" not in book.server(PARSED, error("22P02"))
    assert book.client(SYNC_MESSAGE) == ["server Sync"]


def test_the_queue_behind_a_held_statement_is_bounded() -> None:
    book = held()
    book.client(Query(b"delete"))
    opened(book)
    assert book.client(Query(b"x" * 1_000_000)) == []
    words = book.client(Query(b"x" * 100_000))
    assert "client ErrorResponse 54000" in words
    assert words[-1] == "Close"
    assert "WithdrawApproval" in words


def test_what_was_pipelined_behind_runs_afterwards() -> None:
    book = held()
    book.client(Query(b"delete"), Query(b"select 1"))
    assert book.give(ev.ApprovalAnswered("r1", "consumed")) == [*RUN, "record statement.intended allow", "server Query"]


def test_a_denial_that_came_meanwhile_wins() -> None:
    book = held()
    book.client(Query(b"delete"))
    opened(book)
    book.environment.bundle = bundle(rules=[rule("delete", "deny")])
    assert "client ErrorResponse 42501" in book.give(ev.ApprovalAnswered("r1", "consumed"))
    assert book.sent() == b""


def test_a_yes_of_another_workflow_than_is_asked_now_does_not_count() -> None:
    book = held()
    book.client(Query(b"delete"))
    opened(book)
    stricter = {**rule("delete", "approve"), "workflow": "officers"}
    book.environment.bundle = bundle(rules=[stricter], workflows=workflow() + workflow(name="officers"))
    assert "client ErrorResponse TG003" in book.give(ev.ApprovalAnswered("r1", "consumed"))
    assert book.sent() == b""


def test_masks_that_changed_meanwhile_void_the_approval() -> None:
    plan = MaskPlan("none", masked=("crm.customers.ssn",))
    book = held({"delete": one("delete", plan, writes=frozenset({"crm.orders"}))}, **MASKED)
    book.client(Query(b"delete"))
    opened(book)
    before = book.sent()
    book.environment.bundle = bundle(**HELD)
    assert "client ErrorResponse TG003" in book.give(ev.ApprovalAnswered("r1", "consumed"))
    assert book.sent() == before


def test_a_stale_policy_when_the_answer_comes() -> None:
    book = held()
    book.client(Query(b"delete"))
    opened(book)
    book.now = NOW + 4000
    assert "client ErrorResponse TG003" in book.give(ev.ApprovalAnswered("r1", "consumed"))
    assert book.sent() == b""


def test_drain_withdraws() -> None:
    book = held()
    book.client(Query(b"delete"))
    opened(book)
    words = book.give(ev.Drain())
    assert "WithdrawApproval" in words
    assert "client ErrorResponse 57P01" in words


def test_fetching_on_from_an_approved_portal_needs_no_second_approval() -> None:
    book = held()
    book.client(Parse(b"", b"delete"), Bind(b"", b""), Execute(b"", 1), b"H\0\0\0\x04")
    book.server(PARSED, BOUND)
    book.give(ev.ApprovalAnswered("r1", "consumed"))
    book.server(b"s\0\0\0\x04")
    assert book.client(Execute(b"", 1), SYNC_MESSAGE) == ["record statement.intended approve", "server Execute", "server Sync"]
