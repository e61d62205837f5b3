"""A record is durable before whoever waits behind it goes on, or nothing of its turn exists."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from proxy.ledger.chain import Head, extend
from worker.metrics import Metrics
from worker.recorder import Recorder
from worker.spool import Boot, SpoolError, SpoolFull

BOOT = "22222222-2222-4222-8222-222222222222"
CLOSED = {"session": "s", "statements": 1, "reason": "terminate"}


def check_chain(boot: Boot) -> list[str]:
    """The kinds of the durable entries, each of which continues the chain."""
    head, kinds = Head("w", BOOT), []
    for payload in boot.read(0, 1000, 1 << 20):
        content = json.loads(payload)["entry"]
        head, _ = extend(head, content.encode())
        kinds.append(json.loads(content)["kind"])
    return kinds


def recording(tmp_path: Path, work: Callable[[Recorder, Boot], Coroutine[None, None, None]], limit: int = 1 << 20) -> Boot:
    async def run() -> Boot:
        boot = Boot.create(tmp_path, BOOT)
        await work(Recorder(boot, worker="w", limit=limit, metrics=Metrics(), appended=lambda: None), boot)
        return boot

    return asyncio.run(run())


def test_the_records_of_a_turn_are_one_write_and_call_back_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: (writes.append(len(data)), real(descriptor, data))[1])

    async def work(recorder: Recorder, boot: Boot) -> None:
        seen: list[tuple[str, int]] = []
        recorder.record("session.closed", CLOSED, lambda problem: seen.append((problem, boot.last)))
        recorder.record("session.closed", CLOSED, lambda problem: seen.append((problem, boot.last)))
        assert boot.last == 0
        assert seen == []
        await asyncio.sleep(0)
        assert seen == [("", 2), ("", 2)]

    boot = recording(tmp_path, work)
    assert len(writes) == 1
    assert check_chain(boot) == ["session.closed", "session.closed"]


def test_a_failed_write_fails_its_turn_and_the_chain_goes_on_from_the_last_durable_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def no_space(descriptor: int, data: bytes) -> int:
        real(descriptor, data[:10])
        raise OSError(28, "No space left on device")

    async def work(recorder: Recorder, boot: Boot) -> None:
        problems: list[str] = []
        recorder.record("session.closed", CLOSED, problems.append)
        recorder.flush()
        monkeypatch.setattr(os, "write", no_space)
        recorder.record("session.closed", CLOSED, problems.append)
        recorder.record("session.closed", CLOSED, problems.append)
        recorder.flush()
        monkeypatch.setattr(os, "write", real)
        recorder.record("worker.stopped", {}, problems.append)
        recorder.flush()
        assert problems[0] == problems[3] == ""
        assert problems[1] == problems[2] == "the audit spool cannot be written: No space left on device"

    assert check_chain(recording(tmp_path, work)) == ["session.closed", "worker.stopped"]


def test_a_full_spool_refuses_intents_before_completions(tmp_path: Path) -> None:
    async def work(recorder: Recorder, boot: Boot) -> None:
        recorder.record("session.closed", CLOSED)
        recorder.flush()
        with pytest.raises(SpoolFull):
            recorder.record("statement.intended", {"session": "s"})
        recorder.record("session.closed", CLOSED)
        recorder.flush()

    assert check_chain(recording(tmp_path, work, limit=10)) == ["session.closed", "session.closed"]


def test_what_the_ledger_does_not_know_is_not_recorded_and_not_quoted(tmp_path: Path) -> None:
    async def work(recorder: Recorder, boot: Boot) -> None:
        with pytest.raises(SpoolError, match="not classified") as caught:
            recorder.record("session.closed", {**CLOSED, "password": "hunter2"})
        assert "hunter2" not in str(caught.value)
        recorder.record("worker.stopped", {})
        recorder.flush()

    assert check_chain(recording(tmp_path, work)) == ["worker.stopped"]


def test_sensitive_fields_travel_beside_the_entry(tmp_path: Path) -> None:
    async def work(recorder: Recorder, boot: Boot) -> None:
        recorder.record("statement.intended", {"session": "s", "sql": "select 'x'", "parameters": None})
        recorder.flush()

    (payload,) = recording(tmp_path, work).read(0, 1, 1 << 20)
    content = json.loads(payload)
    assert "select" not in content["entry"]
    assert content["disclosures"]["sql"]["value"] == "select 'x'"
