"""Processes that die at once, and an end that is asked for: with a command of the test's in place of a worker process."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
import structlog

from tests.worker.control_plane import until
from worker import supervisor as module
from worker.supervisor import Supervisor


def supervise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, starts: int) -> tuple[bool, int]:
    """Run ``code`` as the process; stop after so many starts. Whether it ended well, and the starts."""
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "__init__.py").touch()
    (tmp_path / "worker" / "process.py").write_text(f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\n{code}")
    monkeypatch.setattr(module, "_BACK_OFF", (0.01,))

    async def run() -> bool:
        environment = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
        found = Supervisor(1, environment, tmp_path, drain_seconds=1)
        running = asyncio.create_task(found.run())
        path = tmp_path / "starts"
        await until(lambda: path.exists() and len(path.read_text()) >= starts)
        found.stop()
        async with asyncio.timeout(20):
            return await running

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", os.path.realpath(sys.executable))
    with structlog.testing.capture_logs():
        ended = asyncio.run(run())
    return ended, len((tmp_path / "starts").read_text())


def test_a_process_that_dies_is_started_again_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, starts = supervise(tmp_path, monkeypatch, "raise SystemExit(3)", 3)
    assert starts >= 3


def test_a_process_that_ends_when_told_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: exit(0))\nopen('ready', 'w')\ntime.sleep(60)"
    ended, starts = supervise(tmp_path, monkeypatch, code, 1)
    assert starts == 1
    assert ended or not (tmp_path / "ready").exists(), "a signal before the handler stands kills it"


def test_a_process_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KILL_AFTER_SECONDS", 0.1)
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)"
    ended, _ = supervise(tmp_path, monkeypatch, code, 1)
    assert not ended
