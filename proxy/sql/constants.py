"""Whether an analysis depends on the constants of its text: while it is made, each of them is kept where looking at it is noticed.

An analysis that never looked is that of every text of the same shape (:mod:`proxy.sql.shape`): it was made of what these texts
share. Nothing has to be known about what the analysis looks at, so that a new rule of it cannot be forgotten here.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.sql.parser import CHANGES, MAX_DEPTH, SHORT, Constant, Node, Statement, depth
from proxy.sql.shape import FIELDS, plain_constants, shape

# Statements whose constants all are A_Const nodes, or the shape is not used. Those of utility statements are options.
_KINDS = CHANGES | {"SelectStmt"}
_VALUES = frozenset({"ival", "fval", "sval", "bsval"})
_SPACE = b" \t\n\r\f\v"
_WORD = re.compile(rb"[A-Za-z_]+")
_PARAMETER = re.compile(r"\$([0-9]+)")


@dataclass(frozen=True, slots=True)
class Constants:
    """The constants of a text of one statement; ``text``: the statement in its shape; ``between``: what stands around them in it."""

    text: str
    between: tuple[str, ...]
    kept: tuple[Constant, ...]

    @property
    def seen(self) -> bool:
        return any(constant.seen for constant in self.kept)

    def left_nothing(self, normalised: str) -> bool:
        """Whether a normalised text is the statement with its constants numbered, in whatever order, and nothing else."""
        place, numbers = 0, []
        for part in self.between[:-1]:
            number = _PARAMETER.match(normalised, place + len(part))
            if number is None or normalised[place : number.start()] != part:
                return False
            numbers.append(int(number[1]))
            place = number.end()
        first = min(numbers, default=1)
        return normalised[place:] == self.between[-1] and sorted(numbers) == list(range(first, first + len(numbers)))


def keep(sql: str, statements: Sequence[Statement]) -> Constants | None:
    """Put a :class:`Constant` in the place of every value in a text's tree that its shape does not tell; None where it has none to use."""
    data = sql.encode()
    general = shape(data)
    if general is None or len(statements) != 1 or statements[0].kind not in _KINDS or not _is_shallow(data, general):
        return None
    (statement,) = statements
    nodes = nodes_of(statement.node)
    spans = _spans(data, nodes)
    if spans is None:
        return None
    kept = []
    for node in nodes:
        for field in _VALUES.intersection(node) if node.get("location", 0) in spans or node.get("location", 0) < 0 else ():
            node[field] = Constant(node[field])
            kept.append(node[field])
    end = statement.start + statement.length
    text = general[statement.start : len(general) - len(data) + end].decode()
    return Constants(text, _between(data[:end], sorted(spans.items()), statement.start), tuple(kept))


def _is_shallow(data: bytes, general: bytes) -> bool:
    """Whether the nesting of every text of this shape is allowed: that of short ones was not measured."""
    return len(general) <= MAX_DEPTH or len(data) > SHORT or depth(data) <= MAX_DEPTH


def _spans(data: bytes, nodes: Sequence[Node]) -> dict[int, int] | None:
    """Where constants begin and end, but for numbers that stand in the shape as they are.

    None unless each plain constant of the text is known to have an A_Const of its own, of its kind.
    """
    places = {place: node for node in nodes if (place := node.get("location", 0)) >= 0}
    spans = {}
    for start, end, kind in plain_constants(data) or ():
        place = _place(data, start, places)
        if FIELDS[kind] not in places.pop(place, {}):
            return None
        spans[place] = end
    for place in places:
        word = _WORD.match(data, place)  # TRUE, or EXTRACT (year FROM …)
        if word is not None:
            spans[place] = word.end()
        elif not data[place : place + 1].isdigit():
            return None
    return spans


def _place(data: bytes, start: int, places: Container[int]) -> int:
    """Where the tree says that a constant stands: a negative one stands at its minus. Less than 0: nowhere.

    Of ``-(5)`` and ``- - 5`` the normalised text would keep the 5.
    """
    if start in places:
        return start
    minus = len(data[:start].rstrip(_SPACE)) - 1
    return minus if data[minus : minus + 1] == b"-" else -1


def _between(data: bytes, spans: Sequence[tuple[int, int]], start: int) -> tuple[str, ...]:
    bounds = [start, *(bound for span in spans for bound in span), len(data)]
    return tuple(data[begin:end].decode() for begin, end in zip(bounds[::2], bounds[1::2], strict=True))


def nodes_of(tree: Node) -> list[Node]:
    """Every A_Const."""
    found: list[Node] = []
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        for part in node if type(node) is list else node.values():
            if type(part) is dict and "A_Const" in part:
                found.append(part["A_Const"])
            elif type(part) is dict or type(part) is list:
                waiting.append(part)
    return found
