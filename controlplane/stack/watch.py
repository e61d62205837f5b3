"""Keep children running: one that ends is started again, after a pause that doubles while it keeps ending."""

import os
import select
import signal
import time
from collections.abc import Callable, Sequence

from controlplane.stack.process import GuardedProcess

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
STEADY = 30.0  # seconds after which a child counts as running well, and its next pause is the first again


class Watched:
    """One child, when it was last started, and when it may start again."""

    def __init__(self, process: GuardedProcess, now: float) -> None:
        self.process = process
        self.started = now
        self.pause = FIRST_PAUSE
        self.again: float | None = None

    def look(self, now: float) -> str:
        """Note that the child has ended, or start it when its time has come; a line to print, or nothing."""
        if self.again is None:
            if self.process.alive:
                return ""
            if now - self.started > STEADY:
                self.pause = FIRST_PAUSE
            self.again = now + self.pause
            text = f"{self.process.name} ended; starting it again in {self.pause:g} s (its log: {self.process.log})"
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
            return text
        if now < self.again:
            return ""
        self.again = None
        self.started = now
        self.process.start()
        return f"{self.process.name} started again"


class Watch:
    """Wakes up when a child ends (SIGCHLD). Use from the main thread only: signals arrive there."""

    def __init__(self) -> None:
        self._wake, write = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def forever(self, processes: Sequence[GuardedProcess], say: Callable[[str], None]) -> None:
        """Never returns; a signal handler that raises ends it."""
        watched = [Watched(process, time.monotonic()) for process in processes]
        while True:
            for child in watched:
                if text := child.look(time.monotonic()):
                    say(text)
            pending = [child.again for child in watched if child.again is not None]
            self._sleep(max(0.0, min(pending) - time.monotonic()) if pending else None)

    def _sleep(self, seconds: float | None) -> None:
        readable, _, _ = select.select([self._wake], [], [], seconds)
        if readable:
            os.read(self._wake, 4096)
