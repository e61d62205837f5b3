"""Records become entries of this boot's hash chain, durable in the spool before anything that follows them happens.

Records of one turn of the event loop are written together by one ``write``; whoever waits behind a record is called
back after it. If the write fails, none of the turn's entries exists: the chain goes on from the last durable one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping

import msgspec

from proxy.ledger.entry import GENESIS, EntryError, build, entry_hash
from worker.log import logger
from worker.metrics import Metrics
from worker.spool import Boot, SpoolError, SpoolFull

# Intents stop at the limit; what they caused (completions, closings) may still be written a little beyond it.
_OPENING = frozenset({"session.opened", "statement.intended"})
_RESERVE = 4 << 20
_SYNC_SECONDS = 1.0

Done = Callable[[str], None]  # called with "" once durable, else with one line that says why not


class Recorder:
    """The one writer of this boot's chain; lives on the event loop's thread."""

    def __init__(self, boot: Boot, *, worker: str, limit: int, metrics: Metrics, appended: Callable[[], None]) -> None:
        """``limit``: bytes of spool; ``appended`` is called after each durable write (the shipper's bell)."""
        self._boot, self._worker, self._limit = boot, worker, limit
        self._metrics, self._appended = metrics, appended
        self._seq, self._prev = boot.last, GENESIS
        self._durable = (self._seq, self._prev)
        self._payloads: list[bytes] = []
        self._counted: list[tuple[str, Mapping[str, object]]] = []
        self._waiting: list[Done] = []
        self._scheduled = False
        self._unsynced = False

    @property
    def boot(self) -> str:
        return self._boot.name

    def record(self, kind: str, fields: Mapping[str, object], done: Done | None = None) -> None:
        """Take an entry into this turn's write. Raises: SpoolError, and nothing is taken."""
        self._admit(kind)
        try:
            entry, disclosures = build(
                kind, fields, worker=self._worker, boot=self._boot.name, seq=self._seq + 1, prev=self._prev,
                time_us=time.time_ns() // 1000, salts=os.urandom,
            )  # fmt: skip
            payload = msgspec.json.encode({"entry": entry.decode(), "disclosures": disclosures})
        except EntryError as error:
            raise SpoolError(str(error)) from error
        self._seq, self._prev = self._seq + 1, entry_hash(entry).hex()
        self._payloads.append(payload)
        self._counted.append((kind, fields))
        if done is not None:
            self._waiting.append(done)
        self._schedule()

    def after(self, done: Done) -> None:
        """Call ``done`` once everything recorded so far is durable (or is not)."""
        self._waiting.append(done)
        self._schedule()

    def flush(self) -> None:
        """Write this turn's entries now and call back whoever waits for them."""
        self._scheduled = False
        payloads, self._payloads = self._payloads, []
        waiting, self._waiting = self._waiting, []
        counted, self._counted = self._counted, []
        problem = self._write(payloads) if payloads else ""
        if not problem:
            for kind, fields in counted:
                self._metrics.recorded(kind, fields)
        for done in waiting:
            done(problem)

    async def sync_forever(self) -> None:
        """Make entries survive the machine too, at most a second after they were written."""
        while True:
            await asyncio.sleep(_SYNC_SECONDS)
            if self._unsynced:
                self._unsynced = False
                try:
                    await asyncio.to_thread(self._boot.sync)
                except OSError as error:
                    self._unsynced = True
                    logger().error("spool.sync_failed", reason=error.strerror)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def _admit(self, kind: str) -> None:
        if self._boot.size > self._limit + (0 if kind in _OPENING else _RESERVE):
            self._metrics.spool_refused.inc()
            raise SpoolFull("the audit spool is full: the control plane has not taken entries for too long")

    def _write(self, payloads: list[bytes]) -> str:
        try:
            self._boot.append(payloads)
        except SpoolError as error:
            self._seq, self._prev = self._durable
            self._metrics.spool_refused.inc(len(payloads))
            logger().error("spool.write_failed", reason=str(error))
            return str(error)
        self._durable = (self._seq, self._prev)
        self._unsynced = True
        self._appended()
        return ""
