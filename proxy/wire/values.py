"""Scalar values between PostgreSQL's binary format and its text (manual, 55.2.3 and the types' send functions).

Used to show bound parameters to people and to write masked values. Text is what a server with ``DateStyle = ISO`` and
``TimeZone = UTC`` prints. A type or a value that is not understood gives None, never a guess.
"""

from __future__ import annotations

import binascii
import ipaddress
import json
import math
import re
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal

from proxy.wire import dates
from proxy.wire.numbers import float_text, numeric_from_text, numeric_to_text, parse_float

BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT4, TEXT, OID = 16, 17, 18, 19, 20, 21, 23, 25, 26
JSON, FLOAT4, FLOAT8, UNKNOWN, CIDR, INET, BPCHAR, VARCHAR = 114, 700, 701, 705, 650, 869, 1042, 1043
DATE, TIME, TIMESTAMP, TIMESTAMPTZ, NUMERIC, UUID, JSONB = 1082, 1083, 1114, 1184, 1700, 2950, 3802

TEXT_TYPES = frozenset({NAME, TEXT, BPCHAR, VARCHAR})
INTEGER_BYTES = {INT2: 2, INT4: 4, INT8: 8}
FLOAT_FORMATS = {FLOAT4: ">f", FLOAT8: ">d"}


def to_text(oid: int, format: int, data: bytes) -> str | None:
    """The value as text; None where the type, the format or the bytes are not understood. Never raises."""
    try:
        if format == 0:
            return bytes(data).decode()
        reader = _READERS.get(oid) if format == 1 else None
        return None if reader is None else reader(bytes(data))
    except (ValueError, struct.error, IndexError, OverflowError, ArithmeticError):
        return None


def from_text(oid: int, text: str) -> bytes | None:
    """The value in binary format; None where the type is not known or the text is no value of it. Never raises."""
    writer = _WRITERS.get(oid)
    if writer is None or "\0" in text:
        return None
    try:
        return writer(text)
    except (ValueError, struct.error, IndexError, OverflowError, ArithmeticError, RecursionError):
        return None


def _integer_reader(size: int, *, signed: bool = True) -> Callable[[bytes], str]:
    def read(data: bytes) -> str:
        _expect(len(data) == size)
        return str(int.from_bytes(data, "big", signed=signed))

    return read


def _integer_writer(size: int, *, signed: bool = True) -> Callable[[str], bytes]:
    def write(text: str) -> bytes:
        _expect(re.fullmatch(r"[+-]?[0-9]{1,20}", text) is not None)
        return int(text).to_bytes(size, "big", signed=signed)

    return write


def _float_reader(oid: int) -> Callable[[bytes], str]:
    def read(data: bytes) -> str:
        (value,) = struct.unpack(FLOAT_FORMATS[oid], data)
        return float_text(value, single=oid == FLOAT4)

    return read


def _float_writer(oid: int) -> Callable[[str], bytes]:
    def write(text: str) -> bytes:
        value = parse_float(text)
        _expect(math.isfinite(value) or not re.search("[0-9]", text))  # 1e999 is out of range, not infinity
        return struct.pack(FLOAT_FORMATS[oid], value)

    return write


def _bool_to_text(data: bytes) -> str:
    _expect(len(data) == 1)
    return "t" if data[0] else "f"


def _bool_from_text(text: str) -> bytes:
    _expect(text in ("t", "f", "true", "false"))
    return b"\x01" if text[0] == "t" else b"\x00"


def _bytea_from_text(text: str) -> bytes:
    _expect(text.startswith("\\x"))
    return binascii.unhexlify(text[2:])


def _uuid_to_text(data: bytes) -> str:
    return str(uuid.UUID(bytes=data))


def _uuid_from_text(text: str) -> bytes:
    return uuid.UUID(text).bytes


def _date_to_text(data: bytes) -> str:
    (days,) = struct.unpack(">i", data)
    return dates.date_text(days)


def _date_from_text(text: str) -> bytes:
    return struct.pack(">i", dates.parse_date(text))


def _time_to_text(data: bytes) -> str:
    (micros,) = struct.unpack(">q", data)
    _expect(0 <= micros <= dates.DAY)
    return dates.clock_text(micros)


