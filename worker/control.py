"""The HTTP client for the control plane: every call carries a fresh token of the worker's own key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import httpx
import msgspec

from worker import VERSION
from worker.identity import Identity
from worker.tls import client_context

PATIENCE = 10.0  # seconds for connecting, and for every read
T = TypeVar("T")


class ControlError(Exception):
    """The control plane could not be reached or answered nonsense; one line, no secret."""


class Revoked(ControlError):
    """HTTP 401: the control plane does not (or no longer) know this worker."""


class Control:
    """Calls below ``/api/v1/worker/``. One per process; close it with :meth:`close`."""

    def __init__(self, url: str, identity: Identity) -> None:
        self._identity = identity
        self._client = httpx.AsyncClient(
            base_url=f"{url}/api/v1/worker/",
            headers={"User-Agent": f"tidegate-worker/{VERSION}"},
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=10),
            verify=client_context(),
            trust_env=False,  # a proxy variable of the host must not see the worker's tokens
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None, seconds: float = PATIENCE) -> httpx.Response:
        return await self._call("GET", path, None, headers or {}, seconds)

    async def post(self, path: str, body: object) -> httpx.Response:
        """``body`` is JSON already where it is bytes, else it becomes JSON."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self._call("POST", path, content, {"Content-Type": "application/json"}, PATIENCE)

    async def _call(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], seconds: float) -> httpx.Response:
        sent = {**headers, "Authorization": f"Bearer {self._identity.token()}"}
        try:
            response = await self._client.request(method, path, content=content, headers=sent, timeout=seconds)
        except httpx.HTTPError as error:
            raise ControlError(f"the control plane cannot be reached: {type(error).__name__}") from error
        if response.status_code == 401:
            raise Revoked("the control plane does not accept this worker: it was revoked or never enrolled")
        return response


def decode(response: httpx.Response, kind: type[T]) -> T:
    """The JSON body as ``kind``. Raises: ControlError where it is something else."""
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.MsgspecError as error:
        raise ControlError(f"HTTP {response.status_code} with a body that is not what was agreed") from error
