"""What ends a statement that is running: more rows than ``max_rows`` of its connection or than were approved, or more time than
``statement_timeout``.

The rows that are allowed reach the client and no other, and the server is told to stop. It may have come to the statement's
end before it hears of that, so the client's error waits for the server's answer: an open transaction is made to fail then,
as by any other error. So that an error never stands for something that was done all the same, what changes data waits, in a
pipeline, for the rows before it, and the Sync that would commit it for its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proxy import errors
from proxy.effects import CancelServer
from proxy.errors import Refusal
from proxy.session.pending import Expected, Kind
from proxy.session.records import Bound, Running
from proxy.sql.facts import Analysis, Facts
from proxy.wire.backend import error_response
from proxy.wire.copy_data import BINARY_END
from proxy.wire.framing import FrameReader
from proxy.wire.frontend import FLUSH_MESSAGE, SYNC_MESSAGE

if TYPE_CHECKING:
    from proxy.session.gate import Prospect
    from proxy.session.relay import Relay

_GRACE = 1.0  # seconds that the server has, beyond its timeout, to end a statement itself: unless a SET talked it out of it
_HARMLESS = frozenset({"select", "explain", "set", "transaction", "listen", "copy_to", "cursor", "prepare"})
_CHANGES = frozenset({"insert", "update", "delete", "merge", "copy_from"})


@dataclass(slots=True, eq=False)
class Limit:
    """Of one simple Query, or of one portal, however many Executes fetch from it."""

    left: int
    refusal: Refusal  # of one more


def of(prospect: Prospect, bound: Bound | None) -> Limit | None:
    """The limit of a statement that is about to be sent; with a ``bound``, RETURNING shows a row for each that changes."""
    rows, portal = prospect.context.connection.max_rows, prospect.portal
    if bound is not None and (rows is None or bound.rows <= rows):
        limit = Limit(bound.rows, bound.refusal)
    elif rows is not None:
        limit = Limit(rows, errors.too_many_rows(rows))
    else:
        return None
    if portal is None:
        return limit
    if portal.limit is None:
        portal.limit = limit
    return portal.limit


# -- rows


def take(relay: Relay, running: Running, limit: Limit, reader: FrameReader, count: int) -> tuple[int, int]:
    """Of a run of rows that came in, how many the client may have, and where they end in the reader's buffer."""
    if count <= limit.left:
        limit.left -= count
        return count, reader.stop
    stop = reader.start
    for _ in range(limit.left):
        stop += 1 + int.from_bytes(reader.buffer[stop + 1 : stop + 5], "big")
    count, limit.left = limit.left, 0
    if reader.buffer[stop : reader.stop] == BINARY_END:  # no row, but what a COPY in the binary format ends with
        return count, reader.stop
    cut(relay, running, limit.refusal)
    return count, stop


def take_one(relay: Relay, running: Running, size: int) -> bool:
    """The same for one row whose beginning is here; ``False``: it is not sure yet that it is one."""
    limit = running.limit
    if limit is None or limit.left:
        if limit is not None:
            limit.left -= 1
        return True
    if size == len(BINARY_END):
        return False
    cut(relay, running, limit.refusal)
    return True


def cut(relay: Relay, running: Running, refusal: Refusal) -> None:
    """From here on the client gets nothing of the statement but this error."""
    running.cut = refusal
    if relay.pending.boundaries <= 1:  # else a later batch is on the server already, and would be hit if this one has ended
        cancel(relay)


def cancel(relay: Relay) -> None:
    relay.outbox.add(CancelServer(relay.state.server_process, relay.state.server_secret, wait=True))


# -- the server's answer


def failed(relay: Relay, running: Running) -> None:
    """The server has given an error, in whose place the client gets ours."""
    assert running.cut is not None
    if not running.told:
        running.told = True
        relay.outbox.client.add(error_response(running.cut))


def executed(relay: Relay, running: Running) -> None:
    """An Execute that was cut off has come to its end all the same: the client sees no more of its batch, as behind any error."""
    for expected in relay.pending:
        if expected.kind is Kind.SYNC:
            expected.owed = running
            return
        expected.swallow = expected.silent = True
        expected.reply = b""
    failed(relay, running)
    relay.poison(b"")
    relay.skipping = True
    relay.abandon_wait()


def settle(relay: Relay, ready: Expected, running: Running) -> None:
    """ReadyForQuery is here behind what was cut off. If that has not failed on the server, an open transaction is made to."""
    if running.told or running.cut is None:
        return
    if relay.status == b"I":
        running.cut = replace(running.cut, detail="It had ended before it could be stopped: what it changed, if anything, stands.")
    failed(relay, running)
    if relay.status == b"T" and len(relay.pending) == 1 and not relay.unsynced:
        ready.swallow = True
        relay.poison(b"")
        relay.outbox.server.add(SYNC_MESSAGE)
        relay.pending.push(Expected(Kind.SYNC, batch=relay.end_batch()))


# -- pipelines


def when_rows_are_through(relay: Relay, analysis: Analysis, then: Callable[[], None]) -> None:
    """Call ``then``, now or once the rows before it are known not to be too many, if what it runs changes something."""
    if relay.limited and _changes(analysis) and any(_may_have_rows(expected) for expected in _open_batch(relay)):
        relay.outbox.server.add(FLUSH_MESSAGE)
        relay.wait("drain", then)
    else:
        then()


def when_own_rows_are_through(relay: Relay, then: Callable[[], None]) -> None:
    """The same for a Sync: of the batch that it would commit."""
    if relay.limited and any(_may_have_rows(one) and _changes(one.target.prepared.analysis) for one in _open_batch(relay)):
        relay.outbox.server.add(FLUSH_MESSAGE)
        relay.wait("sync", then)
    else:
        then()


def _open_batch(relay: Relay) -> Iterable[Expected]:
    for expected in reversed(relay.pending):
        if expected.kind in (Kind.SYNC, Kind.QUERY):
            return
        yield expected


def _may_have_rows(expected: Expected) -> bool:
    if expected.kind is not Kind.EXECUTE or expected.running is None or expected.running.limit is None:
        return False
    prepared = expected.target.prepared
    return "returning" in prepared.text.lower() or any(f.action not in _CHANGES for f in prepared.analysis.statements)


def _changes(analysis: Analysis) -> bool:
    return bool(analysis.problem) or any(_has_effects(facts) for facts in analysis.statements)


def _has_effects(facts: Facts) -> bool:
    return bool(facts.writes or facts.opaque_functions or facts.runs_prepared) or not facts.actions <= _HARMLESS


# -- time


def due(relay: Relay) -> float | None:
    """When what is running, or would begin now, has taken too long."""
    timeout, running = _timeout(relay), _running(relay)
    if timeout is None:
        return None
    began = relay.state.now if running is None or running.overdue else max(running.started, relay.completed_at)
    return began + timeout


def tick(relay: Relay) -> None:
    moment, running = due(relay), _running(relay)
    if running is not None and moment is not None and moment <= relay.state.now:
        running.overdue = True
        cancel(relay)


def _running(relay: Relay) -> Running | None:
    # A server keeps its answers to Parse and Bind until it has one to Execute.
    return next((expected.running for expected in relay.pending if expected.running is not None), None)


def _timeout(relay: Relay) -> float | None:
    bundle = relay.state.environment.bundle
    connection = bundle.connection(relay.state.connection) if bundle is not None else None
    milliseconds = connection.statement_timeout_ms if connection is not None else None
    return milliseconds / 1000 + _GRACE if milliseconds is not None else None
