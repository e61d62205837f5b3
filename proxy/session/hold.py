"""Holding a statement until a human says yes: the request, the waiting client, and every way in which it ends.

The client's bytes behind the held statement stay in their buffer, up to a bound. Disconnect and CancelRequest withdraw
the request. When the approval is consumed, the statement is decided once more: the policy may have changed meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import errors
from proxy.effects import RequestApproval, WithdrawApproval
from proxy.errors import Refusal
from proxy.events import ApprovalAnswered
from proxy.policy.decision import Deny, RequireApproval
from proxy.session import approval, bound, forward, gate, idle, preview, standing
from proxy.session.approval import Hold
from proxy.session.gate import Prospect
from proxy.session.state import EndSession
from proxy.sql.facts import Analysis
from proxy.wire.backend import notice_response
from proxy.wire.frontend import FLUSH_MESSAGE

if TYPE_CHECKING:
    from proxy.session.relay import Examined, Relay

QUEUE_LIMIT = 1 << 20  # bytes that a client may pipeline behind a held statement


class Holder:
    """At most one statement of a session is held."""

    def __init__(self) -> None:
        self.hold: Hold | None = None
        self._withdrawn: set[str] = set()  # requests whose late answers mean nothing any more

    def begin(self, relay: Relay, prospect: Prospect, decision: RequireApproval) -> None:
        workflow = prospect.context.bundle.workflow(decision.workflow)
        if workflow is None:
            refusal = errors.denied(f'workflow "{decision.workflow}" is not in the policy', decision=prospect.decision_id)
            relay.deny(prospect, decision, refusal)
            return
        preview.look(relay, prospect, lambda seen: self._request(relay, Hold(prospect, decision, workflow, relay.state.now, seen)))

    def _request(self, relay: Relay, hold: Hold) -> None:
        if relay.cancelled:
            relay.cancelled = False
            self._end(relay, hold, errors.cancelled(), "cancelled")
            return
        if relay.draining or relay.state.environment.draining:
            relay.drop(hold.prospect, hold.decision, "")
            raise EndSession("drained", errors.shutting_down())
        self.hold = hold
        relay.wait("approval", lambda: None)
        if relay.unsynced and relay.pending:
            # Errors of what was forwarded before it must not wait for an approver.
            relay.outbox.server.add(FLUSH_MESSAGE)
        relay.outbox.add(RequestApproval(approval.request(relay.state, hold, in_transaction=relay.in_transaction)))

    def answered(self, relay: Relay, answer: ApprovalAnswered) -> None:
        hold = self.hold
        if hold is None or answer.request_id in self._withdrawn or (hold.request_id and answer.request_id != hold.request_id):
            return
        hold.request_id = answer.request_id
        if relay.waiting is not None and relay.waiting.abandoned:
            # It was withdrawn before it had a name.
            self._withdraw(relay, hold, "the client no longer waits")
            self._over(relay)
        elif answer.outcome == "open":
            self._open(relay, hold, answer)
        elif answer.outcome == "consumed":
            hold.bound = answer.bound
            self._over(relay)
            self._run(relay, hold)
        else:
            self._over(relay)
            self._end(relay, hold, approval.refusal(hold, answer), "refused")

    def tick(self, relay: Relay) -> None:
        """The client has been kept waiting for long enough: the request stays open as a ticket."""
        hold = self.hold
        if hold is not None and hold.request_id and relay.state.now >= hold.deadline:
            self._withdrawn.add(hold.request_id)
            self._over(relay)
            self._end(relay, hold, approval.ticket(hold), "held")

    def cancel(self, relay: Relay, reason: str) -> None:
        """CancelRequest for a held statement."""
        hold = self._give_up(relay, reason)
        if hold is not None:
            self._end(relay, hold, errors.cancelled(), "cancelled")

    def abandon(self, relay: Relay, reason: str) -> None:
        """The server failed an earlier message of the batch: the held one will not be reached."""
        hold = self._give_up(relay, reason)
        if hold is not None:
            relay.drop(hold.prospect, hold.decision, hold.request_id)

    def close(self, relay: Relay, reason: str) -> None:
        """The session ends."""
        hold = self.hold
        if hold is not None:
            self._withdraw(relay, hold, reason)
            self.hold = None
            if relay.waiting is None or not relay.waiting.abandoned:
                relay.drop(hold.prospect, hold.decision, hold.request_id)

    def check_queue(self, relay: Relay) -> None:
        """Raises EndSession where the client sends more behind a held statement than is kept."""
        if self.hold is not None and relay.state.reader.waiting() > QUEUE_LIMIT:
            reason = f"more than {QUEUE_LIMIT} bytes were sent behind a statement that waits for approval"
            raise EndSession("held queue is full", Refusal("54000", reason, fatal=True))

    def _open(self, relay: Relay, hold: Hold, answer: ApprovalAnswered) -> None:
        hold.url = answer.url
        if hold.workflow.hold == "ticket" or hold.workflow.max_wait == 0:
            self._withdrawn.add(hold.request_id)
            self._over(relay)
            self._end(relay, hold, approval.ticket(hold), "held")
        elif not hold.noticed:
            hold.noticed = True
            text, hint = approval.notice(hold)
            relay.tell(notice_response(text, hint=hint))
            idle.wake(relay)

    def _run(self, relay: Relay, hold: Hold) -> None:
        """Approved: but is it still the statement that was approved, and is it still not denied?"""
        prospect = hold.prospect
        if refusal := standing.check(relay.state):
            self._end(relay, hold, refusal, "refused")
        elif prospect.portal is not None and not prospect.portal.lost:
            self._run_now(relay, hold, prospect.analysis)  # its names were bound when the portal was made
        else:
            relay.examine(relay.gate.encode(prospect.text), lambda result: self._run_examined(relay, hold, result))

    def _run_examined(self, relay: Relay, hold: Hold, result: Examined | Refusal) -> None:
        if isinstance(result, Refusal):
            self._end(relay, hold, result, "refused")
        else:
            self._run_now(relay, hold, result.analysis)

    def _run_now(self, relay: Relay, hold: Hold, analysis: Analysis) -> None:
        prospect, context = hold.prospect, relay.gate.context()
        if analysis != prospect.analysis or context.masks.digest != prospect.context.masks.digest:
            self._changed(relay, hold, "what the statement means changed while it waited for approval")
            return
        prospect.context = context
        decision = relay.decide(prospect)
        if isinstance(decision, RequireApproval) and decision.workflow != hold.decision.workflow:
            self._changed(relay, hold, f"the policy changed while it waited: now the workflow {decision.workflow} decides")
            return
        if isinstance(decision, Deny):
            refusal = gate.refusal(decision, prospect.analysis, prospect.decision_id)
            relay.deny(prospect, decision, refusal, approval=hold.request_id)
        elif hold.bound is None:
            forward.run(relay, prospect, hold.decision, hold.request_id)
        else:
            bound.run(relay, prospect, hold.decision, hold.request_id, hold.bound, lambda no: self._end(relay, hold, no, "refused"))

    def _changed(self, relay: Relay, hold: Hold, reason: str) -> None:
        self._end(relay, hold, errors.undecidable(reason, decision=hold.prospect.decision_id, hint="Run it again."), "refused")

    def _give_up(self, relay: Relay, reason: str) -> Hold | None:
        """Stop waiting; the hold, if it was not given up before."""
        hold, waiting = self.hold, relay.waiting
        if hold is None or waiting is None or waiting.abandoned:
            return None
        if hold.request_id:
            self._withdraw(relay, hold, reason)
            self._over(relay)
        else:
            waiting.abandoned = True
        return hold

    def _withdraw(self, relay: Relay, hold: Hold, reason: str) -> None:
        self._withdrawn.add(hold.request_id)
        relay.outbox.add(WithdrawApproval(hold.request_id, reason))

    def _end(self, relay: Relay, hold: Hold, refusal: Refusal, outcome: str) -> None:
        relay.deny(hold.prospect, hold.decision, refusal, outcome=outcome, approval=hold.request_id)

    def _over(self, relay: Relay) -> None:
        self.hold = None
        relay.waiting = None
