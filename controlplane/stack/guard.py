"""Run one command that cannot outlive the process that asked for it.

    python -I -S guard.py --name NAME --lock FILE --signal SIGINT --grace 20 [--user UID:GID] -- COMMAND …

Standard input is a pipe whose other end only the parent holds. The kernel closes it however the parent ends, `kill -9`
included, and the guard then stops the command. The parent asks for the same thing with SIGTERM. A pipe is used because the
kernel forgets the parent-death signal when a process enters a user namespace, which is how PostgreSQL gets to run as root.
It is used as well, for the case that the guard itself is killed.

The guard adopts whatever the command leaves behind (child subreaper) and kills it at the end, so a command that is started
again never meets the remains of the one before. The lock serves the same end across restarts of the parent: a second
guard waits until the first one has finished stopping.

This file uses the standard library only and imports nothing of ours: it must start in milliseconds.
"""

import argparse
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36
PARENT = 0  # standard input


def prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="guard")
    parser.add_argument("--name", required=True)
    parser.add_argument("--lock", required=True)
    parser.add_argument("--signal", default="SIGTERM", help="what asks the command to stop")
    parser.add_argument("--grace", type=float, default=10, help="seconds until it is killed")
    parser.add_argument("--user", help="UID:GID to run the command as")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(argv)


class Guard:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.stop_signal = signal.Signals[options.signal]
        self.wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        self.stopping = False
        signal.set_wakeup_fd(wake_write)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def ask_to_stop(self, *_: object) -> None:
        self.stopping = True

    def wait_for_news(self, seconds: float | None) -> None:
        """Return when the parent has gone, a signal came, or the time is over."""
        readable, _, _ = select.select([PARENT, self.wake_read], [], [], seconds)
        if self.wake_read in readable:
            os.read(self.wake_read, 4096)
        if PARENT in readable and not os.read(PARENT, 4096):
            self.stopping = True

    def take_lock(self) -> None:
        descriptor = os.open(self.options.lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        while not self.stopping:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.wait_for_news(0.05)
            else:
                return

    def start(self) -> subprocess.Popen[bytes]:
        guard_pid = os.getpid()

        def die_with_guard() -> None:
            prctl(PR_SET_PDEATHSIG, self.stop_signal)
            if os.getppid() != guard_pid:  # it died between fork and prctl
                os._exit(1)

        account: dict[str, Any] = {}
        if self.options.user:
            user, group = map(int, self.options.user.split(":"))
            account = {"user": user, "group": group, "extra_groups": []}
        return subprocess.Popen(
            self.options.command,
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=die_with_guard,
            **account,
        )

    def run(self) -> int:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.take_lock()
        if self.stopping:
            return 0
        child = self.start()
        while child.poll() is None and not self.stopping:
            self.wait_for_news(None)
        if child.poll() is None:
            self.stop(child)
        kill_remains()
        return child.returncode if child.returncode >= 0 else 128 - child.returncode

    def stop(self, child: subprocess.Popen[bytes]) -> None:
        child.send_signal(self.stop_signal)
        try:
            child.wait(self.options.grace)
        except subprocess.TimeoutExpired:
            print(f"guard: {self.options.name} did not stop within {self.options.grace:g} s: killed", file=sys.stderr, flush=True)
            child.kill()
            child.wait()


def kill_remains() -> None:
    """Kill and reap what the command left behind; adopted processes appear here as our own children."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            for orphan in children_of_this_process():
                try:
                    os.kill(orphan, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.002)


def children_of_this_process() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as listing:
        return [int(pid) for pid in listing.read().split()]


if __name__ == "__main__":
    sys.exit(Guard(parse(sys.argv[1:])).run())
