"""Whether an analysis depends on the constants of its text: while it is made, each of them is kept where looking at it is noticed.

An analysis that never looked is that of every text of the same shape (:mod:`proxy.sql.shape`): it was made of what these texts
share. Nothing has to be known about what the analysis looks at, so that a new rule of it cannot be forgotten here.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from proxy.sql.parser import MAX_DEPTH, SHORT, Constant, Node, Statement, depth
from proxy.sql.shape import FIELDS, plain_constants, shape

# Statements whose constants all are A_Const nodes, or the shape is not used. Those of utility statements are options.
_KINDS = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_VALUES = frozenset({"ival", "fval", "sval", "bsval"})
_BEFORE_MINUS = b" \t\n\r\f\v("


@dataclass(frozen=True, slots=True)
class Constants:
    """The plain constants of a text of one statement; ``text``: that statement in its shape."""

    text: str
    kept: tuple[Constant, ...]

    @property
    def seen(self) -> bool:
        return any(constant.seen for constant in self.kept)


def keep(sql: str, statements: Sequence[Statement]) -> Constants | None:
    """Put a :class:`Constant` in the place of every value in a text's tree; None where its shape cannot be used."""
    data = sql.encode()
    general = shape(data)
    if general is None or len(statements) != 1 or statements[0].kind not in _KINDS or not _is_shallow(data, general):
        return None
    (statement,) = statements
    nodes = _unknown(data, list(_nodes(statement.node)))
    if nodes is None:
        return None
    kept = []
    for node in nodes:
        for field in _VALUES.intersection(node):
            node[field] = Constant(node[field])
            kept.append(node[field])
    behind = len(data) - statement.start - statement.length
    return Constants(general[statement.start : len(general) - behind].decode(), tuple(kept))


def _is_shallow(data: bytes, general: bytes) -> bool:
    """Whether the nesting of every text of this shape is allowed: that of short ones was not measured."""
    return len(general) <= MAX_DEPTH or len(data) > SHORT or depth(data) <= MAX_DEPTH


def _unknown(data: bytes, nodes: list[Node]) -> list[Node] | None:
    """The constants that the shape does not tell; None unless each plain constant of the text is known to have an A_Const of its own."""
    places: dict[int, Node] = {}
    for node in nodes:
        place = node.get("location", 0)
        if place >= 0 and place in places:
            return None
        places[place] = node
    found = plain_constants(data)
    if found is None or not all(FIELDS[kind] in places.pop(_place(data, start, places), {}) for start, kind in found):
        return None
    told = {id(node) for place, node in places.items() if data[place : place + 1].isdigit()}  # numbers that stand in the shape
    return [node for node in nodes if id(node) not in told]


def _place(data: bytes, start: int, places: Container[int]) -> int:
    """Where the tree says that a constant stands: a negative one stands at its minus. Less than 0: nowhere."""
    place = start
    while place >= 0 and place not in places:
        place = len(data[:place].rstrip(_BEFORE_MINUS)) - 1
        if data[place : place + 1] != b"-":
            return -2
    return place


def _nodes(tree: Node) -> Iterator[Node]:
    """Every A_Const."""
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            constant = node.get("A_Const")
            if constant is not None:
                yield constant
            waiting += [part for part in node.values() if part is not constant and isinstance(part, dict | list)]
