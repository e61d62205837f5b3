"""The messages that a server sends (manual, 55.7), one small class each; ``NAMES`` is the table of this direction.

``D E S C H`` mean something else in :mod:`proxy.wire.frontend`: that is why there are two tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.errors import Refusal
from proxy.wire.codec import MalformedError, Reader, count, cstring, int16, int32, message, uint32, value

AUTHENTICATION, BACKEND_KEY_DATA, BIND_COMPLETE, CLOSE_COMPLETE, COMMAND_COMPLETE = b"RK23C"
COPY_BOTH_RESPONSE, COPY_DATA, COPY_DONE, COPY_IN_RESPONSE, COPY_OUT_RESPONSE = b"WdcGH"
DATA_ROW, EMPTY_QUERY_RESPONSE, ERROR_RESPONSE, FUNCTION_CALL_RESPONSE, NEGOTIATE_PROTOCOL_VERSION = b"DIEVv"
NO_DATA, NOTICE_RESPONSE, NOTIFICATION_RESPONSE, PARAMETER_DESCRIPTION, PARAMETER_STATUS = b"nNAtS"
PARSE_COMPLETE, PORTAL_SUSPENDED, READY_FOR_QUERY, ROW_DESCRIPTION = b"1sZT"

NAMES: Mapping[int, str] = {
    AUTHENTICATION: "Authentication", BACKEND_KEY_DATA: "BackendKeyData", BIND_COMPLETE: "BindComplete",
    CLOSE_COMPLETE: "CloseComplete", COMMAND_COMPLETE: "CommandComplete", COPY_BOTH_RESPONSE: "CopyBothResponse",
    COPY_DATA: "CopyData", COPY_DONE: "CopyDone", COPY_IN_RESPONSE: "CopyInResponse", COPY_OUT_RESPONSE: "CopyOutResponse",
    DATA_ROW: "DataRow", EMPTY_QUERY_RESPONSE: "EmptyQueryResponse", ERROR_RESPONSE: "ErrorResponse",
    FUNCTION_CALL_RESPONSE: "FunctionCallResponse", NEGOTIATE_PROTOCOL_VERSION: "NegotiateProtocolVersion", NO_DATA: "NoData",
    NOTICE_RESPONSE: "NoticeResponse", NOTIFICATION_RESPONSE: "NotificationResponse",
    PARAMETER_DESCRIPTION: "ParameterDescription", PARAMETER_STATUS: "ParameterStatus", PARSE_COMPLETE: "ParseComplete",
    PORTAL_SUSPENDED: "PortalSuspended", READY_FOR_QUERY: "ReadyForQuery", ROW_DESCRIPTION: "RowDescription",
}  # fmt: skip

AUTH_OK, AUTH_CLEARTEXT, AUTH_MD5, AUTH_SASL, AUTH_SASL_CONTINUE, AUTH_SASL_FINAL = 0, 3, 5, 10, 11, 12


@dataclass(frozen=True, slots=True)
class Authentication:
    """``code`` is one of the ``AUTH_`` constants (or another method, which we do not speak); ``data`` follows it."""

    code: int
    data: bytes = b""

    @classmethod
    def decode(cls, body: bytes) -> Authentication:
        reader = Reader(body)
        return cls(reader.int32(), reader.rest())

    def encode(self) -> bytes:
        return message(b"R", int32(self.code) + self.data)

    def mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms that a server offers with ``AUTH_SASL``."""
        reader = Reader(self.data)
        names = []
        while name := reader.text():
            names.append(name)
        return tuple(names)


def sasl_request(*mechanisms: str) -> Authentication:
    return Authentication(AUTH_SASL, b"".join(map(cstring, mechanisms)) + b"\0")


@dataclass(frozen=True, slots=True)
class ParameterStatus:
    name: str
    value: str

    @classmethod
    def decode(cls, body: bytes) -> ParameterStatus:
        reader = Reader(body)
        name = reader.text()
        # The value follows client_encoding; what we look at (encodings, on/off, names) is compared as it is.
        setting = reader.cstring().decode("utf-8", "surrogateescape")
        reader.end()
        return cls(name, setting)

    def encode(self) -> bytes:
        return message(b"S", cstring(self.name) + cstring(self.value.encode("utf-8", "surrogateescape")))


