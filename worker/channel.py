"""The line between the parent and one worker process: a socket pair, one JSON object a line.

It is also the lifeline: when the parent dies, however it dies, the kernel closes its end, and the process drains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

_LONGEST_LINE = 16 << 20  # all subjects that have a session are in one


class Status(msgspec.Struct, tag=True):
    """From a process: how it is, at least once a second."""

    ready: bool
    sessions: dict[str, int]  # open sessions, as `Environment.sessions` counts them


class Cancel(msgspec.Struct, tag=True):
    """A cancel key that is not this process's; the parent passes it to all others."""

    process_id: int
    secret: bytes


class Cancelled(msgspec.Struct, tag=True):
    """The answer to ``Cancel``, passed on as that was: the session was here, and its target has taken the cancel."""

    process_id: int
    secret: bytes


class Others(msgspec.Struct, tag=True):
    """To a process: the sessions of all others together."""

    sessions: dict[str, int]


Message = Status | Cancel | Cancelled | Others


class Channel(asyncio.Protocol):
    """One end. ``received`` gets every message, ``lost`` is called when the other end is gone."""

    def __init__(self, received: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._received, self._lost = received, lost
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._decoder = msgspec.json.Decoder(Message)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's transports have the methods, not the base class

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > _LONGEST_LINE:
            self._buffer = b""
        for line in lines:
            self._received(self._decoder.decode(line))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost()

    def send(self, message: Message) -> None:
        if self._transport is not None:
            self._transport.write(msgspec.json.encode(message) + b"\n")
