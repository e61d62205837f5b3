"""A guarded child as its parent sees it: start, stop, whether it lives, and the end of its log when it does not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from controlplane.stack.account import Account

GUARD = Path(__file__).with_name("guard.py")


class StartError(RuntimeError):
    """A child that ended, or was not ready in time; carries the last lines of its log."""


class GuardedProcess:
    """One command under a guard (see guard.py). The log grows across restarts."""

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10,
        account: Account | None = None,
        directory: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        self._grace = grace
        self._account = account or Account()
        self.command = command
        self.environment = dict(os.environ if environment is None else environment)
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.close()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._guarded(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self._directory,
                start_new_session=True,  # a terminal's Ctrl-C reaches the parent alone, which stops its children in order
            )

    def _guarded(self) -> list[str]:
        lock = self.log.with_suffix(".lock")
        guard = [sys.executable, "-I", "-S", str(GUARD), "--name", self.name, "--lock", str(lock)]
        guard += ["--signal", self._stop_signal.name, "--grace", f"{self._grace:g}"]
        if self._account.user is not None:
            guard += ["--user", f"{self._account.user}:{self._account.group}"]
        return [*self._account.prefix, *guard, "--", *self.command]

    def wait_ready(self, answers: Callable[[], bool], timeout: float) -> None:
        """Return when `answers()` is true. Raises StartError, with the command stopped, if it ends first or takes longer."""
        deadline = time.monotonic() + timeout
        while not answers():
            problem = "ended while starting" if not self.alive else f"was not ready within {timeout:g} s"
            if not self.alive or time.monotonic() > deadline:
                self.stop()
                raise self.failure(problem)
            time.sleep(0.02)

    @property
    def pid(self) -> int | None:
        """The guard's process id; the command is its only child."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ask the command to stop and wait until it and its descendants are gone."""
        self.ask_to_stop()
        self.wait_stopped()

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_stopped(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(self._grace + 10)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the child has the guard's death as its stop signal
            self._process.wait()
        self.close()

    def wait_ended(self) -> None:
        """Return when the command has ended by itself."""
        if self._process is not None:
            self._process.wait()

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._process is not None and self._process.poll() is None:
            self._process.wait()
        self._process = None

    def failure(self, what: str) -> StartError:
        return StartError(f"{self.name} {what}; the end of {self.log}:\n{self.tail()}")

    def tail(self, lines: int = 12) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
