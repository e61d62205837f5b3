"""Texts of one shape are the same tokens to PostgreSQL, but for the values of their plain constants."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.sql.parser import SyntaxFailure, scan
from proxy.sql.shape import LONGEST, plain_constants, shape
from tests.proxy.sql.shapes import VALUES, varied

KINDS = {b"'a'": "SCONST", b"0": "ICONST", b"9999999999": "FCONST", b"0.0": "FCONST"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a1, b FROM t WHERE id = 77 AND name = 'it''s'", "SELECT a1, b FROM t WHERE id = 0 AND name = 'a'"),
        ("x=-5", "x=-0"),
        ("1.50, 2147483647, 2147483648, 0002147483647", "0.0, 0, 9999999999, 0"),
        ("f(1)::numeric(10,2) || '-- no' -- 'x' 1", "f(0)::numeric(0,0) || 'a' -- 'x' 1"),
        ("/* 'x' 1 */ 'x' \"a 'b' 1\" $1 a$1", "/* 'x' 1 */ 'a' \"a 'b' 1\" $1 a$1"),
        ("é1 = 'é1'", "é1 = 'a'"),
        ("'a''b'5+'c'", "'a'0+'a'"),
        ("LIMIT 5 OFFSET 10", "LIMIT 0 OFFSET 0"),
        ("x > 1 GROUP BY 1, 2 ORDER BY 3 DESC, 12 LIMIT 9", "x > 0 GROUP BY 1, 2 ORDER BY 3 DESC, 12 LIMIT 0"),
        ("ORDER BY 1.5", "ORDER BY 0.0"),
        ("x > 1 ORDER BY 100, 1", "x > 0 ORDER BY 0, 0"),
    ],
)
def test_the_shape(sql: str, expected: str) -> None:
    assert shape(sql.encode()) == expected.encode()


@pytest.mark.parametrize(
    "sql",
    [
        "E'a'", "e'\\'' || 'x'", "X'1F'", "B'1'", "N'a'", "U&'a' UESCAPE '!'", "U&\"a\" = 'x'", "1 &'x'", "'a\\'", "$$1$$ = 'x'",
        "$a$'$a$ 'x'",
        "1e5", "1.5e5", "1.", ".5", "1..2", "0x1F", "1_000", "1a", "1é", "1$1", "$1a", "$1.5", "'x", '"x', "/* 'x'", "/* /* */ 'x' */",
        "a'x'", "1 \\ 2", "{1}", "'a\0'", "\x001", "'x' ORDER BY 1e5", "'x' ORDER BY 1, 2x",
    ],
)  # fmt: skip
def test_what_is_not_plain_is_given_up(sql: str) -> None:
    assert shape(f"SELECT {sql}".encode()) is None
    assert plain_constants(f"SELECT {sql}".encode()) is None


@pytest.mark.parametrize("place", ["x = {}", "ORDER BY {}", "GROUP BY 1, {}", "ORDER BY 1 DESC, {}", "{}"])
def test_what_stays_as_it_is_does_not_look_like_a_constant(place: str) -> None:
    for kind in KINDS:
        data = place.format(kind.decode()).encode()
        assert [found for *_, found in plain_constants(data) or ()] == [kind]


def test_what_has_no_constant_and_what_is_long_has_no_shape() -> None:
    assert shape(b"SELECT a1 FROM t1 WHERE id = $1 ORDER BY 1") is None
    assert shape(b"") is None
    assert shape(b"SELECT 1" + b" " * LONGEST) is None


FRAGMENTS = [
    "'", "''", "'x'", "'a''b'", "E'", "e'", "U&'", "u&\"", "N'", "x'1'", "$", "$$", "$a$", "$1", "$1a", "\\", "\\'", '"', '""',
    '"q"', "--", "-", "/*", "*/", "/", "*", "\n", "\r", " ", "\t", "\v", "\xa0", "1", "12", "007", "2147483648", "1.5", ".5",
    "5.", "..", "1e5", "e5", "e+5", "0x1", "_1", "1_0", "a", "a1", "é", "€1", "B", "by ", "BY ", "order by 1", ", 2",
    " desc, 3", "UESCAPE '!'", "&", "+", "@", "<", "::", ":=", "=>", "(", ")", "[", ";", ",", ".", "#", "`", "?", "|", "{",
    "\x01", "select", " from ",
]  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join), st.integers(0, 1 << 32))
def test_the_server_reads_what_the_shape_says(sql: str, number: int) -> None:
    general = shape(sql.encode())
    if general is None:
        return
    try:
        tokens = scan(sql.encode())
    except SyntaxFailure:
        tokens = None
    other = varied(sql, random.Random(number))
    assert shape(other.encode()) == general == shape(general)
    assert len({tuple(kind for *_, kind in plain_constants(text) or ()) for text in (sql.encode(), other.encode(), general)}) == 1
    for text in (other, general.decode()):
        data = text.encode()
        if tokens is None:
            with pytest.raises(SyntaxFailure):
                scan(data)
            continue
        found = scan(data)
        assert [token.kind for token in found] == [token.kind for token in tokens]
        places = {start: KINDS[kind] for start, _, kind in plain_constants(data) or ()}
        for token, first in zip(found, tokens, strict=True):
            if token.start in places:
                assert token.kind == places[token.start]
            else:
                assert data[token.start : token.end] == sql.encode()[first.start : first.end]


def test_every_kind_is_varied() -> None:
    assert VALUES.keys() == KINDS.keys()