@dataclass(frozen=True, slots=True)
class BackendKeyData:
    process_id: int
    secret: bytes  # 4 bytes in protocol 3.0, up to 256 in 3.2

    @classmethod
    def decode(cls, body: bytes) -> BackendKeyData:
        reader = Reader(body)
        key = cls(reader.int32(), reader.rest())
        if not 4 <= len(key.secret) <= 256:
            raise MalformedError("cancel key has an impossible length")
        return key

    def encode(self) -> bytes:
        return message(b"K", int32(self.process_id) + self.secret)


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion:
    """``version`` is major << 16 | minor: so PostgreSQL sends it and libpq reads it, whatever the manual says of the field."""

    version: int
    options: tuple[str, ...] = ()  # those that are not known

    @classmethod
    def decode(cls, body: bytes) -> NegotiateProtocolVersion:
        reader = Reader(body)
        version, count = reader.int32(), reader.int32()
        if not 0 <= count <= len(body):
            raise MalformedError("impossible number of options")
        negotiated = cls(version, tuple([reader.text() for _ in range(count)]))
        reader.end()
        return negotiated

    def encode(self) -> bytes:
        return message(b"v", int32(self.version) + int32(len(self.options)) + b"".join(map(cstring, self.options)))


@dataclass(frozen=True, slots=True)
class ReadyForQuery:
    status: bytes  # b"I" idle, b"T" in a transaction block, b"E" in a failed one

    @classmethod
    def decode(cls, body: bytes) -> ReadyForQuery:
        if body not in (b"I", b"T", b"E"):
            raise MalformedError("unknown transaction status")
        return cls(body)

    def encode(self) -> bytes:
        return message(b"Z", self.status)


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One column of a RowDescription; table oid and attribute number are 0 where it is no column of a table."""

    name: bytes
    table: int
    attribute: int
    type_oid: int
    type_size: int
    type_modifier: int
    format: int


@dataclass(frozen=True, slots=True)
class RowDescription:
    columns: tuple[ResultColumn, ...]

    @classmethod
    def decode(cls, body: bytes) -> RowDescription:
        reader = Reader(body)
        columns = []
        for _ in range(reader.count()):
            name, table, attribute = reader.cstring(), reader.uint32(), reader.int16()
            type_oid, size, modifier, code = reader.uint32(), reader.int16(), reader.int32(), reader.int16()
            columns.append(ResultColumn(name, table, attribute, type_oid, size, modifier, code))
        reader.end()
        return cls(tuple(columns))

    def encode(self) -> bytes:
        parts = [count(len(self.columns))]
        for c in self.columns:
            parts += [cstring(c.name), uint32(c.table), int16(c.attribute), uint32(c.type_oid), int16(c.type_size)]
            parts += [int32(c.type_modifier), int16(c.format)]
        return message(b"T", b"".join(parts))


@dataclass(frozen=True, slots=True)
class CopyOutResponse:
    """The server begins to send a COPY's data; ``format`` 0 is that of lines (text and CSV), 1 binary."""

    format: int
    columns: int

    @classmethod
    def decode(cls, body: bytes) -> CopyOutResponse:
        reader = Reader(body)
        response = cls(reader.take(1)[0], reader.count())
        for _ in range(response.columns):
            reader.int16()
        reader.end()
        return response

    def encode(self) -> bytes:
        return message(b"H", bytes([self.format]) + count(self.columns) + count(self.format) * self.columns)


@dataclass(frozen=True, slots=True)
class ParameterDescription:
    """A statement may have more parameters than Bind can bring: the server describes all, and its count of them starts again at 65,536."""

    types: tuple[int, ...]

    @classmethod
    def decode(cls, body: bytes) -> ParameterDescription:
        reader = Reader(body)
        told, number = reader.count(), reader.left // 4
        types = tuple([reader.uint32() for _ in range(number if number % 65_536 == told else told)])
        reader.end()
        return cls(types)

    def encode(self) -> bytes:
        return message(b"t", count(len(self.types) % 65_536) + b"".join(map(uint32, self.types)))


