"""The parent: starts the worker processes, starts a dead one again, passes messages between them, and stops them.

It carries no session: when it dies, the processes notice by their channel and drain.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from worker.channel import Cancel, Cancelled, Channel, Message, Others, Status
from worker.log import logger

_BACK_OFF = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before the next start; the last one repeats
_HEALTHY_SECONDS = 30.0  # a process that lived this long starts the row anew
_KILL_AFTER_SECONDS = 15.0  # beyond the drain: shipping and closing take their time too


class Child:
    """One place among the processes: whoever occupies it now."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: asyncio.subprocess.Process | None = None
        self.channel: Channel | None = None
        self.status = Status(ready=False, sessions={})


class Supervisor:
    """``environment`` is what the processes get; it holds the settings."""

    def __init__(self, processes: int, environment: Mapping[str, str], metrics_dir: Path, drain_seconds: float) -> None:
        self._environment = {**environment, "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir)}
        self._metrics_dir = str(metrics_dir)
        self._drain_seconds = drain_seconds
        self._stopping = asyncio.Event()
        self.children = [Child(number) for number in range(processes)]

    @property
    def ready(self) -> int:
        """Processes that can serve."""
        return sum(child.process is not None and child.status.ready for child in self.children)

    def stop(self) -> None:
        """Begin the end: every process drains."""
        self._stopping.set()
        for child in self.children:
            _signal(child, signal.SIGTERM)

    async def run(self) -> bool:
        """Until :meth:`stop` was called and all processes are gone. Whether all of them ended well."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep(child)) for child in self.children]
        return all(task.result() for task in tasks)

    async def _keep(self, child: Child) -> bool:
        failures = 0
        while True:
            began = time.monotonic()
            code = await self._run_once(child)
            if self._stopping.is_set():
                return code == 0
            failures = 0 if time.monotonic() - began > _HEALTHY_SECONDS else failures + 1
            pause = _BACK_OFF[min(failures, len(_BACK_OFF) - 1)]
            logger().error("process.died", number=child.number, code=code, restart_seconds=pause)
            try:
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                return True
            except TimeoutError:
                continue

    async def _run_once(self, child: Child) -> int:
        ours, theirs = socket.socketpair()
        try:
            child.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "worker.process", str(theirs.fileno()), pass_fds=[theirs.fileno()], env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            ours.close()
            logger().error("process.not_started", reason=error.strerror)
            return 1
        finally:
            theirs.close()
        child.channel = channel = Channel(lambda message: self._told(child, message), lambda: None)
        await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=ours)
        if self._stopping.is_set():  # asked to stop while this one was being started
            _signal(child, signal.SIGTERM)
        code = await self._wait(child.process)
        mark_process_dead(child.process.pid, self._metrics_dir)  # type: ignore[no-untyped-call]
        child.process, child.status = None, Status(ready=False, sessions={})
        self._share_counts()
        return code

    async def _wait(self, process: asyncio.subprocess.Process) -> int:
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            done, _ = await asyncio.wait([ended], timeout=self._drain_seconds + _KILL_AFTER_SECONDS)
            if not done:
                logger().error("process.killed", pid=process.pid)
                process.kill()
        return await ended

    def _told(self, child: Child, message: Message) -> None:
        if isinstance(message, Cancel | Cancelled):
            for other in self.children:
                if other is not child and other.channel is not None:
                    other.channel.send(message)
        elif isinstance(message, Status):
            changed = message.sessions != child.status.sessions
            child.status = message
            if changed:
                self._share_counts()

    def _share_counts(self) -> None:
        for child in self.children:
            others: Counter[str] = Counter()
            for other in self.children:
                if other is not child:
                    others.update(other.status.sessions)
            if child.channel is not None:
                child.channel.send(Others(dict(others)))


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process is not None and child.process.returncode is None:
        os.kill(child.process.pid, number)
