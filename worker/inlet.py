"""One side of a conversation, as far as it is read from: while there is no reason against it."""

from __future__ import annotations

import asyncio

_LARGE = 64 << 10  # bytes of one read, after which others come first


class Inlet:
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reasons: set[str] = set()

    def open(self, transport: asyncio.Transport) -> None:
        """What is read from now on; reasons that hold already hold for it too."""
        self._transport = transport
        if self._reasons:
            transport.pause_reading()

    def close(self) -> None:
        self._transport = None

    def hold(self, reason: str) -> None:
        if not self._reasons and self._transport is not None:
            self._transport.pause_reading()
        self._reasons.add(reason)

    def release(self, reason: str) -> None:
        if reason in self._reasons:
            self._reasons.remove(reason)
            if not self._reasons and self._transport is not None:
                self._transport.resume_reading()

    def took(self, data: bytes) -> None:
        """A full buffer came: libuv would go on reading from this socket, megabytes long, before any other gets its turn."""
        if len(data) >= _LARGE:
            self.hold("turn")
            asyncio.get_running_loop().call_soon(self.release, "turn")
