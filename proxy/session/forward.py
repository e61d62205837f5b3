"""The only place where statements are sent to the server: after their intent was handed over for recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.decision import Decision
from proxy.session.gate import Prospect
from proxy.session.pending import Expected, Kind
from proxy.session.prepared import Portal
from proxy.wire.frontend import Describe, Query

if TYPE_CHECKING:
    from proxy.session.relay import Relay


def run(relay: Relay, prospect: Prospect, decision: Decision, approval: str = "") -> None:
    """Record a statement's intent, then send it."""
    relay.intend(prospect, decision, approval)
    expected = relay.started(prospect)
    if prospect.portal is not None:
        prospect.portal.approval = approval
        _execute(relay, prospect.portal, prospect.message, expected)
        return
    if prospect.analysis.plan.kind == "scan":
        relay.outbox.server.add(Query(relay.gate.encode(prospect.analysis.plan.sql)).encode())
    else:
        relay.outbox.server.add(prospect.message)
    expected.batch = relay.end_batch()
    relay.pending.push(expected)


def _execute(relay: Relay, portal: Portal, message: bytes, expected: Expected) -> None:
    if portal.prepared.analysis.plan.kind in ("result", "scan") and not _will_be_described(relay, portal):
        # A statement masked at the scan may still return its target's columns: INSERT … SELECT … RETURNING.
        # The cells to mask are found by the columns' origins, and the client has not asked for them.
        relay.outbox.server.add(Describe(b"P", portal.bind.portal).encode())
        relay.expect(Expected(Kind.DESCRIBE, target=portal, swallow=True))
    relay.outbox.server.add(message)
    relay.executed = True
    relay.expect(expected)


def _will_be_described(relay: Relay, portal: Portal) -> bool:
    if portal.result_columns() is not None:
        return True
    return any(e.kind is Kind.DESCRIBE and e.target in (portal, portal.prepared) for e in relay.pending)
