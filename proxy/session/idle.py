"""How long a session may do nothing, and when the worker is to wake it: for that, or for the end of some wait.

The worker keeps one timer for each session, and nobody sets it anew with each message: when it is due, the time of the last
activity says whether the session ends, or when to look again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import errors
from proxy.effects import WakeAt
from proxy.session import limit
from proxy.session.state import EndSession

if TYPE_CHECKING:
    from proxy.session.relay import Relay


def tick(relay: Relay) -> None:
    """The time that was asked for has come, or the policy says something else about it now.

    Raises:
        EndSession: nothing has happened for too long, in PostgreSQL's words for ``idle_session_timeout`` and its sister.
    """
    state, timeout = relay.state, _timeout(relay)
    if timeout is not None and not relay.is_busy() and state.now >= state.active_at + timeout:
        raise EndSession("idle for too long", errors.idle(in_transaction=relay.status != b"I"))
    limit.tick(relay)
    wake(relay)


def wake(relay: Relay) -> None:
    """Ask for the next tick, if there is something to wait for."""
    state, hold, timeout = relay.state, relay.holder.hold, _timeout(relay)
    moments = [hold.deadline] if hold is not None and hold.noticed else []
    if timeout is not None:
        moments.append((state.now if relay.is_busy() else state.active_at) + timeout)
    if (due := limit.due(relay)) is not None:
        moments.append(due)
    if relay.waiting is not None and relay.waiting.too_late is not None:
        moments.append(relay.waiting.until)
    if moments:
        relay.outbox.add(WakeAt(min(moments)))


def _timeout(relay: Relay) -> int | None:
    """Seconds; none where the policy or the connection is gone: the next statement will find out."""
    bundle = relay.state.environment.bundle
    connection = bundle.connection(relay.state.connection) if bundle is not None else None
    return connection.idle_timeout if connection is not None else None
