"""The parser: guards, errors, tokens, and the comparison of trees."""

from __future__ import annotations

import pytest

from proxy.sql.parser import MAX_BYTES, SyntaxFailure, TooMuch, is_tree, normalise, parse, parse_rewritten, plpgsql_tree, same, scan


def test_statements_have_their_bytes() -> None:
    first, second = parse("SELECT 'é'; DROP TABLE x ;")
    assert (first.kind, first.start, first.length) == ("SelectStmt", 0, 11)
    assert (second.kind, second.start, second.length) == ("DropStmt", 13, 13)
    assert parse(" -- nothing\n;;") == ()


def test_errors_say_where_in_characters() -> None:
    with pytest.raises(SyntaxFailure, match='syntax error at or near "FROM"') as caught:
        parse("SELECT '日本' FROM FROM")
    assert caught.value.position == 18
    with pytest.raises(SyntaxFailure, match="unterminated quoted string"):
        parse("SELECT 'x")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT 1" + " + 1" * 3000,
        "SELECT " + "NOT " * 3000 + "true",
        "SELECT 1" + "::int" * 3000,
        " UNION ALL ".join(["SELECT 1"] * 3000),
        "SELECT * FROM a" + " JOIN b ON true" * 3000,
        "SELECT " + "CASE WHEN true THEN " * 3000 + "1" + " END" * 3000,
        "SELECT " + "ARRAY[" * 3000 + "1" + "]" * 3000,
        "SELECT " + "f(1, " * 3000 + "1" + ")" * 3000,
        "SELECT 1" + " + f(1, 2)" * 3000,
    ],
    ids=lambda sql: sql[:22],
)
def test_deep_texts_never_reach_the_parser(sql: str) -> None:
    with pytest.raises(TooMuch, match="nested too deeply"):
        parse(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 WHERE " + " AND ".join(["a = 1"] * 3000),
        "SELECT 1 WHERE " + " OR ".join(["a = 1"] * 3000),
        "INSERT INTO t VALUES " + ", ".join(["(1, -2, 'x'::text)"] * 3000),
        "SELECT '" + "((((" * 3000 + "'",
        "SELECT 1; " * 3000,
    ],
    ids=lambda sql: sql[:22],
)
def test_long_texts_that_are_flat_do(sql: str) -> None:
    assert parse(sql)


def test_length_and_nul_bytes() -> None:
    with pytest.raises(TooMuch, match="NUL"):
        parse("SELECT 1\0; DROP TABLE x")
    with pytest.raises(TooMuch, match="longer"):
        parse("SELECT '" + "x" * MAX_BYTES + "'")


def test_tokens_leave_comments_out() -> None:
    sql = 'SELECT é /* x */ FROM "a" . b -- y'
    data = sql.encode()
    assert [data[token.start : token.end].decode() for token in scan(data)] == ["SELECT", "é", "FROM", '"a"', ".", "b"]


def test_trees_are_compared_without_their_positions() -> None:
    one, other, different = (parse(sql)[0].node for sql in ("SELECT a,b FROM c", "SELECT  a ,  b\nFROM c", "SELECT b,a FROM c"))
    assert same(one, other)
    assert not same(one, different)
    # A string that looks like a position is not one.
    assert not same(parse("""SELECT '"location":1'""")[0].node, parse("""SELECT '"location":2'""")[0].node)


def test_constants_are_replaced() -> None:
    assert normalise("SELECT 'x', 1 FROM t WHERE a = 3.5") == "SELECT $1, $2 FROM t WHERE a = $3"


def test_plpgsql_that_cannot_be_read_is_an_error() -> None:
    assert plpgsql_tree("DO $$ BEGIN PERFORM 1; END $$")
    for text in ("DO $$ BEGIN NONSENSE END $$", "DO $$ \0 $$"):
        with pytest.raises(ValueError):  # noqa: PT011 - which one is the library's affair
            plpgsql_tree(text)


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT a < b, c <> d, '<\\u003c>\"/é\t' FROM t; TABLE x;", "COPY t (a) TO STDOUT"])
def test_a_tree_is_recognised_as_it_stands(sql: str) -> None:
    """Were it not, each masked statement would be compared the slow way."""
    statements = [{one.kind: one.node} for one in parse(sql)]
    assert is_tree(statements, parse_rewritten(sql, sql))
    assert is_tree(statements, parse_rewritten(f"/* */  {sql}", sql))


@pytest.mark.parametrize("other", ["SELECT '<' FROM t", "SELECT '\\u003c' FROM t", "SELECT '\\<' FROM t; SELECT 1", "SELECT '\\<' FROM u"])
def test_another_tree_is_not(other: str) -> None:
    assert not is_tree([{one.kind: one.node} for one in parse("SELECT '\\<' FROM t")], parse_rewritten(other, other))


def test_a_rewritten_text_of_a_long_one_is_measured() -> None:
    deep = f"SELECT {'(' * 5_000}1{')' * 5_000}"
    with pytest.raises(TooMuch):
        parse_rewritten(deep, deep)
