"""PostgreSQL's own grammar (libpg_query): text in, JSON tree, tokens and normalised text out.

The library is C: a text that nests too deeply overruns its stack and kills the process, so length, NUL bytes and nesting
are measured before any parse. The JSON tree is used because the protobuf one stops at 100 levels. Fields whose value is
zero are left out of it: a missing ``location`` is position 0. Positions are byte offsets into the UTF-8 text.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator, Sequence
from ctypes import string_at
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

Node = dict[str, Any]

CHANGES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
QUERY_BEGINS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "ASCII_40"})  # kinds of the token that a query can begin with

MAX_BYTES = 1_000_000
MAX_DEPTH = 1_000
SHORT = 2_000  # a text of so few bytes cannot nest deeply enough to hurt the C code

# Operators and words that make the tree one level deeper; AND and OR are not among them, the grammar flattens chains of these.
_DEEPER = frozenset({
    "TYPECAST", "Op", "LESS_EQUALS", "GREATER_EQUALS", "NOT_EQUALS", "EQUALS_GREATER", "RIGHT_ARROW", "COLON_EQUALS", "ASCII_43",
    "ASCII_45", "ASCII_42", "ASCII_47", "ASCII_37", "ASCII_94", "ASCII_60", "ASCII_61", "ASCII_62", "UNION", "EXCEPT", "INTERSECT",
    "JOIN", "NOT", "COLLATE", "AT", "IS", "IN_P", "LIKE", "ILIKE", "SIMILAR", "BETWEEN", "ISNULL", "NOTNULL", "OPERATOR",
})
_OPEN = frozenset({"ASCII_40", "ASCII_91", "CASE"})  # ( [
_CLOSE = frozenset({"ASCII_41", "ASCII_93", "END_P"})
_FLAT = frozenset({"ASCII_44", "ASCII_59", "AND", "OR"})  # , ;


class SyntaxFailure(Exception):
    """PostgreSQL's grammar refuses the text; ``position`` counts characters from 1 (0: unknown)."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class TooMuch(Exception):
    """The text is not given to the parser at all; the message says why."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One top-level statement: its node type, its fields, and where it stands (bytes)."""

    kind: str
    node: Node
    start: int
    length: int


class Constant:
    """The value of a constant in a tree, and whether somebody looked at it. That it is there, and of which kind, is no secret.

    It passes for the dictionary that it stands for, so that no walk through the tree goes by without a look.
    """

    __slots__ = ("_value", "seen")
    __hash__ = None  # type: ignore[assignment]  # as of a dictionary

    def __init__(self, value: Node) -> None:
        self._value = value
        self.seen = False

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return dict

    def look(self) -> Node:
        self.seen = True
        return self._value

    def __getattr__(self, name: str) -> Any:
        return getattr(self.look(), name)

    def __getitem__(self, key: str) -> Any:
        return self.look()[key]

    def __contains__(self, key: str) -> bool:
        return key in self.look()

    def __iter__(self) -> Iterator[str]:
        return iter(self.look())

    def __len__(self) -> int:
        return len(self.look())

    def __eq__(self, other: object) -> bool:
        return self.look() == (other.look() if type(other) is Constant else other)


class Token(NamedTuple):
    """One lexical token; ``kind`` as libpg_query names it (``IDENT``, ``ASCII_46`` is the dot, ``FROM``, …)."""

    start: int
    end: int
    kind: str


@functools.cache
def _library() -> Any:
    # Imported late: loading the grammar takes a third of a second, and only analysis processes need it.
    return importlib.import_module("postgast.native").lib


@functools.cache
def _token_types() -> tuple[Any, dict[int, str]]:
    messages: Any = importlib.import_module("postgast.pg_query_pb2")
    return messages.ScanResult, {number: name for name, number in messages.Token.items()}


@functools.cache
def _steps() -> dict[int, str]:
    """What a token of this number means for the depth: ``open``, ``close``, ``flat`` or ``deeper``; the others are left out."""
    classes = {"open": _OPEN, "close": _CLOSE, "flat": _FLAT, "deeper": _DEEPER}
    return {number: step for number, name in _token_types()[1].items() for step, names in classes.items() if name in names}


def parse(sql: str) -> tuple[Statement, ...]:
    """Parse a query text.

    Raises:
        TooMuch: too long, too deep, or with a NUL byte.
        SyntaxFailure: not a statement of PostgreSQL.
    """
    data = sql.encode()
    guard(sql, data)
    return statements_of(_tree(data), len(data))


def parse_rewritten(text: str, original: str) -> bytes:
    """The tree, as JSON, of a text that was made of a parsed one by putting shallow sub-selects in.

    Raises:
        TooMuch: too long, too deep, or with a NUL byte.
        SyntaxFailure: not a statement of PostgreSQL.
    """
    data = text.encode()
    # Where the original was short, so that its depth was not measured, ours needs not be: it is a few levels more.
    guard(text, data, measure=len(original.encode()) > SHORT)
    return _tree(data)


def _tree(data: bytes) -> bytes:
    library = _library()
    result = library.pg_query_parse(data)
    try:
        if result.error:
            raise _failure(result.error.contents)
        return bytes(result.parse_tree)
    finally:
        library.pg_query_free_parse_result(result)


def statements_of(tree: bytes, size: int) -> tuple[Statement, ...]:
    """The statements of a tree in JSON; ``size`` is the text's, in bytes."""
    try:
        decoded = msgspec.json.decode(tree)
    except RecursionError:
        raise TooMuch("the statement is nested too deeply to be analysed") from None
    return tuple(_statement(raw, size) for raw in decoded.get("stmts", ()))


