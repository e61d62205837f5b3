"""A small pool of analysis processes: cold statements are read there, so that none of them can stall a session.

A process that does not answer in time is killed and started again; its statement is unanalyzable. Equal requests under
way are one request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from proxy.sql.facts import Analysis, AnalysisRequest
from worker.analysis_messages import HEAD, MAX_CATALOGS, Ask, Hold, Rows
from worker.log import logger
from worker.metrics import Metrics

DEADLINE = 2.0  # seconds for one statement
_CATALOG_DEADLINE = 20.0
_QUEUE = 256
_PATIENCE = 6.0  # with the time in the queue
_LARGEST_ANSWER = 64 << 20
_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ")

_COMMAND = (sys.executable, "-m", "worker.analysis_process")


class _Dead(Exception):
    """The process ended, or answered something that is no analysis."""


class _Process:
    """One analysis process and the pipe to it; used by one task at a time."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._held: deque[str] = deque(maxlen=MAX_CATALOGS)
        self._decoder = msgspec.msgpack.Decoder(Analysis)

    async def start(self) -> None:
        # None of the worker's variables: broker password and tokens are no business of a process that reads hostile text.
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment
        )
        self._held.clear()

    async def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def analyse(self, request: AnalysisRequest, rows: Rows | None) -> Analysis:
        """Raises: _Dead, TimeoutError."""
        if self._process is None or self._process.returncode is not None:  # it may have died with nothing to do
            await self.start()
        digest = request.catalog_digest
        if digest and digest not in self._held:
            if rows is None:
                return Analysis(problem="the catalog that the statement was to be read with is gone")
            held = await self._call(Hold(digest, rows), _CATALOG_DEADLINE)
            if held.problem:
                return held
            self._held.append(digest)
        return await self._call(Ask(request), DEADLINE)

    async def _call(self, message: Hold | Ask, deadline: float) -> Analysis:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        body = msgspec.msgpack.encode(message)
        try:
            async with asyncio.timeout(deadline):
                self._process.stdin.write(HEAD.pack(len(body)) + body)
                await self._process.stdin.drain()
                (length,) = HEAD.unpack(await self._process.stdout.readexactly(HEAD.size))
                if length > _LARGEST_ANSWER:
                    raise _Dead
                return self._decoder.decode(await self._process.stdout.readexactly(length))
        except TimeoutError:
            raise  # which is an OSError too
        except (OSError, RuntimeError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
            raise _Dead from error  # RuntimeError: uvloop's word for a pipe that closed meanwhile


class AnalysisPool:
    """Answers :class:`proxy.effects.Analyse`; every answer that is knowledge also goes to ``store(key, analysis)``."""

    def __init__(
        self, store: Callable[[tuple[object, ...], Analysis], object], metrics: Metrics, *, processes: int = 2,
        command: Sequence[str] = _COMMAND,
    ) -> None:  # fmt: skip
        self._store, self._metrics = store, metrics
        self._catalogs: dict[str, Rows] = {}
        self._queue: asyncio.Queue[tuple[AnalysisRequest, asyncio.Future[Analysis]]] = asyncio.Queue(_QUEUE)
        self._under_way: dict[tuple[object, ...], asyncio.Future[Analysis]] = {}
        self._processes = [_Process(command) for _ in range(processes)]

    def hold_catalogs(self, catalogs: dict[str, Rows]) -> None:
        """The catalogs in use, by digest: rows as the target gave them."""
        self._catalogs = catalogs

    async def analyse(self, request: AnalysisRequest) -> Analysis:
        """Never raises; what cannot be analysed comes back with a ``problem``."""
        future = self._under_way.get(request.key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            try:
                self._queue.put_nowait((request, future))
            except asyncio.QueueFull:
                return self._failed("overloaded", "too many new statements wait for analysis; try again")
            self._under_way[request.key] = future
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.shield(future)
        except TimeoutError:
            return self._failed("overloaded", "the analysis did not get its turn in time; try again")

    async def run_forever(self) -> None:
        """Start the processes and serve the queue; ending this task ends them."""
        try:
            async with asyncio.TaskGroup() as group:
                for process in self._processes:
                    group.create_task(self._serve(process))
        finally:
            await asyncio.gather(*(process.stop() for process in self._processes))

    async def _serve(self, process: _Process) -> None:
        with contextlib.suppress(OSError):
            await process.start()  # before the first statement needs it
        while True:
            request, future = await self._queue.get()
            try:
                analysis = await self._ask(process, request)
            finally:
                self._under_way.pop(request.key, None)
            if not future.done():
                future.set_result(analysis)

    async def _ask(self, process: _Process, request: AnalysisRequest) -> Analysis:
        began = time.perf_counter()
        try:
            analysis = await process.analyse(request, self._catalogs.get(request.catalog_digest))
        except TimeoutError:
            await process.stop()
            return self._failed("slow", f"the analysis took longer than {DEADLINE:g} seconds")
        except (_Dead, OSError):
            await process.stop()
            return self._failed("dead", "the analysis process died over it")
        self._metrics.analysis_seconds.observe(time.perf_counter() - began)
        self._metrics.analyses.labels("problem" if analysis.problem else "ok").inc()
        self._store(request.key, analysis)
        return analysis

    def _failed(self, outcome: str, problem: str) -> Analysis:
        """Not stored: the next attempt may find a living process."""
        self._metrics.analyses.labels(outcome).inc()
        logger().warning("analysis.failed", outcome=outcome)
        return Analysis(problem=problem)
