"""No child outlives its parent, however the parent ends."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PARENT = """
import sys
from pathlib import Path
from controlplane.stack.process import GuardedProcess
child = GuardedProcess("child", sys.argv[2:], log=Path(sys.argv[1]) / "child.log", grace=0.5)
child.start()
print(child.pid, flush=True)
sys.stdin.read()
"""
# Starts a grandchild in a session of its own, says both process ids, and ignores polite requests if told so.
CHILD = """
import os, signal, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(os.getpid(), grandchild.pid, flush=True)
time.sleep(600)
"""


class Family:
    """A parent process that runs one guarded child with a grandchild, each watched through a pidfd."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.log = directory / "child.log"
        command = [sys.executable, "-c", PARENT, str(directory), sys.executable, "-c", CHILD, *arguments]
        self.parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.parent.stdout is not None
        self.guard = os.pidfd_open(int(self.parent.stdout.readline()))
        self.child, self.grandchild = (os.pidfd_open(pid) for pid in self._announced())

    def _announced(self) -> list[int]:
        while not self.log.exists() or "\n" not in self.log.read_text():
            assert self.parent.poll() is None
        return [int(pid) for pid in self.log.read_text().split()]

    def __enter__(self) -> "Family":
        return self

    def __exit__(self, *_: object) -> None:
        self.parent.kill()
        self.parent.communicate()
        for pidfd in (self.guard, self.child, self.grandchild):
            os.close(pidfd)

    def everybody_gone(self, seconds: float = 10) -> bool:
        return all(select.select([pidfd], [], [], seconds)[0] for pidfd in (self.guard, self.child, self.grandchild))


@pytest.mark.parametrize("arguments", [(), ("stubborn",)], ids=["polite", "stubborn"])
def test_kill_9_of_the_parent_leaves_no_orphans(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with Family(tmp_path, *arguments) as family:
        family.parent.kill()
        assert family.everybody_gone()


def test_kill_9_of_the_guard_takes_the_child_with_it(tmp_path: Path) -> None:
    with Family(tmp_path) as family:
        signal.pidfd_send_signal(family.guard, signal.SIGKILL)
        assert select.select([family.child], [], [], 10)[0]
        signal.pidfd_send_signal(family.grandchild, signal.SIGKILL)  # nobody is left to do it


def test_a_child_that_dies_takes_its_descendants_with_it(tmp_path: Path) -> None:
    with Family(tmp_path) as family:
        signal.pidfd_send_signal(family.child, signal.SIGKILL)
        assert family.everybody_gone()
