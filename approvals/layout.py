"""A statement laid out for reading: one clause on a line, words and values told apart.

It is cut by PostgreSQL's own scanner, so that a string is what PostgreSQL takes for one. Every token stays as it is and where it is;
only the white space between them changes. What will run is shown beside it, byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.visible import Piece, pieces
from proxy.sql import parser

LONGEST = 50_000  # bytes; who reads more than that reads the text itself

_WORDS = frozenset(
    "SELECT INSERT INTO UPDATE DELETE MERGE FROM WHERE SET VALUES RETURNING GROUP ORDER BY HAVING LIMIT OFFSET UNION EXCEPT INTERSECT"
    " ALL DISTINCT JOIN LEFT RIGHT FULL INNER OUTER CROSS NATURAL ON USING AS AND OR NOT IN IS NULL LIKE ILIKE BETWEEN EXISTS CASE WHEN"
    " THEN ELSE END WITH RECURSIVE CONFLICT DO NOTHING TRUE FALSE DEFAULT ANY SOME ASC DESC CREATE ALTER DROP TRUNCATE TABLE VIEW INDEX"
    " GRANT REVOKE TO COPY CALL EXPLAIN ANALYZE FOR LATERAL WINDOW OVER PARTITION FETCH MATCHED".split()
)
_CLAUSES = frozenset("FROM WHERE SET VALUES RETURNING GROUP ORDER HAVING LIMIT OFFSET UNION EXCEPT INTERSECT WINDOW USING FETCH".split())
_JOINS = frozenset("JOIN LEFT RIGHT FULL INNER CROSS NATURAL".split())
_QUERIES = frozenset("SELECT WITH VALUES INSERT UPDATE DELETE MERGE".split())
# Words behind which a clause word begins no clause: DELETE FROM, IS DISTINCT FROM, WITHIN GROUP, JOIN … USING.
_NOT_AFTER = {"FROM": ("DELETE", "DISTINCT"), "GROUP": ("WITHIN",), "VALUES": ("DEFAULT", "INSERT"), "SET": ("UPDATE",)}
_CLASSES = {"SCONST": "text", "USCONST": "text", "BCONST": "text", "XCONST": "text", "ICONST": "number", "FCONST": "number"}
_CLASSES |= {"PARAM": "parameter", "SQL_COMMENT": "comment", "C_COMMENT": "comment"}


@dataclass(frozen=True, slots=True)
class Span:
    """A token, or the white space before one (then ``kind`` is empty)."""

    kind: str
    pieces: tuple[Piece, ...]


def laid_out(sql: str) -> list[Span]:
    """The statement in lines; nothing where it is too long, or PostgreSQL's scanner cannot read it."""
    data = sql.encode("utf-8", "replace")
    if len(data) > LONGEST or "\0" in sql:
        return []
    try:
        tokens = parser.scan(data, comments=True)
    except parser.SyntaxFailure:
        return []
    spans: list[Span] = []
    for before, text, kind in _spaced(data, tokens):
        if before:
            spans.append(Span("", tuple(pieces(before))))
        spans.append(Span(kind, tuple(pieces(text))))
    return spans


def _spaced(data: bytes, tokens: list[parser.Token]) -> Iterator[tuple[str, str, str]]:
    """White space, text and kind of each token."""
    brackets: list[bool] = []  # of those that are open: whether a query stands in it
    merging = between = joined = False
    words = [data[token.start : token.end].decode("utf-8", "replace").upper() for token in tokens]
    for position, token in enumerate(tokens):
        text, word = data[token.start : token.end].decode("utf-8", "replace"), words[position]
        before = words[position - 1] if position else ""
        closes = brackets.pop() if word == ")" and brackets else False
        depth = sum(brackets)
        plain = bool(brackets) and not brackets[-1]
        merging = merging or word == "MERGE"
        begins = closes or (not plain and _begins(word, before, merging=merging, joined=joined))
        if word in ("AND", "OR") and not plain:
            begins, between = not between, between and word != "AND"
        between = between or word == "BETWEEN"
        joined = (joined or word == "JOIN") and word not in _CLAUSES
        if position == 0:
            space = ""
        elif tokens[position - 1].kind == "SQL_COMMENT" or begins:
            space = "\n" + "  " * depth + ("  " if word in ("AND", "OR") else "")
        else:
            space = " " if tokens[position - 1].end < token.start else ""
        yield space, text, _CLASSES.get(token.kind) or ("word" if word in _WORDS and token.kind != "IDENT" else "name")
        if word == "(":
            following = words[position + 1] if position + 1 < len(words) else ""
            brackets.append(following in _QUERIES)


def _begins(word: str, before: str, *, merging: bool, joined: bool) -> bool:
    if word in _JOINS:
        return before not in _JOINS and before not in ("OUTER",)
    if word == "WHEN":
        return merging
    if word in _QUERIES and (before in ("(", ")") or (word == "SELECT" and before)):
        return True
    if word == "USING" and joined:
        return False
    return word in _CLAUSES and before not in _NOT_AFTER.get(word, ())
