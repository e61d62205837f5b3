"""Bind messages that may be as large as PostgreSQL's own bound: read while they pass by, never kept whole.

What is kept of a long value is its beginning, its length and its SHA-256: enough for the record, for an approver, and to
tell two values apart. How much that is depends on the message alone, not on the pieces in which it came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator

from proxy.wire.codec import MalformedError, Reader
from proxy.wire.frontend import Bind, Cut

LONG = 64 << 10  # bytes of a message, and of a value; a value in a message that is not long is always kept whole
_KEPT = 1 << 20  # bytes of values after which …
_LEAST = 256  # … only so much of each further one is kept
_NAMES = 4096  # bytes; a server knows names by their first 63

_Steps = Generator[None, None, None]


def decode(body: bytes) -> Bind:
    """A complete Bind of any size.

    Raises:
        MalformedError: it is none.
    """
    if len(body) <= LONG:
        return Bind.decode(body)
    reader = BindReader()
    reader.feed(body)
    return reader.end()


def names(beginning: bytes) -> tuple[bytes, bytes] | None:
    """Portal and statement of a Bind of which only the beginning is there; None as long as that is too little.

    Raises:
        MalformedError: they are longer than any name.
    """
    if beginning.count(b"\0", 0, _NAMES) < 2:
        if len(beginning) >= _NAMES:
            raise MalformedError("invalid string in message")
        return None
    reader = Reader(beginning)
    return reader.name(), reader.name()


class BindReader:
    """Takes the body of one Bind in pieces of any size."""

    def __init__(self) -> None:
        self._unread = b""
        self._position = 0
        self._portal = self._statement = b""
        self._formats: tuple[int, ...] = ()
        self._result_formats: tuple[int, ...] = ()
        self._values: list[bytes | Cut | None] = []
        self._kept = 0
        self._named = False
        self._finished = False
        self._problem: MalformedError | None = None
        self._steps = self._read()
        self.feed(b"")

    def feed(self, piece: bytes) -> None:
        """Read on. What is wrong with the message, if anything, ``end`` says."""
        if self._finished and piece:
            self._problem = MalformedError("invalid message format")
        if self._finished or self._problem is not None:
            return
        self._unread, self._position = self._unread[self._position :] + piece, 0
        try:
            next(self._steps)
        except StopIteration:
            self._finished = True
            if self._position < len(self._unread):
                self._problem = MalformedError("invalid message format")
        except MalformedError as error:
            self._problem = error

    def end(self) -> Bind:
        """The message, whose last piece was fed.

        Raises:
            MalformedError: it was none.
        """
        if self._problem is not None:
            raise self._problem
        if not self._finished:
            raise MalformedError(f"{'insufficient data left' if self._named else 'invalid string'} in message")
        formats, values = self._formats, tuple(self._values)
        if len(formats) not in (0, 1, len(values)):
            raise MalformedError(f"bind message has {len(formats)} parameter formats but {len(values)} parameters")
        return Bind(self._portal, self._statement, formats, values, self._result_formats)

    def _read(self) -> _Steps:
        """The whole message, step by step; between two steps ``feed`` brings more of it."""
        while (found := names(self._unread)) is None:
            yield
        (self._portal, self._statement), self._named = found, True
        self._position = self._unread.index(b"\0", self._unread.index(b"\0") + 1) + 1
        yield from self._until(2)
        count = self._count()
        yield from self._until(2 * count)
        self._formats = tuple([self._number(2) for _ in range(count)])
        yield from self._until(2)
        for _ in range(self._count()):
            yield from self._until(4)
            length = self._number(4)
            if length < -1:
                raise MalformedError("insufficient data left in message")
            if length == -1:
                self._values.append(None)
            else:
                yield from self._value(length)
        yield from self._until(2)
        count = self._count()
        yield from self._until(2 * count)
        self._result_formats = tuple([self._number(2) for _ in range(count)])

    def _value(self, length: int) -> _Steps:
        room = LONG if self._kept < _KEPT else _LEAST
        self._kept += min(length, room)
        if length <= room:
            yield from self._until(length)
            self._values.append(self._take(length))
            return
        digest, beginning, left = hashlib.sha256(), b"", length
        while left:
            if self._position == len(self._unread):
                yield
            piece = self._take(min(left, len(self._unread) - self._position))
            digest.update(piece)
            beginning += piece[: room - len(beginning)]
            left -= len(piece)
        self._values.append(Cut(beginning, length, digest.hexdigest()))

    def _until(self, count: int) -> _Steps:
        while len(self._unread) - self._position < count:
            yield

    def _take(self, count: int) -> bytes:
        start = self._position
        self._position += count
        return self._unread[start : self._position]

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big", signed=True)

    def _count(self) -> int:
        return int.from_bytes(self._take(2), "big")
