"""The only place where statements are sent to the server: after their intent was handed over for recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.decision import Decision
from proxy.session.gate import Prospect
from proxy.session.pending import Expected, Kind
from proxy.session.prepared import Portal
from proxy.session.records import Bound
from proxy.wire.frontend import Describe, Execute, Query

if TYPE_CHECKING:
    from proxy.session.relay import Relay


def run(
    relay: Relay, prospect: Prospect, decision: Decision, approval: str = "", bound: Bound | None = None, *, enclosed: bool = False
) -> None:
    """Record a statement's intent, then send it. With a ``bound`` it is run by :func:`proxy.session.bound.run` only."""
    relay.intend(prospect, decision, approval)
    expected = relay.started(prospect, bound)
    expected.enclosed = enclosed
    if prospect.portal is not None:
        prospect.portal.approval = approval
        _execute(relay, prospect, prospect.portal, expected, bound)
        return
    if prospect.analysis.plan.kind == "scan":
        relay.outbox.server.add(Query(relay.gate.encode(prospect.analysis.plan.sql)).encode())
    else:
        relay.outbox.server.add(prospect.message)
    expected.batch = relay.end_batch()
    relay.pending.push(expected)


def _bind_again(relay: Relay) -> None:
    """Portals that ended with a batch that the gateway ended (``preview``): the client knows nothing of it."""
    for portal in relay.portals.values():
        if portal.lost:
            portal.lost = False
            plan = portal.prepared.analysis.plan
            if not relay.is_current(portal.prepared):
                portal.problem = "masks, tables or names changed since the portal was made"
            relay.outbox.server.add(portal.bind.encode())
            relay.expect(Expected(Kind.BIND, swallow=True, sanitise=plan.sanitise_errors, rewritten=plan.kind == "scan"))


def _execute(relay: Relay, prospect: Prospect, portal: Portal, expected: Expected, bound: Bound | None) -> None:
    _bind_again(relay)
    if _needs_origins(prospect) and not portal.will_be_described:
        # The cells to mask are found by the columns' origins, and the client has not asked for them.
        relay.outbox.server.add(Describe(b"P", portal.bind.portal).encode())
        portal.asked = True
        relay.expect(Expected(Kind.DESCRIBE, target=portal, swallow=True))
    # The tag that says how many rows a statement has changed comes behind the last of those that it shows.
    relay.outbox.server.add(prospect.message if bound is None else Execute(portal.bind.portal).encode())
    relay.executed = True
    relay.expect(expected)


def _needs_origins(prospect: Prospect) -> bool:
    """Whether cells may have to be masked by where they come from.

    Whatever the plan says: a statement masked at the scan may still return its target's columns (INSERT … SELECT …
    RETURNING), of the rows of a cursor or of what EXECUTE runs the plan knows nothing, and another session may have
    changed the tables since it was made.
    """
    if prospect.context.connection.detectors != "off":
        return True
    if not prospect.context.masks.by_column:
        return False
    return any(f.reads or f.writes or f.runs_prepared or "cursor" in f.actions for f in prospect.analysis.statements)
