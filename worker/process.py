"""One worker process: builds everything that its sessions share, runs it, and takes it down in order.

Started by the supervisor as ``python -m worker.process`` with its settings in the environment and the number of the
channel's descriptor as the one argument. Each start is a boot: a new chain of records.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
import uuid
from collections import Counter
from collections.abc import Coroutine

import uvloop

from proxy.events import Tick
from proxy.policy.bundle import Bundle
from proxy.session.environment import Environment
from worker import VERSION, half_open, identity, log, settings
from worker.analysis_pool import AnalysisPool
from worker.approvals import Approvals, Broker
from worker.background import Background
from worker.bundles import Bundles
from worker.cancels import Cancels, Key
from worker.catalog_reports import CatalogReports
from worker.catalogs import Catalogs
from worker.channel import Cancel, Cancelled, Channel, Message, Others, Status
from worker.connection import Conversation, Services
from worker.control import Control, ControlError
from worker.half_open import HalfOpen
from worker.listener import Listener
from worker.log import logger
from worker.metrics import Metrics
from worker.recorder import Recorder
from worker.settings import Settings
from worker.shipper import Shipper
from worker.spool import Boot, SpoolError
from worker.tls import agent_tls
from worker.tokens import TokenChecker
from worker.upstream import Contexts

_STATUS_SECONDS = 0.5
_HEARTBEAT_SECONDS = 10.0
_HEARTBEAT_ENTRY_SECONDS = 60.0
_SHIP_LAST_SECONDS = 5.0
_REVOKED_GRACE_SECONDS = 1.0


class Process:
    """Owns every object of the process; nothing of it is global."""

    def __init__(self, given: Settings, me: identity.Identity) -> None:
        self._settings = given
        self._stop = asyncio.Event()
        self._others: Counter[str] = Counter()
        self.boot = str(uuid.uuid4())
        spool = given.worker_dir / "spool"
        self._spooled = Boot.create(spool, self.boot)
        self._metrics = Metrics()
        self._background = Background()
        self._environment = Environment(mock_secret=me.mock_secret)
        self._control = Control(given.control_url, me)
        self._shipper = Shipper(self._control, self._spooled, spool, self._metrics)
        self._recorder = Recorder(
            self._spooled, worker=me.worker, limit=given.spool_bytes // given.processes, metrics=self._metrics, appended=self._shipper.ring
        )
        self._bundles = Bundles(self._control, me, given.worker_dir, self._metrics, self._bundle_changed)
        self._pool = AnalysisPool(self._environment.analyses.put, self._metrics)
        self._catalogs = Catalogs(self._environment.catalogs, self._pool, CatalogReports(self._control, self._background).tell)
        self._tokens = TokenChecker()
        self._approvals = Approvals(
            self._control, Broker(given.broker_url), me, given.broker_url, self.boot, self._background, self._metrics
        )
        self._channel = Channel(self._told, self._orphaned)
        self._cancels = Cancels(self._pass_cancel_on)
        self._open: set[Conversation] = set()
        self._contexts = Contexts()
        services = Services(
            environment=self._environment, recorder=self._recorder, approvals=self._approvals, tokens=self._tokens,
            catalogs=self._catalogs, contexts=self._contexts,
            analyses=self._pool, cancels=self._cancels, background=self._background, metrics=self._metrics,
            tls=agent_tls(given.tls_cert, given.tls_key, given.tls_client_ca),
            half_open=HalfOpen(self._metrics, *half_open.bounds()), open=self._open,
        )  # fmt: skip
        self._listener = Listener(given.listen, lambda: Conversation(services), self._open)

    async def run(self, channel: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        await loop.create_unix_connection(lambda: self._channel, sock=channel)
        self._record("worker.boot", host=socket.gethostname(), pid=os.getpid(), version=VERSION)
        self._bundles.load_cached()
        tasks = [loop.create_task(job) for job in self._jobs()]
        stopping = loop.create_task(self._stop.wait(), name="stop")
        try:
            await self._listener.start()
            # A job that ends has failed: without it promises would be broken, so the process goes and is started anew.
            await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            await self._shut_down()
        finally:
            for task in (stopping, *tasks):
                task.cancel()
            results = await asyncio.gather(stopping, *tasks, return_exceptions=True)
            await self._release()
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _jobs(self) -> list[Coroutine[None, None, None]]:
        return [
            self._pool.run_forever(), self._bundles.follow_forever(), self._shipper.ship_own_forever(), self._shipper.adopt_forever(),
            self._recorder.sync_forever(), self._approvals.listen_forever(), self._catalogs.refresh_forever(),
            self._metrics.publish_forever(), self._tell_forever(), self._heartbeat_forever(),
        ]  # fmt: skip

    async def _shut_down(self) -> None:
        """Sessions first, then their records, then the word that this boot ends here on purpose."""
        logger().info("draining", sessions=len(self._open), seconds=self._settings.drain_seconds)
        self._environment.draining = True
        self._tell()
        await self._listener.drain(self._settings.drain_seconds)
        self._record("worker.stopped")
        self._recorder.flush()

    async def _release(self) -> None:
        await self._background.stop()
        self._recorder.flush()
        with contextlib.suppress(OSError):
            self._spooled.sync()
        await self._shipper.finish(_SHIP_LAST_SECONDS)
        self._metrics.publish()
        for closing in (self._approvals.close(), self._tokens.close(), self._control.close()):
            with contextlib.suppress(Exception):
                await closing
        if self._spooled.waiting == 0:
            self._spooled.destroy()
        else:
            self._spooled.close()
        logger().info("stopped", left_in_spool=self._spooled.waiting)

    # -- what changes ---------------------------------------------------------------------------------------------

    def _bundle_changed(self, bundle: Bundle | None, confirmed_at: float) -> None:
        environment = self._environment
        environment.confirmed_at = confirmed_at
        if bundle is environment.bundle:
            return
        before, environment.bundle = environment.bundle, bundle
        self._catalogs.use(bundle)
        self._contexts.forget()
        if bundle is None:
            self._background.start(self._shut_out(), "revoked")
        elif before is not None and _idle_timeouts(before) != _idle_timeouts(bundle):
            for conversation in list(self._open):  # an idle session looks at the policy when it is woken, and not before
                conversation.deliver(Tick())

    async def _shut_out(self) -> None:
        """The worker was revoked: what it knew it may no longer use. New sessions find no bundle and are refused."""
        await self._listener.revoke(_REVOKED_GRACE_SECONDS)

    def _told(self, message: Message) -> None:
        if isinstance(message, Cancel):
            self._cancel_for_another(message)
        elif isinstance(message, Cancelled):
            self._cancels.answered((message.process_id, message.secret))
        elif isinstance(message, Others):
            # The core counts its own sessions in the same place, so that a limit holds for the host as a whole.
            self._environment.sessions.update(message.sessions)
            self._environment.sessions.subtract(self._others)
            self._others = Counter(message.sessions)

    def _orphaned(self) -> None:
        if not self._stop.is_set():
            logger().error("parent_gone")
            self._stop.set()

    def _pass_cancel_on(self, key: Key) -> None:
        self._channel.send(Cancel(*key))

    def _cancel_for_another(self, message: Cancel) -> None:
        delivered = self._cancels.deliver((message.process_id, message.secret))
        if delivered is not None:
            delivered.add_done_callback(lambda _: self._channel.send(Cancelled(message.process_id, message.secret)))

    def _record(self, kind: str, **fields: object) -> None:
        try:
            self._recorder.record(kind, fields)
        except SpoolError as error:
            logger().error("record.failed", kind=kind, reason=str(error))

    # -- what is told ---------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        ready = self._listener.accepting and self._bundles.fresh(time.time()) and not self._environment.draining
        own = self._environment.sessions - self._others
        self._channel.send(Status(ready, dict(own)))
        self._metrics.ready.set(ready)
        self._metrics.sessions.set(len(self._open))
        self._bundles.publish()
        self._shipper.publish()

    async def _tell_forever(self) -> None:
        while True:
            self._tell()
            await asyncio.sleep(_STATUS_SECONDS)

    async def _heartbeat_forever(self) -> None:
        recorded = time.monotonic()
        while True:  # the first at once: the overview should not call a worker silent that has just begun
            if time.monotonic() - recorded >= _HEARTBEAT_ENTRY_SECONDS:
                recorded = time.monotonic()
                self._record("worker.heartbeat", sessions=len(self._open))
            beat = {
                "boot": self.boot, "pid": os.getpid(), "version": VERSION, "bundle_digest": self._bundles.digest,
                "sessions": len(self._open), "spool_entries": self._shipper.waiting,
            }  # fmt: skip
            with contextlib.suppress(ControlError):  # the bundle's long poll says it loudly enough
                await self._control.post("heartbeat", beat)
            await asyncio.sleep(_HEARTBEAT_SECONDS)


def _idle_timeouts(bundle: Bundle) -> dict[str, int | None]:
    return {name: connection.idle_timeout for name, connection in bundle.connections.items()}


async def _main(given: Settings, channel: socket.socket) -> None:
    me = identity.load(given.worker_dir)
    if me is None:
        raise SystemExit("this worker has no identity")
    process = Process(given, me)
    log.configure(boot=process.boot, pid=os.getpid())
    await process.run(channel)


def main() -> None:
    given = settings.from_mapping(os.environ)
    log.configure(pid=os.getpid())
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        uvloop.run(_main(given, channel))
    except Exception as error:
        logger().error("process.failed", exc_info=error)
        sys.exit(1)


if __name__ == "__main__":
    main()
