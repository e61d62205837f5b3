"""A guarded child seen by its parent."""

import sys
from pathlib import Path

import pytest

from controlplane.stack.process import GuardedProcess, StartError


def child(tmp_path: Path, code: str) -> GuardedProcess:
    return GuardedProcess("child", [sys.executable, "-c", code], log=tmp_path / "child.log", grace=1)


def test_ready_when_it_says_so_and_gone_after_stop(tmp_path: Path) -> None:
    process = child(tmp_path, "import time; print('here', flush=True); time.sleep(600)")
    process.start()
    process.wait_ready(lambda: "here" in process.tail(), 10)
    assert process.alive
    process.stop()
    assert not process.alive


def test_one_that_ends_while_starting_is_reported_with_its_last_words(tmp_path: Path) -> None:
    process = child(tmp_path, "raise SystemExit('no such thing as luck')")
    process.start()
    with pytest.raises(StartError, match="no such thing as luck"):
        process.wait_ready(lambda: False, 10)


def test_one_that_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    process = child(tmp_path, "import time; time.sleep(600)")
    process.start()
    with pytest.raises(StartError, match="not ready within"):
        process.wait_ready(lambda: False, 0.1)
    assert not process.alive


def test_the_log_grows_across_restarts(tmp_path: Path) -> None:
    process = child(tmp_path, "print('once more')")
    for _ in range(2):
        process.start()
        process.wait_ended()
    process.close()
    assert process.tail().count("once more") == 2


def test_a_second_start_waits_for_the_first_to_be_over(tmp_path: Path) -> None:
    """Two parents one after the other on the same directory: the children must never run side by side."""
    code = f"import os, time; open({str(tmp_path / 'alone')!r}, 'x').close(); time.sleep(0.3); os.unlink({str(tmp_path / 'alone')!r})"
    first, second = child(tmp_path, code), child(tmp_path, code)
    first.start()
    second.start()
    first.wait_ended()
    second.wait_ended()
    assert "FileExistsError" not in first.tail(100)
    first.close()
    second.close()
