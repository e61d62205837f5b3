"""A masked cell and the mask's SQL expression give the same value: every type and method, on a real server.

All of it happens in one transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.pq import ExecStatus, Format

from proxy.policy.masks import Mask, fitted, mask_cell, sql_expression
from proxy.sql.catalog import QUERIES, Catalog, Column
from tests.conftest import Target

EMAILS = [
    "ann@example.com",
    "a.b+c@mail.example.co.uk",
    "no address",
    "@",
    "a@b",
    "jörg@exämple.de",
    "x@y.z1",
    "a@b.com\n",
    "a b@c.de",
    "u@h.museum",
]
CARDS = [
    "4111 1111 1111 1111",
    "4111111111111111",
    "3782-822463-10005",
    "4111 1111 1111 11-11",
    "411",
    "4111  1111 1111 1111",
    "4111111111111111x",
]
TEXTS = ["", "a", "ab", "abcd", "Müller-Lüdenscheidt", "日本語のテキスト", "  padded  ", "tab\there", "line\nbreak", "it's \\ here"]
TEXTS += ["😀😀😀😀😀😀"]
NUMBERS = ["0", "1", "-1", "499", "500", "501", "-500", "1499", "1500", "2500", "32767", "-32768"]

# name of the case -> (type as it is written in CREATE TABLE, values)
TYPES: dict[str, tuple[str, list[str]]] = {
    "text": ("text", EMAILS + CARDS + TEXTS),
    "text_c": ('text COLLATE "C"', EMAILS + TEXTS),
    "text_icu": ("text COLLATE pg_temp.caseless", EMAILS + CARDS + TEXTS),
    "varchar": ("varchar", EMAILS + CARDS + TEXTS),
    "varchar2": ("varchar(2)", ["", "a", "ab", "日本"]),
    "varchar20": ("varchar(20)", [text for text in EMAILS + CARDS + TEXTS if len(text) <= 20]),
    "char1": ("char(1)", ["", "a", "ß"]),
    "char25": ("char(25)", [text for text in EMAILS + CARDS + TEXTS if len(text) <= 25]),
    "bpchar": ("bpchar", ["", "abc", "abc   ", "ann@example.com"]),
    "name": ("name", ["", "abc", "ann@example.com", "x" * 63, "ß" * 31]),
    "not_null": ("text NOT NULL", TEXTS),
    "int2": ("int2", NUMBERS),
    "int4": ("int4", [*NUMBERS, "2147483647", "-2147483648", "2147483499"]),
    "int8": ("int8", [*NUMBERS, "9223372036854775807", "-9223372036854775808", "499999999999999999", "500000000000000000"]),
    "numeric": (
        "numeric",
        [*NUMBERS, "1499.5", "1500.00", "-0.001", "123456789012345678901234567890.5", "NaN", "1e500", "0.50", "Infinity", "-Infinity"],
    ),
    "numeric52": ("numeric(5,2)", ["0", "999.99", "-999.99", "500", "499.99", "NaN"]),
    "numeric30": ("numeric(3,0)", ["0", "999", "500", "-500"]),
    "numeric_negative_scale": ("numeric(3,-2)", ["0", "99900", "-500", "1500"]),
    "float4": ("float4", [*NUMBERS, "1e30", "3.4e38", "NaN", "Infinity", "-Infinity", "-0.1", "123456.789"]),
    "float8": ("float8", [*NUMBERS, "1e15", "1e20", "1.7e308", "NaN", "Infinity", "-Infinity", "-0.1", "0.3", "123456.789"]),
    "date": (
        "date",
        ["2024-12-31", "2024-01-01", "2000-02-29", "0044-03-15 BC", "0001-01-01", "5874897-12-31", "infinity", "4714-12-01 BC"],
    ),
    "timestamp": (
        "timestamp",
        ["2024-12-31 23:59:59.999999", "1999-06-01", "0044-03-15 12:00:00 BC", "294276-12-31 23:59:59", "-infinity"],
    ),
    "timestamp0": ("timestamp(0)", ["2024-12-31 23:59:59", "1900-01-01"]),
    "timestamptz": (
        "timestamptz",
        ["2024-12-31 23:59:59+00", "2025-01-01 00:30:00+01", "2024-12-31 23:30:00-05", "infinity", "4714-12-01 00:00:00+00 BC"],
    ),
    "timestamptz3": ("timestamptz(3)", ["2024-05-06 07:08:09.123+02"]),
    "time": ("time", ["12:34:56.789"]),
    "interval": ("interval", ["1 year 2 days"]),
    "bool": ("bool", ["t", "f"]),
    "uuid": ("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    "bytea": ("bytea", ["\\x0001ff"]),
    "json": ("json", ['{"a": 1}', "null", "[1,2]"]),
    "jsonb": ("jsonb", ['{"a": 1}', "null", "[1,2]"]),
    "inet": ("inet", ["10.1.2.3", "10.0.0.0/8", "::1"]),
    "int_array": ("int4[]", ["{1,2,3}", "{}"]),
    "varchar_array": ("varchar(3)[]", ["{abc,d}", "{{a},{b}}"]),
    "jsonb_array": ("jsonb[]", ['{"{}"}']),
    "domain": ("pg_temp.postcode", ["12345"]),
    "domain_array": ("pg_temp.postcode[]", ["{12345}"]),
    "enum": ("pg_temp.mood", ["happy", "sad"]),
    "composite": ("pg_temp.pair", ["(1,a)"]),
    "range": ("int4range", ["[1,5)"]),
    "point": ("point", ["(1,2)"]),
}

MASKS = {
    "redact": Mask("redact"),
    "nullify": Mask("nullify"),
    "email": Mask("email"),
    "card": Mask("card"),
    "partial_0_4": Mask("partial", (0, 4)),
    "partial_2_1": Mask("partial", (2, 1)),
    "partial_0_0": Mask("partial", (0, 0)),
    "year": Mask("year"),
    "round_1000": Mask("round", (1000,)),
    "round_7": Mask("round", (7,)),
    "round_1": Mask("round", (1,)),
    "round_huge": Mask("round", (10**18,)),
    "fixed_text": Mask("fixed", ("it's n/a \\ ünknown",)),
    "fixed_number": Mask("fixed", ("42",)),
    "fixed_fraction": Mask("fixed", ("-7.125",)),
    "fixed_date": Mask("fixed", ("2020-02-29",)),
    "fixed_time": Mask("fixed", ("2020-02-29 12:00:00.5+02",)),
    "fixed_uuid": Mask("fixed", ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",)),
    "fixed_json": Mask("fixed", ('{"longer": 1.50, "b": [true, null, "ü"], "b": 1e3}',)),
    "fixed_bool": Mask("fixed", ("true",)),
    "unknown": Mask("no such method"),
}


@pytest.fixture(scope="module")
def connection(target: Target) -> Iterator[psycopg.Connection]:
    with psycopg.connect(target.dsn()) as connection:
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        connection.execute("CREATE DOMAIN pg_temp.postcode AS varchar(5) NOT NULL")
        connection.execute("CREATE TYPE pg_temp.mood AS ENUM ('happy', 'sad')")
        connection.execute("CREATE TYPE pg_temp.pair AS (x int, y text)")
        unknown = {"numeric_negative_scale"} if target.version < 15 else set()
        try:
            with connection.transaction():
                connection.execute("CREATE COLLATION pg_temp.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        except psycopg.errors.FeatureNotSupported:  # a server built without ICU
            unknown.add("text_icu")
        for name in TYPES.keys() - unknown:
            connection.execute(f"CREATE TEMP TABLE m_{name} (n serial, v {TYPES[name][0]}) ON COMMIT DROP")  # type: ignore[arg-type]
        yield connection
        connection.rollback()


@pytest.fixture(scope="module")
def columns(connection: psycopg.Connection) -> dict[str, Column]:
    rows = {name: connection.execute(query).fetchall() for name, query in QUERIES.items()}  # type: ignore[arg-type]
    as_text = {name: [[None if cell is None else _as_text(cell) for cell in row] for row in found] for name, found in rows.items()}
    relations = Catalog.load(as_text).relations.values()
    found = {relation.name[2:]: relation.columns[1] for relation in relations if relation.name[:2] == "m_" and relation.name[2:] in TYPES}
    for name, column in found.items():
        values = [text for text in TYPES[name][1] if connection.info.server_version >= 140000 or "Infinity" not in text]
        connection.cursor().executemany(
            f"INSERT INTO pg_temp.m_{name} (v) VALUES (CAST(%s AS {column.type_name}))", [(text,) for text in values]
        )  # type: ignore[arg-type]
        if name not in ("not_null", "domain"):
            connection.execute(f"INSERT INTO pg_temp.m_{name} (v) VALUES (NULL)")  # type: ignore[arg-type]
    return found


def _as_text(cell: object) -> str:
    if isinstance(cell, bool):
        return "t" if cell else "f"
    return cell if isinstance(cell, str) else str(cell)


def run(connection: psycopg.Connection, sql: str, format: int) -> psycopg.pq.PGresult:
    result = connection.pgconn.exec_params(sql.encode(), [], result_format=Format(format))
    assert result.status == ExecStatus.TUPLES_OK, f"{sql}\n{result.error_message.decode()}"
    return result


@pytest.mark.parametrize("name", TYPES)
def test_cell_and_expression_agree(connection: psycopg.Connection, columns: dict[str, Column], name: str) -> None:
    if name not in columns:
        pytest.skip("this server has no such type")
    column = columns[name]
    expressions = ", ".join(sql_expression(mask, column, "t.v") for mask in MASKS.values())
    for format in (0, 1):
        result = run(connection, f"SELECT v, {expressions} FROM pg_temp.m_{name} t ORDER BY n", format)
        for place, (method, mask) in enumerate(MASKS.items(), start=1):
            assert result.ftype(place) == result.ftype(0), method
            assert column.kind == "domain" or result.fmod(place) == result.fmod(0), method
            for row in range(result.ntuples):
                original, expected = result.get_value(row, 0), result.get_value(row, place)
                masked = None if original is None else mask_cell(fitted(mask, column), result.ftype(0), format, original, bytes(32))
                assert masked == expected, (method, original)


@pytest.mark.parametrize("name", ["text", "varchar20", "char25", "int4", "uuid", "date"])
def test_hash_is_redacted_in_sql(connection: psycopg.Connection, columns: dict[str, Column], name: str) -> None:
    column = columns[name]
    assert sql_expression(Mask("hash"), column, "v") == sql_expression(Mask("redact"), column, "v")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("name", ["timestamptz", "date", "timestamp"])
def test_year_does_not_depend_on_the_time_zone(connection: psycopg.Connection, columns: dict[str, Column], name: str, zone: str) -> None:
    column, mask = columns[name], MASKS["year"]
    sql = f"SELECT v, {sql_expression(mask, column, 'v')} FROM pg_temp.m_{name} ORDER BY n"
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('TimeZone', %s, true)", (zone,))
        binary = run(connection, sql, 1)
        text = run(connection, f"SELECT v, CAST({sql_expression(mask, column, 'v')} AS text) FROM pg_temp.m_{name} ORDER BY n", 0)
        for row in range(binary.ntuples):
            original = binary.get_value(row, 0)
            assert (original and mask_cell(mask, binary.ftype(0), 1, original, b"")) == binary.get_value(row, 1)
            # Another zone prints another offset, but the same moment.
            shown = text.get_value(row, 0)
            masked = mask_cell(mask, column.type_oid, 0, shown, b"") if shown else None
            same = connection.execute(
                f"SELECT %s::{column.type_name} IS NOT DISTINCT FROM %s::{column.type_name}",  # type: ignore[arg-type]
                (masked and masked.decode(), (text.get_value(row, 1) or b"").decode() or None),
            ).fetchone()
            assert same == (True,)


@pytest.mark.parametrize("method", ["redact", "nullify", "email", "card", "partial_0_4", "fixed_text"])
@pytest.mark.parametrize("name", ["text", "text_c", "text_icu", "varchar20", "name"])
def test_collation_is_kept(connection: psycopg.Connection, columns: dict[str, Column], name: str, method: str) -> None:
    if name not in columns:
        pytest.skip("this server has no such collation")
    inner = f"SELECT v, {sql_expression(MASKS[method], columns[name], 'v')} AS masked FROM pg_temp.m_{name}"
    result = run(connection, f"SELECT pg_collation_for(v), pg_collation_for(masked) FROM ({inner}) s LIMIT 1", 0)
    assert result.get_value(0, 0) == result.get_value(0, 1)
    run(connection, f"SELECT masked FROM ({inner}) s ORDER BY masked", 0)


@pytest.mark.parametrize(
    "name", ["text", "varchar20", "int4", "numeric52", "float8", "date", "timestamptz", "jsonb", "int_array", "domain"]
)
def test_the_search_path_cannot_change_a_mask(connection: psycopg.Connection, columns: dict[str, Column], name: str) -> None:
    expressions = ", ".join(sql_expression(mask, columns[name], "v") for mask in MASKS.values())
    sql = f"SELECT {expressions} FROM pg_temp.m_{name} ORDER BY n"
    honest = run(connection, sql, 0)
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE SCHEMA evil")
        for function in ('"left"(text, int)', '"right"(text, int)', "repeat(text, int)", '"substring"(text, text)', "cat(text, text)"):
            connection.execute(f"CREATE FUNCTION evil.{function} RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$")  # type: ignore[arg-type]
        connection.execute("CREATE FUNCTION evil.length(text) RETURNS int LANGUAGE sql AS 'SELECT 1'")
        connection.execute("CREATE FUNCTION evil.mod(numeric, numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0.0'")
        connection.execute("CREATE FUNCTION evil.isfinite(date) RETURNS bool LANGUAGE sql AS 'SELECT false'")
        connection.execute("CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.cat)")
        for kind in ("text", "varchar", "numeric", "date", "jsonb", "float8", "int4", "timestamptz"):
            connection.execute(f"CREATE DOMAIN evil.{kind} AS pg_catalog.int2")  # type: ignore[arg-type]
        connection.execute("SET LOCAL search_path = evil, pg_catalog")
        assert run(connection, "SELECT length('four'::pg_catalog.text)", 0).get_value(0, 0) == b"1"
        assert rows_of(run(connection, sql, 0)) == rows_of(honest)


def rows_of(result: psycopg.pq.PGresult) -> list[list[bytes | None]]:
    return [[result.get_value(row, place) for place in range(result.nfields)] for row in range(result.ntuples)]
