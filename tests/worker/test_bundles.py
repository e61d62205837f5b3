"""Which bundles a worker takes, what it keeps on disk, and what a revocation leaves."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.policy.bundle import Bundle
from tests.worker.control_plane import ControlPlane, Reply, until
from worker import bundles as module
from worker.bundles import Bundles
from worker.control import Control
from worker.identity import Identity
from worker.metrics import Metrics

SECRET = "the-upstream-password"
SECRETS = {"connections": {"crm": {"password": SECRET, "hash_key": base64.b64encode(bytes(32)).decode()}}}


def payload(serial: int, **changes: Any) -> dict[str, Any]:
    crm = {
        "name": "crm", "host": "127.0.0.1", "port": 5432, "dbname": "crm", "databases": [], "user": "agent", "credential_version": 1,
        "tls": {"mode": "disable", "ca": None}, "default": "deny", "unanalyzable": "deny", "opaque_functions": "deny",
        "trusted_functions": [], "derived_use": "scan", "row_evidence": "count", "max_rows": None, "statement_timeout_ms": None,
        "max_sessions": None,
    }  # fmt: skip
    return {
        "format": "tidegate-bundle/1", "serial": serial, "max_staleness": 3600, "groups": [], "issuers": [], "subjects": [],
        "connections": [crm], "grants": [], "masking": [], "rules": [], "workflows": [], **changes,
    }  # fmt: skip


@pytest.fixture
def me(control_plane: ControlPlane, tmp_path: Path) -> Identity:
    return control_plane.enrol(tmp_path)


class Seen:
    def __init__(self) -> None:
        self.bundle: Bundle | None = None
        self.confirmed_at = 0.0
        self.calls = 0

    def changed(self, bundle: Bundle | None, confirmed_at: float) -> None:
        self.bundle, self.confirmed_at = bundle, confirmed_at
        self.calls += 1


def following(
    plane: ControlPlane, me: Identity, directory: Path, work: Callable[[Bundles, Seen], Coroutine[None, None, None]]
) -> Seen:
    async def run() -> Seen:
        seen, control = Seen(), Control(plane.url, me)
        found = Bundles(control, me, directory, Metrics(), seen.changed)
        found.load_cached()
        task = asyncio.create_task(found.follow_forever())
        async with asyncio.timeout(10):
            await work(found, seen)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await control.close()
        return seen

    return asyncio.run(run())


def test_a_signed_bundle_is_taken_with_its_secrets_and_a_newer_one_follows(
    control_plane: ControlPlane, me: Identity, tmp_path: Path
) -> None:
    control_plane.publish(payload(1), SECRETS)

    async def work(found: Bundles, seen: Seen) -> None:
        await until(lambda: seen.bundle)
        assert seen.bundle is not None
        assert seen.bundle.password("crm") == SECRET
        assert found.fresh(time.time())
        control_plane.publish(payload(2), SECRETS)
        await until(lambda: seen.bundle and seen.bundle.serial == 2)

    following(control_plane, me, tmp_path, work)
    assert any("wait=25" in call.query for call in control_plane.called("bundle"))


def test_the_cache_holds_no_secret_in_clear_and_serves_a_restart_without_the_control_plane(
    control_plane: ControlPlane, me: Identity, tmp_path: Path
) -> None:
    control_plane.publish(payload(1), SECRETS)

    async def fetch(found: Bundles, seen: Seen) -> None:
        await until(lambda: seen.bundle)

    following(control_plane, me, tmp_path, fetch)
    cache = tmp_path / "bundle.json"
    assert SECRET not in cache.read_text()
    fetched_at = json.loads(cache.read_text())["fetched_at"]
    control_plane.on("GET", "bundle", Reply(503))

    async def start(found: Bundles, seen: Seen) -> None:
        assert seen.bundle is not None
        assert seen.bundle.password("crm") == SECRET
        assert seen.confirmed_at == fetched_at
        assert found.fresh(fetched_at + 3600)
        assert not found.fresh(fetched_at + 3601), "no answer is no confirmation"

    following(control_plane, me, tmp_path, start)


def test_an_unchanged_bundle_is_confirmed(control_plane: ControlPlane, me: Identity, tmp_path: Path) -> None:
    control_plane.publish(payload(1), SECRETS)

    async def work(found: Bundles, seen: Seen) -> None:
        await until(lambda: seen.bundle)
        first = seen.confirmed_at
        await until(lambda: seen.confirmed_at > first)
        assert seen.bundle is not None

    following(control_plane, me, tmp_path, work)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda body: {**body, "payload": body["payload"].replace('"deny"', '"allow"', 1)}, "signature"),
        (lambda body: {**body, "key_id": "other"}, "unknown key"),
        (lambda body: {**body, "digest": "0" * 64}, "digest"),
        (lambda body: {**body, "secrets": base64.b64encode(bytes(64)).decode()}, "does not open"),
        (lambda body: {**body, "signature": base64.b64encode(Ed25519PrivateKey.generate().sign(b"x")).decode()}, "signature"),
        (lambda body: {"payload": "{}"}, "not what was agreed"),
    ],
)
def test_a_bundle_that_does_not_verify_is_refused(
    control_plane: ControlPlane, me: Identity, tmp_path: Path, spoil: Callable[[dict[str, str]], object], why: str
) -> None:
    control_plane.publish(payload(1), SECRETS)
    honest = control_plane.answers["GET", "bundle"]
    control_plane.on("GET", "bundle", lambda call: Reply(200, spoil(honest(call).body)))  # type: ignore[arg-type]

    async def work(found: Bundles, seen: Seen) -> None:
        await until(lambda: len(control_plane.called("bundle")) >= 2)

    with structlog.testing.capture_logs() as lines:
        assert following(control_plane, me, tmp_path, work).bundle is None
    reasons = [line["reason"] for line in lines if line["event"] == "bundle.not_fetched"]
    assert reasons
    assert why in reasons[0]


def test_a_serial_never_goes_back_not_even_over_a_restart(control_plane: ControlPlane, me: Identity, tmp_path: Path) -> None:
    control_plane.publish(payload(5), SECRETS)

    async def first(found: Bundles, seen: Seen) -> None:
        await until(lambda: seen.bundle)
        control_plane.publish(payload(4), SECRETS)
        calls = len(control_plane.called("bundle"))
        await until(lambda: len(control_plane.called("bundle")) >= calls + 2)

    seen = following(control_plane, me, tmp_path, first)
    assert seen.bundle is not None
    assert seen.bundle.serial == 5

    async def again(found: Bundles, seen: Seen) -> None:
        calls = len(control_plane.called("bundle"))
        await until(lambda: len(control_plane.called("bundle")) >= calls + 2)

    seen = following(control_plane, me, tmp_path, again)
    assert seen.bundle is not None
    assert seen.bundle.serial == 5


def test_a_revoked_worker_forgets_its_bundle_also_on_disk(
    control_plane: ControlPlane, me: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REVOKED_SECONDS", 0.05)
    control_plane.publish(payload(1), SECRETS)

    async def work(found: Bundles, seen: Seen) -> None:
        await until(lambda: seen.bundle)
        control_plane.on("GET", "bundle", Reply(401))
        await until(lambda: seen.bundle is None)
        assert found.revoked
        assert not found.fresh(time.time())
        assert not (tmp_path / "bundle.json").exists()
        control_plane.publish(payload(2), SECRETS)  # taken in again
        await until(lambda: seen.bundle)

    following(control_plane, me, tmp_path, work)


def test_a_damaged_cache_is_no_bundle(control_plane: ControlPlane, me: Identity, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text('{"response"')
    control_plane.on("GET", "bundle", Reply(503))

    async def work(found: Bundles, seen: Seen) -> None:
        await until(lambda: control_plane.called("bundle"))

    assert following(control_plane, me, tmp_path, work).bundle is None
