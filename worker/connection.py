"""One client connection: turns what happens on its sockets into events for the core and performs the core's effects.

Nothing is decided here. Two rules make the promises of the core come true:

- Effects are performed in order, and an effect behind a ``Record`` only once that record is durable. While a record is
  being written, events wait: the core never sees the next thing before the last one was done.
- Whatever goes wrong in here or in the core ends this session, and no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from proxy import effects, events
from proxy.policy.bundle import BundleError, Connection
from proxy.session.environment import Environment
from proxy.session.session import Session
from worker import upstream
from worker.analysis_pool import AnalysisPool
from worker.approvals import Approvals, Waiting
from worker.background import Background
from worker.cancels import Cancels
from worker.catalogs import Catalogs
from worker.half_open import HalfOpen
from worker.inlet import Inlet
from worker.log import logger
from worker.metrics import Metrics
from worker.recorder import Recorder
from worker.spool import SpoolError
from worker.tls import AgentTls, records, start_server_tls, started
from worker.tokens import TokenChecker

START_UP_SECONDS = 60.0
_LINGER_SECONDS = 5.0  # for a client to take what it is owed
_SILENCE_SECONDS = 2.0  # without a byte for a client that sends nothing more, after which it counts as gone
_HIGH_WATER = 256 << 10
_UNREAD = 128 << 10  # bytes of a client that the kernel keeps (it takes the double, for its own book-keeping)
_QUEUE = 4  # events that wait for records; each holds one read at most


@dataclass(frozen=True)
class Services:
    """What the sessions of a process share."""

    environment: Environment
    recorder: Recorder
    approvals: Approvals
    tokens: TokenChecker
    catalogs: Catalogs
    contexts: upstream.Contexts
    analyses: AnalysisPool
    cancels: Cancels
    background: Background
    metrics: Metrics
    tls: AgentTls | None
    half_open: HalfOpen
    open: set[Conversation]  # every client connection of this process


class Conversation(asyncio.Protocol):
    """A client connection, its upstream link, and the session between them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._events: deque[events.Event] = deque()
        self._busy = False  # the core is being asked: what happens meanwhile waits in the queue
        self._unwritten: Sequence[effects.Effect] | None = None  # effects behind a record that is not durable yet, or a delay
        self._ended = False  # Close was performed, or the connection failed: nothing more reaches the core
        self._client_open = False
        self._over_tls = False
        self._half_closed = 0.0  # when the client ended its side or was last written to since (clock of the loop); 0: it has not
        self._link: upstream.Link | None = None
        self._target: tuple[Connection, str | None] | None = None  # where the link leads, and the key of our certificate there
        self._from_client, self._from_server = Inlet(), Inlet()
        self._waiting: Waiting | None = None
        self._cancel_key: tuple[int, bytes] | None = None
        self._cancelling: asyncio.Future[None] | None = None  # a cancel of this session, on its way to the target
        self._unheard: deque[asyncio.Future[None]] = deque()  # cancels among the events that wait
        self._routing: asyncio.Future[None] | None = None  # … of another one, which is all that this connection is for
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # -- the client's side (asyncio calls these) -----------------------------------------------------------------

    def connection_made(self, made: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", made)  # uvloop's transports have the methods, not the base class
        self._client = transport
        self._client_open = True
        self._from_client.open(transport)
        upstream.keep_alive(transport)
        # What the kernel keeps unread would otherwise grow to its own bound, 6 to 32 MB for each client that sends too much.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD)
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        host, port = _peer(transport)
        self._session = Session(
            self._services.environment, f"{host}:{port}", os.urandom, self._services.tls is not None, _is_loopback(host)
        )
        self._services.open.add(self)
        self._services.half_open.add(self, host)
        self._deadline = asyncio.get_running_loop().call_later(START_UP_SECONDS, self._start_up_too_slow)

    def data_received(self, data: bytes) -> None:
        self.deliver(events.ClientData(data))
        self._from_client.took(data)

    def eof_received(self) -> bool:
        """The client ended its side. Has it shut down sending, or has its process been killed? That looks the same (RFC 9293, 3.6).

        What is written to a client that is gone is answered with a reset; where nothing is, it counts as gone before long.
        """
        if self._ended or not self._client.can_write_eof():  # over TLS, asyncio has no half-closed connections
            return False
        if not self._half_closed:
            self._from_client.close()
            self._half_closed = asyncio.get_running_loop().time()
            self._stop_timer("_deadline")
            self._check_silence()
            self.deliver(events.ClientFinished())
        return True

    def _check_silence(self) -> None:
        loop = asyncio.get_running_loop()
        if self._client.get_write_buffer_size():
            self._half_closed = loop.time()  # it takes its time
        if loop.time() < self._half_closed + _SILENCE_SECONDS:
            self._deadline = loop.call_at(self._half_closed + _SILENCE_SECONDS, self._check_silence)
        else:
            self.deliver(events.ClientGone())
            loop.call_later(_LINGER_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client_open = False
        self._from_client.close()
        self.deliver(events.ClientGone())
        if self._ended:
            self._finish()
        else:
            # The core closes behind its last records; if it does not, this session must not stay for ever.
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._give_up)

    def pause_writing(self) -> None:
        self._from_server.hold("client full")

    def resume_writing(self) -> None:
        self._from_server.release("client full")

    # -- the server's side (the link calls these) ----------------------------------------------------------------

    def server_data(self, data: bytes) -> None:
        self.deliver(events.ServerData(data))
        self._from_server.took(data)

    def server_lost(self) -> None:
        link, self._link = self._link, None
        self._from_server.close()
        self.deliver(events.ServerGone(link.alert if link is not None else ""))

    def server_full(self, full: bool) -> None:
        (self._from_client.hold if full else self._from_client.release)("server full")

    # -- events in, effects out ----------------------------------------------------------------------------------

    def deliver(self, event: events.Event) -> None:
        """Hand an event to the core, now or as soon as everything before it is done."""
        if self._ended:
            return
        self._events.append(event)
        if not self._busy:
            self._work()
        if len(self._events) >= _QUEUE:  # records take longer than both sides do
            self._from_client.hold("queue")
            self._from_server.hold("queue")

    def _work(self) -> None:
        self._busy = True
        try:
            while self._events and self._unwritten is None and not self._ended:
                event = self._events.popleft()
                self._perform(self._session.receive(event, time.time()))
                if self._unheard and isinstance(event, events.CancelRequested):
                    self._heard()
        except Exception as error:
            self._fail(error)
        finally:
            self._busy = False

    def _perform(self, todo: Sequence[effects.Effect]) -> None:
        recorded = False
        for index, effect in enumerate(todo):
            if isinstance(effect, effects.Record):
                try:
                    self._services.recorder.record(effect.kind, effect.fields)
                except SpoolError as error:
                    self._events.appendleft(events.RecordFailed(str(error)))
                    todo = ()
                    break
                recorded = True
            elif recorded:
                todo = todo[index:]
                break
            elif isinstance(effect, effects.Delay):
                self._unwritten = todo[index + 1 :]
                asyncio.get_running_loop().call_later(effect.seconds, self._recorded, "")
                return
            elif isinstance(effect, effects.CancelServer) and effect.wait:
                self._unwritten = todo[index + 1 :]
                self._cancel_server(effect).add_done_callback(lambda _: self._recorded(""))
                return
            else:
                _PERFORM[type(effect)](self, effect)
        else:
            todo = ()
        if recorded:
            self._unwritten = todo
            self._services.recorder.after(self._recorded)

    def _recorded(self, problem: str) -> None:
        """The turn's records are durable, or could not be made so; or its delay is over."""
        todo, self._unwritten = self._unwritten, None
        if problem:
            self._events.appendleft(events.RecordFailed(problem))
        elif todo and not self._ended:
            self._busy = True
            try:
                self._perform(todo)
            except Exception as error:
                self._fail(error)
            finally:
                self._busy = False
        self._work()
        if len(self._events) < _QUEUE:
            self._from_client.release("queue")
            self._from_server.release("queue")

    def _fail(self, error: Exception) -> None:
        """An exception in the gateway: the session's state is in doubt, so it ends here."""
        self._services.metrics.internal_errors.inc()
        logger().error("session.internal_error", session=self._session.id, exc_info=error)
        with contextlib.suppress(Exception):  # its last records, if it still can give them
            for effect in self._session.receive(events.ClientGone(), time.time()):
                if isinstance(effect, effects.Record):
                    self._services.recorder.record(effect.kind, effect.fields)
        self._end()
        self._events.clear()
        self.abort()
        if not self._client_open:
            self._finish()

    def abort(self) -> None:
        """Drop both connections without another word."""
        if self._client_open:
            self._client.abort()
        if self._link is not None and self._link.transport is not None:
            self._link.transport.abort()

    # -- effects -------------------------------------------------------------------------------------------------

    def _send_to_client(self, effect: effects.SendToClient) -> None:
        if self._client_open:
            if self._over_tls:
                self._client.writelines(records(effect.data))
            else:
                self._client.write(effect.data)
            if self._half_closed:
                self._half_closed = asyncio.get_running_loop().time()

    def _send_to_server(self, effect: effects.SendToServer) -> None:
        if self._link is not None and self._link.transport is not None:
            self._link.transport.write(effect.data)

    def _start_client_tls(self, effect: effects.StartClientTls) -> None:
        # Before the task runs, nothing that the client sends may be read as if it were not encrypted.
        self._from_client.hold("tls")
        self._start(self._upgrade(effect.received), "client.tls")

    async def _upgrade(self, received: bytes) -> None:
        tls = self._services.tls
        assert tls is not None
        try:
            wrapped = await start_server_tls(self._client, self, tls.context, received, START_UP_SECONDS / 2)
        except (OSError, TimeoutError) as error:
            logger().info("client.tls_failed", reason=type(error).__name__)
            self.abort()
            return
        if wrapped is None:
            return
        self._client, self._over_tls = wrapped, True
        self._from_client.close()
        self._from_client.release("tls")
        self._from_client.open(wrapped)
        wrapped.set_write_buffer_limits(high=_HIGH_WATER)
        self.deliver(started(wrapped, tls))

    def _check_token(self, effect: effects.CheckToken) -> None:
        self._start(self._token(effect.token), "token")

    async def _token(self, token: str) -> None:
        bundle = self._services.environment.bundle
        issuers = bundle.issuers if bundle is not None else ()
        self.deliver(await self._services.tokens.check(token, issuers, time.time()))

    def _open_server(self, effect: effects.OpenServer) -> None:
        self._services.half_open.discard(self)  # who it is has been proved
        self._start(self._connect(effect.connection, effect.database), "upstream")

    async def _connect(self, name: str, database: str) -> None:
        bundle = self._services.environment.bundle
        connection = bundle.connection(name) if bundle is not None else None
        if bundle is None or connection is None:
            self.deliver(events.ServerFailed(f"connection {name!r} is not configured any more"))
            return
        catalog = asyncio.ensure_future(self._services.catalogs.ensure(name, database))
        try:
            target = connection, bundle.client_key(name)
            link = await upstream.connect(self._services.contexts, *target)
        except (upstream.UpstreamError, BundleError) as error:
            catalog.cancel()
            self.deliver(events.ServerFailed(str(error)))
            return
        await catalog
        assert link.transport is not None
        if self._ended or not self._client_open:
            link.transport.abort()
        elif link.transport.is_closing():
            self.deliver(events.ServerFailed(f"{connection.host}:{connection.port} closed the connection at once{link.alert}"))
        else:
            link.owner, self._link, self._target = self, link, target
            self._from_server.open(link.transport)
            link.transport.set_write_buffer_limits(high=_HIGH_WATER)
            self.deliver(events.ServerOpened(link.binding is not None, link.binding or b""))

    def _analyse(self, effect: effects.Analyse) -> None:
        async def analyse() -> None:
            self.deliver(events.Analysed(await self._services.analyses.analyse(effect.request)))

        self._start(analyse(), "analysis")

    def _refresh_catalog(self, effect: effects.RefreshCatalog) -> None:
        async def refresh() -> None:
            await self._services.catalogs.refresh(effect.connection, effect.database)
            self.deliver(events.CatalogRefreshed())

        self._start(refresh(), "catalog")

    def _request_approval(self, effect: effects.RequestApproval) -> None:
        bundle = self._services.environment.bundle
        workflow = bundle.workflow(str(effect.request.get("workflow", ""))) if bundle is not None else None
        if workflow is None:
            self._events.append(events.ApprovalAnswered("", "no_approver"))
            return
        wait = float(workflow.max_wait) if workflow.hold == "wait" and workflow.max_wait else None
        self._waiting = self._services.approvals.request(effect.request, wait, self.deliver)

    def _withdraw_approval(self, effect: effects.WithdrawApproval) -> None:
        waiting, self._waiting = self._waiting, None
        self._services.approvals.withdraw(waiting, effect.request_id, effect.reason)

    def _cancel_requested(self) -> asyncio.Future[None]:
        """Tell the session, behind what waits for records; done once the target has taken it, or there is nothing to cancel."""
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unheard.append(taken)
        self.deliver(events.CancelRequested())
        return taken

    def _heard(self) -> None:
        """The session knows of its oldest cancel: what it then did about it is what is waited for."""
        taken, cancelling = self._unheard.popleft(), self._cancelling
        if cancelling is None or cancelling.done():
            taken.set_result(None)
        else:
            cancelling.add_done_callback(lambda _: taken.set_result(None))

    def _cancel_server(self, effect: effects.CancelServer) -> asyncio.Future[None]:
        self._cancelling = self._start(self._cancel(effect), "cancel")
        return self._cancelling

    async def _cancel(self, effect: effects.CancelServer) -> None:
        if self._target is None:
            return
        try:
            connection, client_key = self._target
            await upstream.cancel(self._services.contexts, connection, effect.process_id, effect.secret, client_key)
        except upstream.UpstreamError as error:
            logger().warning("cancel.not_sent", reason=str(error))

    def _register_cancel_key(self, effect: effects.RegisterCancelKey) -> None:
        # The upstream is ready for queries: from here on a session may idle as long as it likes.
        self._stop_timer("_deadline")
        self._cancel_key = (effect.process_id, effect.secret)
        self._services.cancels.register(self._cancel_key, self._cancel_requested)

    def _route_cancel(self, effect: effects.RouteCancel) -> None:
        self._routing = self._services.cancels.route((effect.process_id, effect.secret))

    def _pause_client(self, effect: effects.PauseClient) -> None:
        self._from_client.hold("core")

    def _resume_client(self, effect: effects.ResumeClient) -> None:
        self._from_client.release("core")

    def _yield_turn(self, effect: effects.YieldTurn) -> None:
        self._from_client.hold("core's turn")
        asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._from_client.release("core's turn")
        self.deliver(events.Turn())

    def _wake_at(self, effect: effects.WakeAt) -> None:
        self._stop_timer("_timer")
        delay = max(0.0, effect.when - time.time())
        self._timer = asyncio.get_running_loop().call_later(delay, self.deliver, events.Tick())

    def _log(self, effect: effects.Log) -> None:
        getattr(logger(), effect.level, logger().warning)(effect.event, **effect.fields)

    def _close(self, effect: effects.Close) -> None:
        """Let the client take what it is owed; the server is owed nothing that was not written already."""
        self._end()
        if self._routing is not None and not self._routing.done():
            self._routing.add_done_callback(lambda _: self._close(effect))
            return
        if self._link is not None and self._link.transport is not None:
            self._link.transport.close()
        if not self._client_open:
            self._finish()
            return
        if self._client.can_write_eof() and not self._half_closed:
            # A plain close with unread input would reset the connection and take the last error message along.
            self._client.write_eof()
            self._from_client.close()  # whatever speaks against reading: what comes now is thrown away
            self._client.resume_reading()
        else:
            self._client.close()
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.abort)

    # -- small parts ---------------------------------------------------------------------------------------------

    def _start(self, coroutine: Any, name: str) -> asyncio.Task[None]:
        return self._services.background.start(coroutine, name)

    def _stop_timer(self, name: str) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

    def _start_up_too_slow(self) -> None:
        logger().info("client.start_up_too_slow", seconds=START_UP_SECONDS)
        self.abort()

    def _give_up(self) -> None:
        if not self._ended:
            self._fail(RuntimeError("the core did not close after its client had gone"))

    def _end(self) -> None:
        self._ended = True
        self._stop_timer("_timer")
        self._stop_timer("_deadline")
        if self._cancel_key is not None:
            self._services.cancels.forget(self._cancel_key)
        if self._waiting is not None:
            self._services.approvals.abandon(self._waiting)
        while self._unheard:
            self._heard()

    def _finish(self) -> None:
        self._services.open.discard(self)
        self._services.half_open.discard(self)


