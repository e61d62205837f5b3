"""Shipping against a control plane that checks the chain as the real one does, and faults in two versions each."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from proxy.ledger.chain import ChainError, Head, extend
from proxy.ledger.entry import entry_hash
from tests.worker.control_plane import Call, ControlPlane, Reply, until
from worker import shipper as shipping
from worker.control import Control
from worker.identity import Identity
from worker.metrics import Metrics
from worker.recorder import Recorder
from worker.shipper import Shipper
from worker.spool import Boot

OLD = "22222222-2222-4222-8222-222222222222"
NEW = "33333333-3333-4333-8333-333333333333"
CLOSED = {"session": "s", "statements": 1, "reason": "terminate"}


class Ledger:
    """The audit endpoint: stores what continues the chain, answers the rest with 409."""

    def __init__(self, plane: ControlPlane, worker: str) -> None:
        self.worker = worker
        self.stored: dict[str, list[Head]] = {}  # by boot; the head at 0 is the empty chain
        self.faults: list[str] = []  # "before": fails; "after": fails after it took effect
        plane.on("POST", "audit", self.ingest)

    def ingest(self, call: Call) -> Reply:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            return Reply(503)
        reply = self._store(call)
        return Reply(502) if fault == "after" else reply

    def _store(self, call: Call) -> Reply:
        known = list(self.stored.setdefault(call.json["boot"], [Head(self.worker, call.json["boot"])]))
        for item in call.json["entries"]:
            content = item["entry"].encode()
            number = json.loads(content)["seq"]
            if number < len(known):
                if known[number].hash != entry_hash(content).hex():
                    return Reply(409, {"error": "hash", "expected": len(known), "detail": ""})
                continue
            try:
                known.append(extend(known[-1], content)[0])
            except ChainError as error:
                return Reply(409, {"error": error.error, "expected": error.expected, "detail": error.detail})
        self.stored[call.json["boot"]] = known
        return Reply(200, {"acknowledged": len(known) - 1})

    def count(self, boot: str) -> int:
        return len(self.stored.get(boot, [0])) - 1


@pytest.fixture
def me(control_plane: ControlPlane, tmp_path: Path) -> Identity:
    return control_plane.enrol(tmp_path / "worker")


@pytest.fixture
def ledger(control_plane: ControlPlane, me: Identity) -> Ledger:
    return Ledger(control_plane, me.worker)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_GATHER_SECONDS", "_RETRY_SECONDS", "_ADOPT_SECONDS", "_SLOW_SECONDS"):
        monkeypatch.setattr(shipping, name, 0.01)


def record(boot: Boot, me: Identity, count: int) -> None:
    async def run() -> None:
        recorder = Recorder(boot, worker=me.worker, limit=1 << 20, metrics=Metrics(), appended=lambda: None)
        for _ in range(count):
            recorder.record("session.closed", CLOSED)
            recorder.flush()

    asyncio.run(run())


def ship(
    plane: ControlPlane, me: Identity, root: Path, count: int, over: Callable[[Metrics], bool] | None = None
) -> tuple[Boot, Shipper, Metrics]:
    """Record ``count`` entries in a new boot and run its shipper until nothing waits anywhere, or until what is given is so."""

    async def run() -> tuple[Boot, Shipper, Metrics]:
        control, metrics = Control(plane.url, me), Metrics()
        boot = Boot.create(root, NEW)
        found = Shipper(control, boot, root, metrics)
        recorder = Recorder(boot, worker=me.worker, limit=1 << 20, metrics=metrics, appended=found.ring)
        for _ in range(count):
            recorder.record("session.closed", CLOSED)
        recorder.flush()
        tasks = [asyncio.create_task(found.ship_own_forever()), asyncio.create_task(found.adopt_forever())]
        done = over or (lambda metrics: not found.waiting and not (root / OLD).exists())
        await until(lambda: done(metrics))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await control.close()
        found.publish()
        return boot, found, metrics

    return asyncio.run(run())


def asked_three_times(plane: ControlPlane) -> Callable[[Metrics], bool]:
    """What a refusal led to has happened by then, and what it should not lead to as well."""
    return lambda metrics: len(plane.called("audit")) >= 3


def alarm(metrics: Metrics, reason: str) -> float:
    return metrics.audit_alarm.labels(reason)._value.get()


def test_everything_arrives_in_order_with_a_token(control_plane: ControlPlane, me: Identity, ledger: Ledger, tmp_path: Path) -> None:
    boot, _, _ = ship(control_plane, me, tmp_path / "spool", 1200)
    assert ledger.count(NEW) == 1200
    assert boot.waiting == 0
    assert len(control_plane.called("audit")) >= 3, "batches are bounded"
    assert all(call.headers["Authorization"].startswith("Bearer ") for call in control_plane.called("audit"))


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_batch_that_failed_is_sent_again(control_plane: ControlPlane, me: Identity, ledger: Ledger, tmp_path: Path, fault: str) -> None:
    ledger.faults = [fault] * 3
    boot, _, _ = ship(control_plane, me, tmp_path / "spool", 5)
    assert ledger.count(NEW) == 5
    assert boot.waiting == 0


def test_the_boot_of_a_dead_process_is_shipped_to_its_end_and_removed(
    control_plane: ControlPlane, me: Identity, ledger: Ledger, tmp_path: Path
) -> None:
    old = Boot.create(tmp_path / "spool", OLD)
    record(old, me, 7)
    old.close()  # killed
    ship(control_plane, me, tmp_path / "spool", 1)
    assert ledger.count(OLD) == 7
    assert not (tmp_path / "spool" / OLD).exists()


def test_a_control_plane_that_lost_acknowledged_entries_gets_them_again(
    control_plane: ControlPlane, me: Identity, ledger: Ledger, tmp_path: Path
) -> None:
    def forget(call: Call) -> Reply:
        control_plane.on("POST", "audit", ledger.ingest)
        first = len(call.json["entries"])
        return Reply(200, {"acknowledged": first - 2})  # says so, and stored nothing

    control_plane.on("POST", "audit", forget)
    boot, _, metrics = ship(control_plane, me, tmp_path / "spool", 6)
    assert ledger.count(NEW) == 6
    assert boot.waiting == 0
    assert alarm(metrics, "gap") == 0


def test_a_wrong_hash_stops_shipping_with_an_alarm_and_skips_nothing(
    control_plane: ControlPlane, me: Identity, tmp_path: Path
) -> None:
    control_plane.on("POST", "audit", Reply(409, {"error": "hash", "expected": 1, "detail": "x"}))
    with structlog.testing.capture_logs() as lines:
        boot, _, metrics = ship(control_plane, me, tmp_path / "spool", 4, asked_three_times(control_plane))
    assert boot.waiting == 4
    assert alarm(metrics, "hash") == 1
    assert any(line["event"] == "audit.stopped" and line["reason"] == "hash" for line in lines)
    sent = {json.loads(call.json["entries"][0]["entry"])["seq"] for call in control_plane.called("audit")}
    assert sent == {1}, "what was refused is what is offered again, never the one behind it"


def test_a_gap_that_the_spool_cannot_fill_is_an_alarm(control_plane: ControlPlane, me: Identity, tmp_path: Path) -> None:
    control_plane.on("POST", "audit", Reply(409, {"error": "gap", "expected": 9, "detail": ""}))
    boot, _, metrics = ship(control_plane, me, tmp_path / "spool", 4, asked_three_times(control_plane))
    assert (boot.waiting, alarm(metrics, "gap")) == (4, 1)


def test_an_acknowledgement_of_what_was_never_sent_deletes_nothing(control_plane: ControlPlane, me: Identity, tmp_path: Path) -> None:
    control_plane.on("POST", "audit", Reply(200, {"acknowledged": 99}))
    boot, _, metrics = ship(control_plane, me, tmp_path / "spool", 4, asked_three_times(control_plane))
    assert (boot.waiting, alarm(metrics, "acknowledgement")) == (4, 1)


def test_a_damaged_boot_keeps_its_files_and_an_alarm(control_plane: ControlPlane, me: Identity, ledger: Ledger, tmp_path: Path) -> None:
    old = Boot.create(tmp_path / "spool", OLD)
    record(old, me, 3)
    old.close()
    file = next((tmp_path / "spool" / OLD).glob("*.seg"))
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    _, _, metrics = ship(control_plane, me, tmp_path / "spool", 1, lambda metrics: alarm(metrics, "damaged") == 1)
    assert ledger.count(OLD) == 2, "what can be read is evidence and arrives"
    assert file.read_bytes() == content
    assert alarm(metrics, "damaged") == 1


def test_a_batch_that_is_too_large_is_sent_in_parts(control_plane: ControlPlane, me: Identity, ledger: Ledger, tmp_path: Path) -> None:
    control_plane.on("POST", "audit", lambda call: Reply(413) if len(call.json["entries"]) > 3 else ledger.ingest(call))
    boot, _, _ = ship(control_plane, me, tmp_path / "spool", 10)
    assert (boot.waiting, ledger.count(NEW)) == (0, 10)
