"""What was approved for so many rows changes no more: if it does it is undone, and refused with TG002.

How many rows a statement has changed its command tag says, and what has changed only the end of the transaction can undo. In
an open transaction, and in a batch of the extended protocol, that is the client's, which is made to fail as by any other error
(``limit``). So that nothing of the client can end it before, none of its messages is looked at until the tag has come. A simple
Query outside of a transaction gets one of the gateway's own, and its client hears that it is done when that has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy import errors
from proxy.errors import Refusal
from proxy.session import forward, limit
from proxy.session.pending import Expected
from proxy.session.questions import Question
from proxy.session.records import Bound, Running
from proxy.wire.frontend import FLUSH_MESSAGE, Query

if TYPE_CHECKING:
    from proxy.policy.decision import Decision
    from proxy.session.gate import Prospect
    from proxy.session.relay import Relay


def run(relay: Relay, prospect: Prospect, decision: Decision, approval: str, rows: int, refuse: Callable[[Refusal], None]) -> None:
    """Forward a statement that was approved for so many rows; ``refuse`` is called where that bound could not be kept."""
    number = prospect.decision_id
    bound = Bound(rows, errors.more_than_approved(rows, decision=number))
    if prospect.portal is not None:
        forward.run(relay, prospect, decision, approval, bound)
        relay.outbox.server.add(FLUSH_MESSAGE)
        relay.wait("drain", lambda: None)
    elif relay.unsynced:
        reason = "it stands behind messages without a Sync, so it could not be undone"
        refuse(errors.undecidable(reason, decision=number, hint="Send Sync before it."))
    elif relay.status == b"I":
        _enclose(relay, prospect, decision, approval, bound, refuse)
    else:
        forward.run(relay, prospect, decision, approval, bound)
        relay.wait("drain", lambda: None)


def _enclose(
    relay: Relay, prospect: Prospect, decision: Decision, approval: str, bound: Bound, refuse: Callable[[Refusal], None]
) -> None:
    begin = Question(b"BEGIN", may_wait=False)

    def begun() -> None:
        if relay.status != b"T":
            refuse(errors.undecidable("no transaction could be begun for it", decision=prospect.decision_id, hint="Run it again."))
            return
        forward.run(relay, prospect, decision, approval, bound, enclosed=True)
        relay.wait("drain", lambda: None)

    relay.ask(begin, begun)


def check(running: Running, rows: int) -> None:
    """A command tag has come, which says so many rows."""
    if running.bound is not None and running.cut is None and rows > running.bound.rows:
        running.cut = running.bound.refusal


def end(relay: Relay, query: Expected) -> None:
    """A Query is over whose transaction is the gateway's: that ends too, and ReadyForQuery will come behind it.

    Called again where the COMMIT did not even begin, since a cancel hit it.
    """
    running = relay.pending.pop().running
    assert running is not None
    if running.cut is not None:
        limit.failed(relay, running)
    stands = relay.status == b"T" and running.cut is None
    relay.outbox.server.add(Query(b"COMMIT" if stands else b"ROLLBACK").encode())
    relay.pending.push(replace(query, reply=query.reply if stands else b"", ends=True))
