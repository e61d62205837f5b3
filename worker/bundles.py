"""Keeps this process's bundle: fetched by long poll, verified, unsealed, cached on disk as it came.

A bundle is taken only if its signature is by a key learnt at enrolment and its serial does not go back. The time of the
control plane's last word about it (``200`` or ``304``) is kept beside it, on disk too, so that a worker that restarts
while the control plane is away goes on for ``max_staleness`` seconds and no longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec

from proxy.policy.bundle import Bundle
from proxy.policy.sealing import unseal
from proxy.policy.signature import verify_bundle
from worker.control import Control, ControlError, Revoked, decode
from worker.identity import Identity, write_private
from worker.log import logger
from worker.metrics import Metrics

WAIT_SECONDS = 25  # the longest that the contract allows
_CONFIRM_ON_DISK_SECONDS = 30
_RETRY_SECONDS = (0.5, 1, 2, 5, 10)
_REVOKED_SECONDS = 15


class BundleRefused(Exception):
    """A bundle that must not be used; one line that says why."""


class Response(msgspec.Struct, frozen=True):
    """What the control plane answers (docs/contracts.md §1)."""

    payload: str
    digest: str
    key_id: str
    signature: str
    secrets: str


class Cached(msgspec.Struct, frozen=True):
    """``bundle.json``: the response, still sealed, and when it was confirmed last."""

    response: Response
    fetched_at: float


class Bundles:
    """The bundle in force in this process.

    ``changed(bundle, confirmed_at)`` is called for a new bundle and for every confirmation; with None when the worker
    was revoked. It must not block.
    """

    def __init__(
        self, control: Control, identity: Identity, directory: Path, metrics: Metrics, changed: Callable[[Bundle | None, float], None]
    ) -> None:
        self._control, self._identity, self._metrics, self._changed = control, identity, metrics, changed
        self._path = directory / "bundle.json"
        self._response: Response | None = None
        self._bundle: Bundle | None = None
        self._serial, self._digest = 0, ""  # kept when the bundle is dropped: what was seen stays seen
        self._confirmed_at = 0.0
        self._saved_at = 0.0
        self.revoked = False

    @property
    def digest(self) -> str:
        return self._response.digest if self._response and self._bundle else ""

    def fresh(self, now: float) -> bool:
        return self._bundle is not None and now - self._confirmed_at <= self._bundle.max_staleness

    def load_cached(self) -> None:
        """Start with what an earlier process was given; no cache or a bad one leaves the process without a bundle."""
        try:
            cached = msgspec.json.decode(self._path.read_bytes(), type=Cached)
            self._take(cached.response, self._open(cached.response), cached.fetched_at)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, BundleRefused) as error:
            logger().warning("bundle.cache_unusable", reason=str(error))

    async def follow_forever(self) -> None:
        failures = 0
        while True:
            try:
                await self._fetch()
                failures = 0
                continue
            except Revoked as error:
                self._revoke(str(error))
                pause: float = _REVOKED_SECONDS
            except (ControlError, BundleRefused, OSError) as error:
                pause = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
                failures += 1
                logger().warning("bundle.not_fetched", reason=str(error), retry_seconds=pause)
            await asyncio.sleep(pause)

    def publish(self) -> None:
        if self._bundle is not None:
            self._metrics.bundle_serial.set(self._serial)
            self._metrics.bundle_age.set(max(0.0, time.time() - self._confirmed_at))

    async def _fetch(self) -> None:
        known = self.digest
        # Without a bundle the answer must come at once; with one the control plane may wait for a change.
        headers = {"If-None-Match": f'"{known}"'} if known else {}
        wait = WAIT_SECONDS if known else 0
        asked = time.monotonic()
        response = await self._control.get(f"bundle?wait={wait}", headers=headers, seconds=wait + 10)
        await self._answered(response, time.time())
        if time.monotonic() - asked < 0.2:
            await asyncio.sleep(0.2)  # a server that does not wait must not be hammered

    async def _answered(self, response: httpx.Response, answered_at: float) -> None:
        if response.status_code == 304 and self._response is not None:
            self._confirm(self._response, answered_at)
        elif response.status_code == 200:
            answer = decode(response, Response)
            # Loading compiles patterns and indexes: off the loop, sessions must not feel it.
            self._take(answer, await asyncio.to_thread(self._open, answer), answered_at)
        else:
            raise ControlError(f"HTTP {response.status_code} when asked for the bundle")
        self.revoked = False

    def _open(self, response: Response) -> Bundle:
        """Check signature, digest and serial, unseal, load. Raises: BundleRefused."""
        try:
            payload = verify_bundle(msgspec.structs.asdict(response), self._identity.bundle_keys, self._serial)
            secrets = msgspec.json.decode(unseal(response.secrets, self._identity.sealing_key))
            return Bundle.load(payload, secrets)
        except ValueError as error:  # BundleError, SealingError and JSON's own say what is wrong without a secret
            raise BundleRefused(str(error)) from None

    def _take(self, response: Response, bundle: Bundle, confirmed_at: float) -> None:
        if bundle.serial == self._serial and bundle.digest != self._digest:
            raise BundleRefused(f"two different bundles have the serial {bundle.serial}")
        logger().info("bundle.taken", serial=bundle.serial, digest=response.digest[:12])
        self._bundle, self._serial, self._digest = bundle, bundle.serial, bundle.digest
        self._confirm(response, confirmed_at)

    def _confirm(self, response: Response, confirmed_at: float) -> None:
        self._confirmed_at = confirmed_at
        due = response is not self._response or confirmed_at - self._saved_at > _CONFIRM_ON_DISK_SECONDS
        self._response = response
        self._changed(self._bundle, confirmed_at)
        if due:
            self._save(Cached(response, confirmed_at))

    def _save(self, cached: Cached) -> None:
        try:
            write_private(self._path, msgspec.json.encode(cached))
            self._saved_at = cached.fetched_at
        except OSError as error:
            # Costs only the restart without a control plane; the bundle in force is as good as before.
            logger().error("bundle.not_cached", reason=error.strerror)

    def _revoke(self, reason: str) -> None:
        """Shut out: forget the bundle, also on disk, so that a restart does not bring it back."""
        if not self.revoked:
            logger().error("worker.revoked", reason=reason)
        self.revoked = True
        self._bundle = self._response = None
        self._path.unlink(missing_ok=True)
        self._changed(None, time.time())
