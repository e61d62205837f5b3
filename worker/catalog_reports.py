"""Tells the control plane what the targets contain, so that its pages can say what a statement would mean (docs/contracts.md §2).

By digest first: of several processes and hosts that read the same, one sends the content. Nothing here decides anything,
so what cannot be told is told after a later reading.
"""

from __future__ import annotations

import asyncio
import base64
import time
import zlib

import msgspec

from worker.analysis_messages import Rows
from worker.background import Background
from worker.control import Control, ControlError, decode
from worker.log import logger

AGAIN_SECONDS = 600.0  # so often it is said that a database is still the same
LARGEST = 16 << 20  # bytes, compressed

Place = tuple[str, str]


class _Answer(msgspec.Struct):
    wanted: bool


class CatalogReports:
    def __init__(self, control: Control, background: Background) -> None:
        self._control, self._background = control, background
        self._told: dict[Place, tuple[str, float]] = {}  # digest, and when (monotonic seconds)

    def tell(self, place: Place, digest: str, rows: Rows) -> None:
        """Returns at once."""
        known, when = self._told.get(place, ("", 0.0))
        if known == digest and time.monotonic() - when < AGAIN_SECONDS:
            return
        self._told[place] = digest, time.monotonic()
        self._background.start(self._report(place, digest, rows), "catalog_report")

    async def _report(self, place: Place, digest: str, rows: Rows) -> None:
        body = {"connection": place[0], "database": place[1], "digest": digest}
        try:
            if not await self._post(body):
                return
            content = await asyncio.to_thread(_compressed, rows)
            if len(content) > LARGEST:
                logger().warning("catalog.too_large_to_tell", connection=place[0], database=place[1], bytes=len(content))
                return
            await self._post({**body, "content": base64.b64encode(content).decode()})
        except ControlError as error:
            self._told.pop(place, None)
            logger().warning("catalog.not_told", connection=place[0], database=place[1], reason=str(error))

    async def _post(self, body: dict[str, str]) -> bool:
        """Whether the content is wanted. Raises: ControlError."""
        answer = await self._control.post("catalog", body)
        if answer.status_code != 200:
            raise ControlError(f"the control plane answered HTTP {answer.status_code}")
        return decode(answer, _Answer).wanted


def _compressed(rows: Rows) -> bytes:
    return zlib.compress(msgspec.json.encode(rows), 6)