# One entry per class of effect but Record and Delay, which `_perform` treats itself. An effect that is not here fails the session.
_PERFORM: dict[type, Callable[[Conversation, Any], object]] = {
    effects.SendToClient: Conversation._send_to_client,
    effects.SendToServer: Conversation._send_to_server,
    effects.StartClientTls: Conversation._start_client_tls,
    effects.CheckToken: Conversation._check_token,
    effects.OpenServer: Conversation._open_server,
    effects.Analyse: Conversation._analyse,
    effects.RefreshCatalog: Conversation._refresh_catalog,
    effects.RequestApproval: Conversation._request_approval,
    effects.WithdrawApproval: Conversation._withdraw_approval,
    effects.CancelServer: Conversation._cancel_server,
    effects.RegisterCancelKey: Conversation._register_cancel_key,
    effects.RouteCancel: Conversation._route_cancel,
    effects.PauseClient: Conversation._pause_client,
    effects.ResumeClient: Conversation._resume_client,
    effects.WakeAt: Conversation._wake_at,
    effects.YieldTurn: Conversation._yield_turn,
    effects.Log: Conversation._log,
    effects.Close: Conversation._close,
}


def _peer(transport: asyncio.Transport) -> tuple[str, int]:
    peer = transport.get_extra_info("peername")
    return (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) and len(peer) >= 2 else ("unknown", 0)


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith(("127.", "::ffff:127."))