def _statement(raw: Node, size: int) -> Statement:
    start = raw.get("stmt_location", 0)
    ((kind, node),) = raw["stmt"].items()
    return Statement(kind, node, start, raw.get("stmt_len", 0) or size - start)


def _failure(error: Any) -> SyntaxFailure:
    return SyntaxFailure(error.message.decode("utf-8", "replace"), max(error.cursorpos, 0))


def guard(sql: str, data: bytes, *, measure: bool = True) -> None:
    """Refuse what could harm the parser; ``measure`` the nesting of a long text.

    Raises:
        TooMuch: too long, too deep, or with a NUL byte.
    """
    if "\0" in sql:
        raise TooMuch("the statement contains a NUL byte")
    if len(data) > MAX_BYTES:
        raise TooMuch(f"the statement is longer than {MAX_BYTES} bytes")
    if measure and len(data) > SHORT and depth(data) > MAX_DEPTH:
        raise TooMuch("the statement is nested too deeply to be analysed")


def depth(data: bytes) -> int:
    """An upper bound for the depth of the tree: open brackets plus the operators chained since the last separator."""
    levels, deepest, total = [0], 0, 0
    steps = _steps()
    for token in _tokens(data):
        step = steps.get(token.token)
        if step is None:
            continue
        if step == "open":
            levels.append(1)
            total += 1
        elif step == "close" and len(levels) > 1:
            total -= levels.pop()
        elif step == "flat":
            total -= levels[-1] - (len(levels) > 1)
            levels[-1] = int(len(levels) > 1)
        elif step == "deeper":
            levels[-1] += 1
            total += 1
        if total > deepest:
            deepest = total
    return deepest


def scan(data: bytes, *, comments: bool = False) -> list[Token]:
    """The tokens of a text, with its comments or without.

    Raises:
        SyntaxFailure: the scanner refuses the text (an unterminated string, say).
    """
    names = _token_types()[1]
    tokens = [Token(token.start, token.end, names[token.token]) for token in _tokens(data)]
    return tokens if comments else [token for token in tokens if token.kind not in ("SQL_COMMENT", "C_COMMENT")]


def _tokens(data: bytes) -> Any:
    """The library's own tokens, comments among them."""
    library = _library()
    result = library.pg_query_scan(data)
    try:
        if result.error:
            raise _failure(result.error.contents)
        return _token_types()[0].FromString(string_at(result.pbuf.data, result.pbuf.len)).tokens
    finally:
        library.pg_query_free_scan_result(result)


def normalise(text: str) -> str:
    """The text with its constants replaced by ``$n``; empty where the library cannot say."""
    library = _library()
    result = library.pg_query_normalize(text.encode())
    try:
        return "" if result.error else result.normalized_query.decode()
    finally:
        library.pg_query_free_normalize_result(result)


def plpgsql_tree(definition: str) -> Any:
    """The tree of a ``CREATE FUNCTION`` or ``DO`` statement in PL/pgSQL.

    Raises:
        ValueError: the library cannot read it.
    """
    library = _library()
    data = definition.encode()
    if "\0" in definition or len(data) > MAX_BYTES:
        raise ValueError("not a text for the parser")
    result = library.pg_query_parse_plpgsql(data)
    try:
        if result.error:
            raise ValueError("PL/pgSQL that cannot be read")
        return msgspec.json.decode(result.plpgsql_funcs)
    finally:
        library.pg_query_free_plpgsql_parse_result(result)


_PLACE = (
    rb'"(?:location|stmt_location|stmt_len|name_location|list_start|list_end|rexpr_list_start|rexpr_list_end)":-?[0-9]+'
)
# Behind another field, and as a node's first one. Patterns that begin with plain characters are found several times faster.
_LATER_PLACE, _FIRST_PLACE = re.compile(rb"," + _PLACE), re.compile(rb"\{" + _PLACE + rb",?")


def same(one: object, other: object) -> bool:
    """Whether two trees are equal, positions aside."""
    return _bare(one) == _bare(other)


def is_statement(text: str, wrapped: Node) -> bool:
    """Whether a text is just this one statement."""
    try:
        statements = parse(text)
    except (SyntaxFailure, TooMuch):
        return False
    return len(statements) == 1 and same({statements[0].kind: statements[0].node}, wrapped)


def nodes(tree: Any) -> Iterator[Node]:
    """Every node of a tree, whatever its kind."""
    left = [tree]
    while left:
        found = left.pop()
        if isinstance(found, dict):
            yield found
            left += found.values()
        elif isinstance(found, list):
            left += found


def is_tree(statements: Sequence[object], tree: bytes) -> bool:
    """Whether a tree in JSON is certain to hold these statements, positions aside. False does not mean that it holds others."""
    # The library writes the fields of a node in one order, and they were read in that; these characters it escapes, msgspec does not.
    expected = msgspec.json.encode([{"stmt": statement} for statement in statements], enc_hook=Constant.look)
    expected = expected.replace(b"<", b"\\u003c").replace(b">", b"\\u003e")
    return _without_places(expected) == _without_places(tree[tree.find(b'"stmts":') + 8 : -1])


def _bare(tree: object) -> bytes:
    return _without_places(msgspec.json.encode(tree, order="sorted", enc_hook=Constant.look))


def _without_places(tree: bytes) -> bytes:
    # Inside a string the quotes would be escaped, so nothing but a field of the tree matches.
    return _FIRST_PLACE.sub(b"{", _LATER_PLACE.sub(b"", tree))
