"""Statements laid out for reading: nothing but white space differs, whatever the text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.layout import LONGEST, laid_out
from proxy.sql import parser

STATEMENTS = {
    "UPDATE t c SET a=$1 FROM o WHERE o.i = c.i AND o.n BETWEEN 1 AND 5 AND c.i IN (SELECT i FROM x WHERE a=1 OR b=2) RETURNING c.i": """\
UPDATE t c
SET a=$1
FROM o
WHERE o.i = c.i
  AND o.n BETWEEN 1 AND 5
  AND c.i IN (
  SELECT i
  FROM x
  WHERE a=1
    OR b=2
)
RETURNING c.i""",
    "DELETE FROM t -- all of\nWHERE a IS DISTINCT FROM extract(year FROM d) AND (b OR c)": """\
DELETE FROM t -- all of
WHERE a IS DISTINCT FROM extract(year FROM d)
  AND (b OR c)""",
    "SELECT a FROM t LEFT OUTER JOIN u USING (i) GROUP BY a ORDER BY 1": """\
SELECT a
FROM t
LEFT OUTER JOIN u USING (i)
GROUP BY a
ORDER BY 1""",
    "MERGE INTO t USING s ON t.i=s.i WHEN MATCHED THEN DELETE": "MERGE INTO t\nUSING s ON t.i=s.i\nWHEN MATCHED THEN DELETE",
}


def text_of(sql: str) -> str:
    return "".join(piece.text for span in laid_out(sql) for piece in span.pieces)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_clause_begins_a_line(sql: str) -> None:
    assert text_of(sql) == STATEMENTS[sql]


WORDS = "SELECT FROM WHERE ( ) 'a  b' \"x y\" $q$ a $q$ -- c\n /* d */ , ; AND BETWEEN 7 x . = $1 JOIN VALUES".split(" ")


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS)))
def test_no_token_changes(words: list[str]) -> None:
    sql = " ".join(words)
    try:
        before = parser.scan(sql.encode(), comments=True)
    except parser.SyntaxFailure:
        assert laid_out(sql) == []
        return
    shown = text_of(sql).encode()
    after = parser.scan(shown, comments=True)
    assert [shown[t.start : t.end] for t in after] == [sql.encode()[t.start : t.end] for t in before]


def test_words_values_and_comments_are_told_apart() -> None:
    kinds = {"".join(piece.text for piece in span.pieces): span.kind for span in laid_out("SELECT 'from', 7, $1, \"where\" FROM t -- FROM")}
    expected = {"SELECT": "word", "'from'": "text", "7": "number", "$1": "parameter", '"where"': "name", "t": "name", "-- FROM": "comment"}
    assert expected.items() <= kinds.items()


def test_what_cannot_be_seen_is_spelt_out_here_too() -> None:
    pieces = [piece for span in laid_out("SELECT 'a\u202eb'") for piece in span.pieces]
    assert [piece.text for piece in pieces if piece.kind == "hidden"] == ["U+202E"]


@pytest.mark.parametrize("sql", ["SELECT 'x", "SELECT '" + "x" * LONGEST + "'", "a\0b", ""])
def test_what_cannot_be_cut_is_not_laid_out(sql: str) -> None:
    assert laid_out(sql) == []