@dataclass(frozen=True, slots=True)
class DataRow:
    """For rows that the gateway itself reads or writes; rows on their way to a client are never made into objects."""

    values: tuple[bytes | None, ...]

    @classmethod
    def decode(cls, body: bytes) -> DataRow:
        reader = Reader(body)
        values = tuple([reader.value() for _ in range(reader.count())])
        reader.end()
        return cls(values)

    def encode(self) -> bytes:
        return message(b"D", count(len(self.values)) + b"".join(map(value, self.values)))


@dataclass(frozen=True, slots=True)
class CommandComplete:
    tag: str

    @classmethod
    def decode(cls, body: bytes) -> CommandComplete:
        reader = Reader(body)
        tag = reader.text()
        reader.end()
        return cls(tag)

    def encode(self) -> bytes:
        return message(b"C", cstring(self.tag))

    @property
    def rows(self) -> int:
        """The number at the end of the tag (``SELECT 5``, ``INSERT 0 3``); 0 where there is none."""
        last = self.tag.rpartition(" ")[2]
        return int(last) if last.isascii() and last.isdigit() and len(last) <= 20 else 0  # no count has more digits than 2^64


@dataclass(frozen=True, slots=True)
class NotificationResponse:
    process_id: int
    channel: bytes
    payload: bytes

    @classmethod
    def decode(cls, body: bytes) -> NotificationResponse:
        reader = Reader(body)
        notification = cls(reader.int32(), reader.cstring(), reader.cstring())
        reader.end()
        return notification

    def encode(self) -> bytes:
        return message(b"A", int32(self.process_id) + cstring(self.channel) + cstring(self.payload))


@dataclass(frozen=True, slots=True)
class ErrorFields:
    """The body of ErrorResponse and NoticeResponse: field type (manual, 55.8) → value, in the order they came."""

    fields: Mapping[str, bytes]

    @classmethod
    def decode(cls, body: bytes) -> ErrorFields:
        reader = Reader(body)
        fields: dict[str, bytes] = {}
        while (kind := reader.take(1)) != b"\0":
            fields[kind.decode("latin-1")] = reader.cstring()
        reader.end()
        return cls(fields)

    def encode(self, kind: bytes) -> bytes:
        """``kind``: ``b"E"`` ErrorResponse, ``b"N"`` NoticeResponse."""
        parts = [code.encode("latin-1") + cstring(text) for code, text in self.fields.items()]
        return message(kind, b"".join(parts) + b"\0")

    @property
    def sqlstate(self) -> str:
        return self.fields.get("C", b"").decode("ascii", "replace")

    @property
    def fatal(self) -> bool:
        """The server ends the session with this error. ``V`` is the severity that is never translated."""
        return self.fields.get("V", self.fields.get("S", b"")) in (b"FATAL", b"PANIC")


def error_response(refusal: Refusal) -> bytes:
    """The ErrorResponse of one refusal: the only place where a *no* becomes bytes."""
    severity = "FATAL" if refusal.fatal else "ERROR"
    fields = {"S": severity, "V": severity, "C": refusal.sqlstate, "M": refusal.message}
    if refusal.detail:
        fields["D"] = refusal.detail
    if refusal.hint:
        fields["H"] = refusal.hint
    if refusal.position:
        fields["P"] = str(refusal.position)
    return ErrorFields({kind: _text(text) for kind, text in fields.items()}).encode(b"E")


def notice_response(text: str, *, detail: str = "", hint: str = "") -> bytes:
    """A NOTICE of the gateway itself; ``00000`` because nothing went wrong."""
    fields = {"S": "NOTICE", "V": "NOTICE", "C": "00000", "M": text, "D": detail, "H": hint}
    return ErrorFields({kind: _text(part) for kind, part in fields.items() if part}).encode(b"N")


def _text(text: str) -> bytes:
    # Messages quote names that peers gave: a zero byte in one must not end the field.
    return text.replace("\0", "").encode("utf-8", "replace")
