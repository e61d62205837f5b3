"""Scalar values: golden bytes from the manual's formats, then everything against a real server in both directions."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.pq import ExecStatus, Format

from proxy.wire import values
from proxy.wire.values import from_text, to_text
from tests.conftest import Target

GOLDEN = [
    (values.BOOL, "01", "t"),
    (values.INT2, "8000", "-32768"),
    (values.INT4, "7fffffff", "2147483647"),
    (values.INT8, "ffffffffffffffff", "-1"),
    (values.OID, "ffffffff", "4294967295"),
    (values.FLOAT8, "3ff8000000000000", "1.5"),
    (values.FLOAT4, "3dcccccd", "0.1"),
    (values.BYTEA, "00ff", "\\x00ff"),
    (values.UUID, "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    (values.DATE, "00000000", "2000-01-01"),
    (values.DATE, "7fffffff", "infinity"),
    (values.TIME, "000000141dd75fff", "23:59:59.999999"),
    (values.TIMESTAMP, "0000000000000001", "2000-01-01 00:00:00.000001"),
    (values.TIMESTAMPTZ, "ffffffffffffffff", "1999-12-31 23:59:59.999999+00"),
    (values.NUMERIC, "0003000140000002000109291f40", "-12345.80"),
    (values.NUMERIC, "00000000c0000000", "NaN"),
    (values.JSONB, "017b7d", "{}"),
    (values.INET, "022000040a010203", "10.1.2.3"),
    (values.CIDR, "020801040a000000", "10.0.0.0/8"),
    (values.TEXT, "c3bc", "ü"),
]

SERVER = {
    "bool": ["t", "f"],
    "int2": ["0", "32767", "-32768"],
    "int4": ["0", "2147483647", "-2147483648"],
    "int8": ["0", "9223372036854775807", "-9223372036854775808"],
    "oid": ["0", "4294967295"],
    "float4": [
        "0",
        "-0",
        "1",
        "0.1",
        "1e-5",
        "0.0001",
        "123456",
        "1234567",
        "1e6",
        "999999",
        "3.4028235e38",
        "1.1754944e-38",
        "1e-45",
        "NaN",
        "-Infinity",
    ],
    "float8": [
        "0",
        "-0",
        "0.1",
        "1e-5",
        "0.0001",
        "1e14",
        "1e15",
        "123456789012345",
        "1234567890123456",
        "1.7976931348623157e308",
        "5e-324",
        "Infinity",
    ],
    "numeric": [
        "0",
        "0.00",
        "-0.5",
        "1",
        "10000",
        "12345.6789",
        "0.0001",
        "1e100",
        "1e-100",
        "99999999.99999999",
        "-12345.80",
        "0.00012",
        "NaN",
    ],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "bytea": ["\\x", "\\x00ff10"],
    "date": [
        "2000-01-01",
        "1999-12-31",
        "2000-02-29",
        "1900-03-01",
        "0001-01-01",
        "0001-12-31 BC",
        "4714-11-24 BC",
        "5874897-12-31",
        "infinity",
        "-infinity",
        "12345-06-07",
    ],
    "time": ["00:00:00", "24:00:00", "12:34:56.7", "23:59:59.999999"],
    "timestamp": [
        "2000-01-01 00:00:00",
        "1999-12-31 23:59:59.5",
        "0044-03-15 12:00:00 BC",
        "294276-12-31 23:59:59.999999",
        "-infinity",
        "10000-01-01 00:00:00",
    ],
    "timestamptz": ["2000-01-01 00:00:00+00", "0044-03-15 12:00:00.25+00 BC", "infinity"],
    "json": ['{"a":  1}', "[]"],
    "jsonb": ["{}", '{"b": 1.50, "aa": [true, false, null, "x\\ty \\u0001 ü"]}', '"text"', "1000", "-0.5"],
    "inet": ["10.1.2.3", "10.1.2.3/8", "::1", "2001:db8::/32"],
    "cidr": ["10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32"],
    "text": ["", "ü", "it's"],
    "varchar": ["abc"],
    "name": ["abc"],
}

# Text and what the server makes of it: other spellings of the same value.
SPELLINGS = {
    "jsonb": ['{"longer": 1e3, "b": 1, "b": 2}', "[1 , 2]", '{"ü": 0, "zz": 0, "a": 0}', "1.0"],
    "numeric": ["1e3", "+5", ".5", "5.", "007"],
    "float8": ["1e3", ".5", "100000000000000000000"],
    "uuid": ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"],
    "timestamptz": ["2024-05-06 07:08:09+02", "2024-05-06T07:08:09Z", "2024-05-06 07:08:09-05:30"],
    "bool": ["true", "false"],
    "int4": ["+7", "007"],
}

INVALID = [
    (values.INT2, "32768"), (values.INT4, "1_000"), (values.INT4, ""), (values.INT4, "1.0"), (values.INT8, "9" * 30), (values.BOOL,
    "maybe"),
    (values.FLOAT8, "1e999"), (values.FLOAT4, "1e39"), (values.FLOAT8, "1_0"), (values.FLOAT8, "0x10"), (values.NUMERIC, "1_0"),
    (values.NUMERIC, "1e200000"),
    (values.UUID, "a0eebc99"), (values.BYTEA, "ff"), (values.BYTEA, "\\xf"), (values.DATE, "2023-02-29"), (values.DATE, "0000-01-01"),
    (values.DATE, "2024-13-01"),
    (values.DATE, "4714-11-23 BC"), (values.DATE, "5874898-01-01"), (values.TIME, "24:00:01"), (values.TIME, "12:60:00"),
    (values.TIMESTAMP, "2024-01-01"),
    (values.TIMESTAMPTZ, "2024-01-01 00:00:00"), (values.TIMESTAMP, "2024-01-01 00:00:00+00"), (values.JSON, "{"), (values.JSON,
    "NaN"), (values.JSONB, '{"a"}'),
    (values.INET, "10.0.0"), (values.CIDR, "10.1.2.3/8"), (values.TEXT, "a\0b"), (4242, "1"),
]  # fmt: skip


@pytest.mark.parametrize(("oid", "data", "text"), GOLDEN)
def test_golden(oid: int, data: str, text: str) -> None:
    assert to_text(oid, 1, bytes.fromhex(data)) == text
    assert from_text(oid, text) == bytes.fromhex(data)


@pytest.mark.parametrize(("oid", "text"), INVALID)
def test_what_is_no_value_gives_none(oid: int, text: str) -> None:
    assert from_text(oid, text) is None


@pytest.mark.parametrize("oid", [0, 4242, 1007, 1186])
def test_an_unknown_type_in_binary_is_not_guessed(oid: int) -> None:
    assert to_text(oid, 1, b"\0\0\0\1") is None


def test_text_format_is_shown_whatever_the_type() -> None:
    assert to_text(4242, 0, b"(1,a)") == "(1,a)"
    assert to_text(values.TEXT, 0, b"\xff") is None
    assert to_text(values.TEXT, 2, b"a") is None


@given(st.sampled_from(sorted(values._READERS)), st.binary(max_size=24))
def test_no_bytes_raise(oid: int, data: bytes) -> None:
    text = to_text(oid, 1, data)
    assert text is None or isinstance(text, str)


@given(st.sampled_from(sorted(values._WRITERS)), st.text(max_size=24))
def test_no_text_raises(oid: int, text: str) -> None:
    assert isinstance(from_text(oid, text), bytes | None)


@given(st.floats(allow_nan=False, width=32))
def test_single_floats_read_back(value: float) -> None:
    text = to_text(values.FLOAT4, 1, struct.pack(">f", value))
    assert text is not None
    assert from_text(values.FLOAT4, text) == struct.pack(">f", value)


@pytest.fixture(scope="module")
def connection(target: Target) -> Iterator[psycopg.Connection]:
    with psycopg.connect(target.dsn(), options="-c TimeZone=UTC -c DateStyle=ISO") as connection:
        yield connection


def ask(connection: psycopg.Connection, kind: str, text: str) -> tuple[int, bytes, bytes]:
    """Type, text and binary format of a value as the server sends them."""
    found = []
    for format in (Format.TEXT, Format.BINARY):
        result = connection.pgconn.exec_params(f"SELECT CAST($1 AS {kind})".encode(), [text.encode()], result_format=format)
        assert result.status == ExecStatus.TUPLES_OK, result.error_message
        found.append(result.get_value(0, 0) or b"")
    return result.ftype(0), found[0], found[1]


@pytest.mark.parametrize("kind", SERVER)
def test_as_the_server_prints_it(connection: psycopg.Connection, kind: str) -> None:
    for text in SERVER[kind]:
        oid, shown, binary = ask(connection, kind, text)
        assert to_text(oid, 1, binary) == shown.decode()
        assert from_text(oid, shown.decode()) == binary, text


@pytest.mark.parametrize("kind", SPELLINGS)
def test_as_the_server_reads_it(connection: psycopg.Connection, kind: str) -> None:
    for text in SPELLINGS[kind]:
        oid, _, binary = ask(connection, kind, text)
        assert from_text(oid, text) == binary, text
