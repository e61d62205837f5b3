"""Ships spooled entries to the control plane, in order, and deletes only what was acknowledged after its commit.

The process ships its own boot, and adopts the boots of dead processes of this host. Nothing is ever skipped: where the
control plane finds a gap it can still be given from the spool, that is sent; anything else stops this boot's shipping
with an alarm and leaves the files for a human.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import msgspec

from worker.control import Control, ControlError, Revoked, decode
from worker.log import logger
from worker.metrics import Metrics
from worker.spool import Boot, SpoolError, boots

BATCH_ENTRIES = 500
BATCH_BYTES = 1 << 20
_GATHER_SECONDS = 0.1  # lets a busy moment become one batch
_ADOPT_SECONDS = 10.0
_RETRY_SECONDS = 0.5  # doubled six times at most
_SLOW_SECONDS = 60.0  # between attempts that need a human first


class _Acknowledged(msgspec.Struct):
    acknowledged: int


class _Refused(msgspec.Struct):
    error: str
    expected: int = 0
    detail: str = ""


class Stopped(Exception):
    """The control plane will not take this boot's next entry; ``reason`` is a short label."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Shipper:
    """Ships one process's boot and those that it adopted."""

    def __init__(self, control: Control, own: Boot, root: Path, metrics: Metrics) -> None:
        self._control, self._own, self._root, self._metrics = control, own, root, metrics
        self._bell = asyncio.Event()
        self._adopted: list[Boot] = []
        self._behind_since: float | None = None
        self._alarms: dict[str, str] = {}  # boot → reason
        self._batch = BATCH_ENTRIES

    def ring(self) -> None:
        """New entries are durable."""
        if self._behind_since is None:
            self._behind_since = time.monotonic()
        self._bell.set()

    @property
    def waiting(self) -> int:
        """Entries of all boots of this process that wait for acknowledgement."""
        return sum(boot.waiting for boot in (self._own, *self._adopted))

    async def ship_own_forever(self) -> None:
        while True:
            await self._bell.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._bell.clear()
            await self._empty(self._own)

    async def adopt_forever(self) -> None:
        """Look for boots of dead processes and ship each to its end."""
        async with asyncio.TaskGroup() as shipping:
            while True:
                for path in boots(self._root):
                    mine = {boot.path for boot in (self._own, *self._adopted)}
                    boot = None if path in mine else await asyncio.to_thread(Boot.adopt, path)
                    if boot is not None:
                        self._adopted.append(boot)
                        shipping.create_task(self._ship_adopted(boot))
                await asyncio.sleep(_ADOPT_SECONDS)

    async def finish(self, seconds: float) -> None:
        """Ship what is left of the own boot, for at most ``seconds``; the rest is adopted by the next process."""
        try:
            async with asyncio.timeout(seconds):
                while self._own.waiting:
                    await self._ship_batch(self._own)
        except (TimeoutError, ControlError, SpoolError, Stopped) as error:
            logger().warning("audit.left_in_spool", entries=self._own.waiting, reason=type(error).__name__)

    def publish(self) -> None:
        """Bring the gauges up to date."""
        self._metrics.spool_entries.set(self.waiting)
        self._metrics.spool_bytes.set(sum(boot.size for boot in (self._own, *self._adopted)))
        self._metrics.spool_lag.set(0 if self._behind_since is None else time.monotonic() - self._behind_since)

    async def _ship_adopted(self, boot: Boot) -> None:
        logger().info("audit.adopted", boot=boot.name, entries=boot.waiting)
        await self._empty(boot)
        if boot.damage:
            # Stays in the list, locked, so that its size and its alarm stay visible.
            self._alarm("damaged", boot, boot.damage)
            return
        boot.destroy()
        self._adopted.remove(boot)

    async def _empty(self, boot: Boot) -> None:
        """Ship until nothing waits; failures are retried for ever, with growing pauses."""
        failures = 0
        while boot.waiting:
            try:
                await self._ship_batch(boot)
                failures = 0
                continue
            except Stopped as stop:
                self._alarm(stop.reason, boot, str(stop))
                pause = _SLOW_SECONDS
            except Revoked:
                logger().error("audit.revoked", boot=boot.name)
                pause = _SLOW_SECONDS
            except (ControlError, SpoolError) as error:
                failures += 1
                pause = _RETRY_SECONDS * 2 ** min(failures, 6)
                logger().warning("audit.retry", boot=boot.name, reason=str(error), seconds=pause)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads retries, guards nothing
        if boot is self._own:
            self._behind_since = None

    async def _ship_batch(self, boot: Boot) -> None:
        payloads = await asyncio.to_thread(boot.read, boot.acknowledged, self._batch, BATCH_BYTES)
        body = b'{"boot":%s,"entries":[%s]}' % (msgspec.json.encode(boot.name), b",".join(payloads))
        response = await self._control.post("audit", body)
        match response.status_code:
            case 200:
                self._accept(boot, decode(response, _Acknowledged).acknowledged, len(payloads))
            case 409:
                self._refused(boot, decode(response, _Refused))
            case 413 if len(payloads) > 1:
                self._batch = max(1, len(payloads) // 2)
            case status:
                raise ControlError(f"HTTP {status} to a batch of {len(payloads)} entries")

    def _accept(self, boot: Boot, acknowledged: int, sent: int) -> None:
        if not boot.acknowledged < acknowledged <= boot.last:
            raise Stopped("acknowledgement", f"entry {acknowledged} was acknowledged, {boot.acknowledged + 1} to {boot.last} exist")
        boot.acknowledge(acknowledged)
        self._batch = min(BATCH_ENTRIES, self._batch * 2)
        if boot.name in self._alarms:
            self._metrics.audit_alarm.labels(self._alarms.pop(boot.name)).set(0)
            self._show_alarms()

    def _refused(self, boot: Boot, refusal: _Refused) -> None:
        """409: nothing was stored. Only a gap that the spool can fill is answered by sending."""
        if refusal.error == "gap" and refusal.expected <= boot.acknowledged and boot.rewind(refusal.expected):
            logger().warning("audit.rewound", boot=boot.name, expected=refusal.expected)
            return
        raise Stopped(refusal.error, f"entry {boot.acknowledged + 1} was refused ({refusal.error}), expected {refusal.expected}")

    def _alarm(self, reason: str, boot: Boot, detail: str) -> None:
        self._alarms[boot.name] = reason
        self._show_alarms()
        logger().error("audit.stopped", boot=boot.name, reason=reason, detail=detail)

    def _show_alarms(self) -> None:
        for reason in self._alarms.values():
            self._metrics.audit_alarm.labels(reason).set(1)
