"""One client connection, from its first byte to its last: events in, effects out.

Three phases share one :class:`~proxy.session.state.State`: ``Startup`` (who is it?), ``Upstream`` (the gateway's own
sign-in at the target), ``Relay`` (statements). Whoever owns the sockets calls :meth:`Session.receive` and performs what
it returns, in that order. Whatever goes wrong in here ends this session, with an error that says nothing of the inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from proxy import errors, events
from proxy.effects import CancelServer, Close, Delay, Effect, Log, SendToServer
from proxy.errors import Refusal
from proxy.events import Event
from proxy.session import idle, records, replies, requests
from proxy.session.environment import Environment
from proxy.session.relay import Relay
from proxy.session.startup import Startup
from proxy.session.state import EndSession, State
from proxy.session.upstream import Upstream
from proxy.wire.backend import error_response
from proxy.wire.codec import MalformedError
from proxy.wire.framing import STARTUP_LIMIT
from proxy.wire.frontend import TERMINATE_MESSAGE

_FAILURES = frozenset({"28P01", "28000"})  # of somebody who has not proved who he is: each may be a guess


class Session:
    """``client`` is the peer's ``address:port``; ``entropy(n)`` gives n random bytes."""

    def __init__(
        self, environment: Environment, client: str, entropy: Callable[[int], bytes], tls_available: bool, is_loopback: bool
    ) -> None:
        self._state = State(environment, entropy, client, is_loopback, tls_available)
        self._state.id = self._state.new_id()
        self._startup = Startup(self._state)
        self._upstream = Upstream(self._state)
        self._relay: Relay | None = None
        self._ended = False

    @property
    def id(self) -> str:
        return self._state.id

    def receive(self, event: Event, now: float) -> list[Effect]:
        """What to do about ``event`` at ``now`` (seconds since the epoch). Never raises; after ``Close``, nothing more."""
        if self._ended:
            # What failed were the records of the end itself: what came after them, Close included, was not performed.
            return [Close("records cannot be kept")] if isinstance(event, events.RecordFailed) else []
        self._state.now = now
        try:
            _HANDLERS[type(event)](self, event)
            if self._relay is not None:
                self._settle(self._relay)
        except EndSession as end:
            self._end(end.reason, end.refusal)
        except MalformedError as error:
            self._end("malformed message", errors.protocol_violation(f"malformed message: {error}"))
        except Exception as error:
            # Its text may quote a statement or a value: the class has to do.
            self._state.outbox.forget_server()
            self._state.outbox.add(Log("error", "session.failed", {"session": self.id, "error": _where(error)}))
            self._end("internal error", errors.internal())
        return self._state.outbox.take()

    # -- bytes

    def _client_data(self, event: events.ClientData) -> None:
        if not self._startup.admitted:
            self._startup.client_data(event.data)
            return
        self._state.active_at = self._state.now
        self._state.reader.feed(event.data)
        if self._relay is not None:
            requests.pump(self._relay)
        elif self._state.reader.waiting() > STARTUP_LIMIT:
            raise EndSession("too much before ready", errors.protocol_violation("data was sent before the session was ready"))

    def _server_data(self, event: events.ServerData) -> None:
        self._state.server_reader.feed(event.data)
        if self._relay is None:
            self._upstream.server_data()
            if not self._upstream.ready:
                return
            self._relay = Relay(self._state)
            self._state.active_at = self._state.now
            idle.wake(self._relay)
        replies.pump(self._relay)

    def _settle(self, relay: Relay) -> None:
        """After every event: what waited for the queue to drain goes on, and what may now be read is read."""
        waiting = relay.waiting
        if waiting is not None and not relay.pending and waiting.what in ("drain", "sync", "question"):
            relay.resume()
        requests.pump(relay)
        relay.check_backlog()
        if relay.finished and relay.waiting is None and (relay.pending.copying_in or not relay.pending.boundaries):
            raise EndSession("client gone")  # nothing more will be answered: what lacks its end or its Sync will never have it
        if (relay.draining or self._state.environment.draining) and relay.is_idle():
            raise EndSession("drained", errors.shutting_down())

    # -- answers

    def _tls_started(self, event: events.ClientTlsStarted) -> None:
        self._startup.tls_started(event)

    def _token_checked(self, event: events.TokenChecked) -> None:
        self._startup.sign_in.token_checked(event)

    def _server_opened(self, event: events.ServerOpened) -> None:
        self._upstream.opened(event)

    def _server_failed(self, event: events.ServerFailed) -> None:
        refusal = errors.server_gone(f'the target of connection "{self._state.connection}" cannot be reached: {event.reason}')
        raise EndSession("upstream not reached", refusal)

    def _analysed(self, event: events.Analysed) -> None:
        if self._relay is not None:
            self._relay.analysed(event.analysis)

    def _catalog_refreshed(self, event: events.CatalogRefreshed) -> None:
        relay = self._relay
        if relay is not None and relay.waiting is not None and relay.waiting.what == "catalog":
            relay.resume()

    def _approval_answered(self, event: events.ApprovalAnswered) -> None:
        if self._relay is not None:
            self._relay.holder.answered(self._relay, event)

    def _turn(self, event: events.Turn) -> None:
        if self._relay is not None:
            self._relay.yielded = False

    def _tick(self, event: events.Tick) -> None:
        if self._relay is not None:
            self._relay.tick()
            self._relay.holder.tick(self._relay)
            idle.tick(self._relay)

    # -- the end

    def _cancel_requested(self, event: events.CancelRequested) -> None:
        relay = self._relay
        if relay is None:
            return
        if relay.holder.hold is not None:
            relay.holder.cancel(relay, "cancelled by the client")
            return
        if any(expected.question is None or expected.question.may_wait for expected in relay.pending):
            self._cancel_server()
        if relay.waiting is not None and all(expected.question is not None for expected in relay.pending):
            relay.cancelled = True  # a server would be busy with the statement by now

    def _cancel_server(self) -> None:
        self._state.outbox.add(CancelServer(self._state.server_process, self._state.server_secret))

    def _client_finished(self, event: events.ClientFinished) -> None:
        """As at a server, what came before is answered first. (One that waits for a COPY's data ends at once.)"""
        if self._relay is None:
            raise EndSession("client gone")
        self._relay.finished = True

    def _client_gone(self, event: events.ClientGone) -> None:
        if self._relay is not None and self._relay.pending:
            self._cancel_server()
        raise EndSession("client gone")

    def _server_gone(self, event: events.ServerGone) -> None:
        raise EndSession("server gone", errors.server_gone(f"the target closed the connection unexpectedly{event.alert}"))

    def _record_failed(self, event: events.RecordFailed) -> None:
        if self._relay is not None and self._relay.pending:
            self._cancel_server()
        raise EndSession("records cannot be kept", errors.unrecordable())

    def _drain(self, event: events.Drain) -> None:
        relay = self._relay
        if relay is None:
            raise EndSession("drained", errors.shutting_down())
        relay.draining = True
        if relay.holder.hold is not None:
            raise EndSession("drained", errors.shutting_down())

    def _end(self, reason: str, refusal: Refusal | None) -> None:
        """Say goodbye to both sides and record it; nothing is done for this session afterwards."""
        self._ended = True
        state, relay = self._state, self._relay
        refused = self._startup.sign_in.refused
        if refusal is None and refused is not None:
            reason, refusal = refused.reason, refused.refusal
        failed = refusal is not None and state.identity is None and (refused is not None or refusal.sqlstate in _FAILURES)
        if relay is not None:
            relay.close(reason)
        if isinstance(refusal, Refusal) and refusal.sqlstate == errors.unrecordable().sqlstate:
            state.outbox.forget_records()
        elif state.opened:
            state.outbox.record("session.closed", records.session_closed(state, reason))
        elif refusal is not None and self._is_worth_a_record(failed):
            state.outbox.record("session.refused", records.session_refused(state, refusal.sqlstate, reason))
        if state.counted:
            state.environment.sessions.subtract(state.places)
        if refusal is not None:
            said = {"session": state.id, "client": state.client, "sqlstate": refusal.sqlstate, "reason": reason}
            state.outbox.add(Log("warning", "session.ended", said))
            if failed:
                state.outbox.add(Delay(state.environment.attempts.failed(state.client_ip, state.now)))
            if not state.server_reader.remaining:  # inside of a row it would be taken for the rest of it
                state.outbox.client.add(error_response(refusal))
        if state.opened and not state.reader.remaining:
            state.outbox.add(SendToServer(TERMINATE_MESSAGE))
        state.outbox.add(Close(reason))

    def _is_worth_a_record(self, failed: bool) -> bool:
        """Of strangers there are so many records and no more, or whoever likes could fill the spool.

        A failed sign-in is recorded wherever it is heard. What else they are refused has a bound of its own: a scanner's
        probes delay nobody who signs in from the same address, and hide no guess.
        """
        state, environment = self._state, self._state.environment
        if state.identity is not None:
            return True
        if environment.attempts.wait(state.client_ip, state.now):
            return False
        if failed:
            return True
        if environment.probes.wait(state.client_ip, state.now):
            return False
        environment.probes.failed(state.client_ip, state.now)
        return True


# One entry per class of event. One for all sessions: of its own, each idle session would hold two kilobytes for it.
_HANDLERS: Mapping[type, Callable[[Session, Any], None]] = {
    events.ClientData: Session._client_data,
    events.ServerData: Session._server_data,
    events.Analysed: Session._analysed,
    events.CatalogRefreshed: Session._catalog_refreshed,
    events.ApprovalAnswered: Session._approval_answered,
    events.Tick: Session._tick,
    events.Turn: Session._turn,
    events.CancelRequested: Session._cancel_requested,
    events.ClientTlsStarted: Session._tls_started,
    events.TokenChecked: Session._token_checked,
    events.ServerOpened: Session._server_opened,
    events.ServerFailed: Session._server_failed,
    events.ServerGone: Session._server_gone,
    events.ClientFinished: Session._client_finished,
    events.ClientGone: Session._client_gone,
    events.RecordFailed: Session._record_failed,
    events.Drain: Session._drain,
}


def _where(error: Exception) -> str:
    """Class of an exception, and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace is not None else ""
    return type(error).__name__ + place
