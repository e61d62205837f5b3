"""Fields of COPY's rows, against what PostgreSQL itself writes and reads."""

import itertools
from typing import Any

import psycopg
import pytest
from psycopg import sql

from proxy.wire.codec import MalformedError
from proxy.wire.copy_data import BINARY_END, CopyFormat, rewrite_copy
from tests.conftest import Target

FORMS = {
    "format text": CopyFormat(),
    "format text, delimiter '|', null 'nil'": CopyFormat(delimiter=b"|", null=b"nil"),
    "format text, delimiter E'\\x01', null ''": CopyFormat(delimiter=b"\x01", null=b""),
    "format csv": CopyFormat("csv", b",", b""),
    "format csv, header, force_quote *": CopyFormat("csv", b",", b""),
    "format csv, delimiter 'a', null 'N'": CopyFormat("csv", b"a", b"N"),
    "format csv, quote '''', escape '\\'": CopyFormat("csv", b",", b"", b"'", b"\\"),
    "format csv, delimiter ';', quote '*', escape '*', null 'NN'": CopyFormat("csv", b";", b"NN", b"*", b"*"),
    "format binary": CopyFormat("binary"),
}
PARTS = ("a", "\\", "\\.", ",", ";", "|", '"', "'", "*", "\n", "\r", "\t", "\b\f\v", "\x01", "é", "N", "")
VALUES = sorted({"".join(parts) for parts in itertools.product(PARTS, repeat=2)})


def messages(rows: list[bytes]) -> bytes:
    return b"".join(b"d" + (4 + len(row)).to_bytes(4, "big") + row for row in rows)


def bodies(data: bytes) -> bytes:
    parts = []
    while data:
        end = 1 + int.from_bytes(data[1:5], "big")
        parts.append(data[5:end])
        data = data[end:]
    return b"".join(parts)


@pytest.fixture(scope="module")
def server(target15: Target) -> Any:
    with psycopg.connect(target15.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE source (n int, x text, y text); CREATE TEMP TABLE back (LIKE source)")
        rows = [(number, value, None if number % 7 == 0 else value[::-1]) for number, value in enumerate(VALUES)]
        connection.cursor().executemany("INSERT INTO source VALUES (%s, %s, %s)", rows)
        yield connection, rows


@pytest.mark.parametrize("options", FORMS)
def test_values_are_read_as_postgresql_wrote_them_and_written_as_it_reads_them(server: Any, options: str) -> None:
    connection, rows = server
    form = FORMS[options]
    with connection.cursor().copy(f"COPY (SELECT * FROM source ORDER BY n) TO STDOUT ({options})") as copy:
        sent = messages([bytes(part) for part in copy])
    seen: list[tuple[int, bytes]] = []

    def same(k: int, value: bytes) -> bytes:
        seen.append((k, value))
        return value

    assert rewrite_copy(sent, 0, len(sent), form, 3, (1, 2), same) == sent, "what stays the same stays as it was written"
    names = [(0, b"x"), (1, b"y")] if "header" in options else []
    given = names + [(k, value.encode()) for row in rows for k, value in enumerate(row[1:]) if value is not None]
    # In its text format PostgreSQL itself cannot tell such a value from NULL.
    null = form.null.decode() if form.name == "text" and b"\\" not in form.null else None
    assert seen == [(k, value) for k, value in given if value.decode() != null]
    changed = rewrite_copy(sent, 0, len(sent), form, 3, (1, 2), lambda k, value: value[::-1] if value.isascii() else value)
    connection.execute("TRUNCATE back")
    with connection.cursor().copy(sql.SQL("COPY back FROM STDIN ({})").format(sql.SQL(options.replace(", force_quote *", "")))) as copy:
        copy.write(bodies(changed))
    turned = [tuple(one[::-1] if isinstance(one, str) and one.isascii() else one for one in row) for row in rows]
    turned = [tuple(None if one == null else one for one in row) for row in turned]
    assert connection.execute("SELECT * FROM back ORDER BY n").fetchall() == turned


def test_binary_has_a_beginning_and_an_end() -> None:
    head = b"PGCOPY\n\xff\r\n\0" + bytes(4) + b"\0\0\0\x02ab"
    row = b"\0\x02\0\0\0\x01x\xff\xff\xff\xff"
    data = messages([head + row, row]) + BINARY_END
    changed = rewrite_copy(data, 0, len(data), CopyFormat("binary"), 2, (0, 1), lambda k, value: value * 2)
    longer = b"\0\x02\0\0\0\x02xx\xff\xff\xff\xff"
    assert changed == messages([head + longer, longer]) + BINARY_END
    empty = messages([head + BINARY_END[5:]])
    assert rewrite_copy(empty, 0, len(empty), CopyFormat("binary"), 2, (0,), lambda k, value: b"") == empty


CSV = CopyFormat("csv", b",", b"")


@pytest.mark.parametrize(
    ("form", "row"),
    [
        (CopyFormat(), b"a\tb"), (CopyFormat(), b"a\n"), (CopyFormat(), b"a\tb\\\n"), (CopyFormat(), b"a\tb\tc\n"), (CSV, b'"a,b\n'),
        (CSV, b'"a"b,c\n'), (CSV, b"a\n"), (CopyFormat("binary"), b"\0\x02\0\0\0\x09x"), (CopyFormat("binary"), b"\0"),
        (CopyFormat("binary"), b"\0\x01\0\0\0\x01x"),
    ],
)  # fmt: skip
def test_what_is_no_row_of_that_form(form: CopyFormat, row: bytes) -> None:
    data = messages([row])
    with pytest.raises(MalformedError):
        rewrite_copy(data, 0, len(data), form, 2, (0, 1), lambda k, value: value)


def test_a_long_field_takes_its_size_a_few_times() -> None:
    long = b'"' + b'x""\n' * 1_000_000 + b'"'
    data = messages([long + b",y\n"])
    assert len(rewrite_copy(data, 0, len(data), CSV, 2, (0,), lambda k, value: value.replace(b"x", b"z"))) == len(data)
