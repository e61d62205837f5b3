"""The messages that a client sends (manual, 55.7), one small class each.

``decode`` takes the body without type byte and length and raises :class:`proxy.wire.codec.MalformedError`; ``encode``
gives the whole message. ``NAMES`` is the table of this direction: what is not in it ends the session.
Messages whose body nobody reads (Sync, Flush, CopyData, CopyDone, Terminate) have constants instead of classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.wire.codec import MalformedError, Reader, count, cstring, int16, int32, message, uint32, value

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = 3 << 16 | 2  # PostgreSQL 18: cancel keys of any length up to 256 bytes
CANCEL_REQUEST = (1234 << 16) | 5678
SSL_REQUEST = (1234 << 16) | 5679
GSSENC_REQUEST = (1234 << 16) | 5680

BIND, CLOSE, COPY_DATA, COPY_DONE, COPY_FAIL = b"BCdcf"
DESCRIBE, EXECUTE, FLUSH, FUNCTION_CALL, PARSE = b"DEHFP"
PASSWORD, QUERY, SYNC, TERMINATE = b"pQSX"

NAMES: Mapping[int, str] = {
    BIND: "Bind", CLOSE: "Close", COPY_DATA: "CopyData", COPY_DONE: "CopyDone", COPY_FAIL: "CopyFail", DESCRIBE: "Describe",
    EXECUTE: "Execute", FLUSH: "Flush", FUNCTION_CALL: "FunctionCall", PARSE: "Parse", PASSWORD: "PasswordMessage",
    QUERY: "Query", SYNC: "Sync", TERMINATE: "Terminate",
}  # fmt: skip

FLUSH_MESSAGE = b"H\0\0\0\x04"
SYNC_MESSAGE = b"S\0\0\0\x04"
TERMINATE_MESSAGE = b"X\0\0\0\x04"


@dataclass(frozen=True, slots=True)
class SSLRequest:
    pass


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    pass


@dataclass(frozen=True, slots=True)
class CancelRequest:
    process_id: int
    secret: bytes  # 4 bytes in protocol 3.0, up to 256 in 3.2

    def encode(self) -> bytes:
        body = uint32(CANCEL_REQUEST) + int32(self.process_id) + self.secret
        return int32(len(body) + 4) + body


@dataclass(frozen=True, slots=True)
class StartupMessage:
    """``version`` is major << 16 | minor."""

    version: int
    parameters: Mapping[str, str]

    def encode(self) -> bytes:
        body = uint32(self.version)
        for name, setting in self.parameters.items():
            body += cstring(name) + cstring(setting)
        body += b"\0"
        return int32(len(body) + 4) + body


def decode_startup(packet: bytes) -> SSLRequest | GSSENCRequest | CancelRequest | StartupMessage:
    """One of the four packets that may open a connection; ``packet`` includes its length."""
    reader = Reader(packet[4:])
    code = reader.uint32()
    if code in (SSL_REQUEST, GSSENC_REQUEST):
        reader.end()
        return SSLRequest() if code == SSL_REQUEST else GSSENCRequest()
    if code == CANCEL_REQUEST:
        process_id, secret = reader.int32(), reader.rest()
        if not 4 <= len(secret) <= 256:
            raise MalformedError("cancel key has an impossible length")
        return CancelRequest(process_id, secret)
    return StartupMessage(code, _startup_parameters(reader) if code >> 16 == 3 else {})


def _startup_parameters(reader: Reader) -> dict[str, str]:
    parameters: dict[str, str] = {}
    while name := reader.text():
        if name in parameters:
            raise MalformedError(f'parameter "{name}" is given twice')
        parameters[name] = reader.text()
    reader.end()
    return parameters


@dataclass(frozen=True, slots=True)
class PasswordMessage:
    password: bytes

    @classmethod
    def decode(cls, body: bytes) -> PasswordMessage:
        reader = Reader(body)
        password = reader.cstring()
        reader.end()
        return cls(password)

    def encode(self) -> bytes:
        return message(b"p", cstring(self.password))

    def __repr__(self) -> str:
        return "PasswordMessage(password=<hidden>)"


@dataclass(frozen=True, slots=True)
class SASLInitialResponse:
    mechanism: str
    data: bytes | None

    @classmethod
    def decode(cls, body: bytes) -> SASLInitialResponse:
        reader = Reader(body)
        mechanism, data = reader.text(), reader.value()
        reader.end()
        return cls(mechanism, data)

    def encode(self) -> bytes:
        return message(b"p", cstring(self.mechanism) + value(self.data))


@dataclass(frozen=True, slots=True)
class SASLResponse:
    data: bytes

    @classmethod
    def decode(cls, body: bytes) -> SASLResponse:
        return cls(body)

    def encode(self) -> bytes:
        return message(b"p", self.data)


@dataclass(frozen=True, slots=True)
class Query:
    sql: bytes

    @classmethod
    def decode(cls, body: bytes) -> Query:
        reader = Reader(body)
        sql = reader.cstring()
        reader.end()
        return cls(sql)

    def encode(self) -> bytes:
        return message(b"Q", cstring(self.sql))


@dataclass(frozen=True, slots=True)
class Parse:
    name: bytes
    sql: bytes
    parameter_types: tuple[int, ...] = ()  # type oids; 0: the server infers

    @classmethod
    def decode(cls, body: bytes) -> Parse:
        reader = Reader(body)
        name, sql = reader.name(), reader.cstring()
        types = tuple([reader.uint32() for _ in range(reader.count())])
        reader.end()
        return cls(name, sql, types)

    def encode(self) -> bytes:
        types = b"".join(map(uint32, self.parameter_types))
        return message(b"P", cstring(self.name) + cstring(self.sql) + count(len(self.parameter_types)) + types)


@dataclass(frozen=True, slots=True)
class Cut:
    """A parameter of which only the beginning was kept."""

    beginning: bytes
    length: int  # bytes of the whole
    sha256: str  # of the whole, in hexadecimal


@dataclass(frozen=True, slots=True)
class Bind:
    """Longer ones than ``proxy.wire.long_bind.LONG`` are read there."""

    portal: bytes
    statement: bytes
    formats: tuple[int, ...] = ()  # of the parameters: none (all text), one for all, or one each; 0 text, 1 binary
    values: tuple[bytes | Cut | None, ...] = ()
    result_formats: tuple[int, ...] = ()

    @classmethod
    def decode(cls, body: bytes) -> Bind:
        reader = Reader(body)
        portal, statement = reader.name(), reader.name()
        formats = _formats(reader)
        values = tuple([reader.value() for _ in range(reader.count())])
        results = _formats(reader)
        reader.end()
        if len(formats) not in (0, 1, len(values)):
            raise MalformedError(f"bind message has {len(formats)} parameter formats but {len(values)} parameters")
        return cls(portal, statement, formats, values, results)

    def encode(self) -> bytes:
        parts = [cstring(self.portal), cstring(self.statement), count(len(self.formats)), *map(int16, self.formats)]
        whole = [given for given in self.values if not isinstance(given, Cut)]
        if len(whole) < len(self.values):
            raise ValueError("values of which only the beginning was kept cannot be sent")
        parts += [count(len(whole)), *map(value, whole)]
        parts += [count(len(self.result_formats)), *map(int16, self.result_formats)]
        return message(b"B", b"".join(parts))

    def format_of(self, number: int) -> int:
        """Format of parameter ``number`` (from 0)."""
        return format_at(self.formats, number)


def _formats(reader: Reader) -> tuple[int, ...]:
    return tuple([reader.int16() for _ in range(reader.count())])


def format_at(formats: tuple[int, ...], number: int) -> int:
    """The format code of element ``number``: no codes mean text for all, one code holds for all."""
    if not formats:
        return 0
    if len(formats) == 1:
        return formats[0]
    return formats[number] if number < len(formats) else 0


@dataclass(frozen=True, slots=True)
class Describe:
    kind: bytes  # b"S" prepared statement, b"P" portal
    name: bytes

    @classmethod
    def decode(cls, body: bytes) -> Describe:
        return cls(*_target(body, "DESCRIBE"))

    def encode(self) -> bytes:
        return message(b"D", self.kind + cstring(self.name))


@dataclass(frozen=True, slots=True)
class Close:
    kind: bytes  # b"S" prepared statement, b"P" portal
    name: bytes

    @classmethod
    def decode(cls, body: bytes) -> Close:
        return cls(*_target(body, "CLOSE"))

    def encode(self) -> bytes:
        return message(b"C", self.kind + cstring(self.name))


def _target(body: bytes, name_of_message: str) -> tuple[bytes, bytes]:
    reader = Reader(body)
    kind, name = reader.take(1), reader.name()
    reader.end()
    if kind not in (b"S", b"P"):
        raise MalformedError(f"invalid {name_of_message} message subtype {kind[0]}")
    return kind, name


@dataclass(frozen=True, slots=True)
class FunctionCall:
    function: int  # oid; the arguments are left unread

    @classmethod
    def decode(cls, body: bytes) -> FunctionCall:
        return cls(Reader(body).int32() & 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Execute:
    portal: bytes
    limit: int = 0  # rows; 0: all

    @classmethod
    def decode(cls, body: bytes) -> Execute:
        reader = Reader(body)
        portal, limit = reader.name(), reader.int32()
        reader.end()
        return cls(portal, limit)

    def encode(self) -> bytes:
        return message(b"E", cstring(self.portal) + int32(self.limit))
