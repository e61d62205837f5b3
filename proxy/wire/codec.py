"""The primitive types of the protocol (manual, 55.6): a cursor that reads them and functions that write them."""

from __future__ import annotations

import struct

_INT16 = struct.Struct("!h")
_UINT16 = struct.Struct("!H")
_INT32 = struct.Struct("!i")
_UINT32 = struct.Struct("!I")


class MalformedError(Exception):
    """A peer sent bytes that are not the message they claim to be; answered by 08P01 and, as far as it has any, PostgreSQL's words."""


class Reader:
    """Reads the body of one message from the left; anything missing or left over is malformed."""

    __slots__ = ("_body", "_position")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._position = 0

    def int16(self) -> int:
        return int(_INT16.unpack_from(self._body, self._advance(2))[0])

    def int32(self) -> int:
        return int(_INT32.unpack_from(self._body, self._advance(4))[0])

    def uint32(self) -> int:
        return int(_UINT32.unpack_from(self._body, self._advance(4))[0])

    def take(self, count: int) -> bytes:
        start = self._advance(count)
        return self._body[start : start + count]

    def cstring(self) -> bytes:
        start = self._position
        end = self._body.find(b"\0", start)
        if end < 0:
            raise MalformedError("invalid string in message")
        self._position = end + 1
        return self._body[start:end]

    def name(self) -> bytes:
        """The name of a prepared statement or portal, cut off where the server does it: what differs only behind that is one name."""
        return self.cstring()[:63]

    def text(self) -> str:
        """A string that must be UTF-8: names and parameters of the start-up phase."""
        try:
            return self.cstring().decode()
        except UnicodeDecodeError:
            raise MalformedError("string is not UTF-8") from None

    def rest(self) -> bytes:
        start, self._position = self._position, len(self._body)
        return self._body[start:]

    def count(self) -> int:
        """A number of elements that follow: an Int16 that the server reads as unsigned, so that there may be 65,535 parameters."""
        return int(_UINT16.unpack_from(self._body, self._advance(2))[0])

    def value(self) -> bytes | None:
        """A length-prefixed value; the length -1 stands for NULL."""
        length = self.int32()
        if length == -1:
            return None
        if length < 0:
            raise MalformedError("insufficient data left in message")
        return self.take(length)

    @property
    def left(self) -> int:
        return len(self._body) - self._position

    def end(self) -> None:
        if self._position != len(self._body):
            raise MalformedError("invalid message format")

    def _advance(self, count: int) -> int:
        start = self._position
        if count < 0 or start + count > len(self._body):
            raise MalformedError("insufficient data left in message")
        self._position = start + count
        return start


def int16(value: int) -> bytes:
    return _INT16.pack(value)


def count(number: int) -> bytes:
    return _UINT16.pack(number)


def int32(value: int) -> bytes:
    return _INT32.pack(value)


def uint32(value: int) -> bytes:
    return _UINT32.pack(value)


def cstring(value: str | bytes) -> bytes:
    """A zero-terminated string.

    Raises:
        ValueError: the string itself holds a zero byte.
    """
    raw = value.encode() if isinstance(value, str) else value
    if b"\0" in raw:
        raise ValueError("a protocol string cannot hold a zero byte")
    return raw + b"\0"


def value(data: bytes | None) -> bytes:
    return b"\xff\xff\xff\xff" if data is None else int32(len(data)) + data


def message(kind: bytes, body: bytes = b"") -> bytes:
    """``kind`` (one byte), the length that counts itself, the body."""
    return kind + _INT32.pack(len(body) + 4) + body