def _time_from_text(text: str) -> bytes:
    return struct.pack(">q", dates.parse_clock(text))


def _timestamp_reader(zone: str) -> Callable[[bytes], str]:
    def read(data: bytes) -> str:
        (micros,) = struct.unpack(">q", data)
        return dates.timestamp_text(micros, zone)

    return read


def _timestamp_writer(*, zoned: bool) -> Callable[[str], bytes]:
    return lambda text: struct.pack(">q", dates.parse_timestamp(text, zoned=zoned))


def _jsonb_to_text(data: bytes) -> str:
    _expect(data[:1] == b"\x01")
    return data[1:].decode()


def _json_from_text(text: str) -> bytes:
    json.loads(text, parse_constant=_no_constant)
    return text.encode()


def _jsonb_from_text(text: str) -> bytes:
    return b"\x01" + _jsonb(json.loads(text, parse_float=Decimal, parse_constant=_no_constant)).encode()


def _jsonb(value: object) -> str:
    """As jsonb prints it: keys by length and then bytes, a blank after colon and comma."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: (len(item[0].encode()), item[0].encode()))
        return "{" + ", ".join(f"{_jsonb(name)}: {_jsonb(item)}" for name, item in items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_jsonb, value)) + "]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return json.dumps(value, ensure_ascii=False)


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


def _inet_to_text(data: bytes) -> str:
    """Family (2 or 3), prefix length, is-cidr, address length, address (manual: inet_send)."""
    family, bits, is_cidr, length = data[:4]
    _expect(len(data) == 4 + length and (family, length) in ((2, 4), (3, 16)))
    address = ipaddress.ip_address(data[4:])
    whole = bits == address.max_prefixlen and not is_cidr
    return str(address) if whole else f"{address}/{bits}"


def _inet_writer(is_cidr: int) -> Callable[[str], bytes]:
    def write(text: str) -> bytes:
        interface = ipaddress.ip_interface(text)
        _expect(not is_cidr or interface.ip == interface.network.network_address)
        family = 2 if interface.version == 4 else 3
        address = interface.ip.packed
        return bytes((family, interface.network.prefixlen, is_cidr, len(address))) + address

    return write


def _expect(condition: bool) -> None:
    if not condition:
        raise ValueError("not a value of this type")


_READERS: dict[int, Callable[[bytes], str]] = {
    BOOL: _bool_to_text,
    BYTEA: lambda data: "\\x" + data.hex(),
    CHAR: bytes.decode,
    INT2: _integer_reader(2),
    INT4: _integer_reader(4),
    INT8: _integer_reader(8),
    OID: _integer_reader(4, signed=False),
    FLOAT4: _float_reader(FLOAT4),
    FLOAT8: _float_reader(FLOAT8),
    NUMERIC: numeric_to_text,
    UUID: _uuid_to_text,
    DATE: _date_to_text,
    TIME: _time_to_text,
    TIMESTAMP: _timestamp_reader(""),
    TIMESTAMPTZ: _timestamp_reader("+00"),
    JSON: bytes.decode,
    JSONB: _jsonb_to_text,
    INET: _inet_to_text,
    CIDR: _inet_to_text,
    UNKNOWN: bytes.decode,
    **dict.fromkeys(TEXT_TYPES, bytes.decode),
}

_WRITERS: dict[int, Callable[[str], bytes]] = {
    BOOL: _bool_from_text,
    BYTEA: _bytea_from_text,
    INT2: _integer_writer(2),
    INT4: _integer_writer(4),
    INT8: _integer_writer(8),
    OID: _integer_writer(4, signed=False),
    FLOAT4: _float_writer(FLOAT4),
    FLOAT8: _float_writer(FLOAT8),
    NUMERIC: numeric_from_text,
    UUID: _uuid_from_text,
    DATE: _date_from_text,
    TIME: _time_from_text,
    TIMESTAMP: _timestamp_writer(zoned=False),
    TIMESTAMPTZ: _timestamp_writer(zoned=True),
    JSON: _json_from_text,
    JSONB: _jsonb_from_text,
    INET: _inet_writer(0),
    CIDR: _inet_writer(1),
    **dict.fromkeys(TEXT_TYPES, str.encode),
}
