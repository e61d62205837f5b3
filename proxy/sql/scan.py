"""Scan masking: a relation with masked columns becomes a sub-select that yields masked values.

The statement's text is changed at the places of the names only, never written anew. The changed text is parsed again and
must equal the original tree with exactly those nodes replaced; anything else is :class:`CannotSplice`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.policy.masks import Mask, sql_expression
from proxy.sql.catalog import Relation, quote
from proxy.sql.parser import (
    Node,
    Statement,
    SyntaxFailure,
    Token,
    TooMuch,
    is_tree,
    parse,
    parse_rewritten,
    same,
    scan,
    statements_of,
)  # fmt: skip
from proxy.sql.scope import Use
from proxy.sql.walk import Qualified

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
_HERE = "_"  # the relation's name inside its sub-select


class CannotSplice(Exception):
    """The statement cannot be rewritten; the message says why, for the client."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """One relation to be masked where it is read."""

    use: Use
    masks: dict[int, Mask]
    made: dict[tuple[object, ...], tuple[str, Node]] = field(default_factory=dict)  # shared by all uses of the relation
    rows: str = ""  # a condition on its rows


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


def splice(sql: str, statements: Sequence[Statement], replacements: Sequence[Replacement], qualified: Sequence[Qualified]) -> str:
    """The text with its masked relations replaced.

    Raises:
        CannotSplice: the text cannot be changed so that it means the same but for the masks.
    """
    data = sql.encode()
    cutter = _Cutter(data)
    for replacement in replacements:
        cutter.replace(replacement)
    replaced = {id(replacement.use) for replacement in replacements}
    for reference in qualified:
        if any(id(use) in replaced for use in reference.uses):
            cutter.shorten(reference)
    text = cutter.apply()
    _check(text, sql, statements, cutter.instead)
    return text


class _Cutter:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tokens = scan(data)
        self.at = {token.start: index for index, token in enumerate(self.tokens)}
        self.edits: dict[tuple[int, int], _Edit] = {}
        self.instead: dict[int, Node] = {}  # id of an original node -> the node that must stand there afterwards

    def replace(self, replacement: Replacement) -> None:
        use = replacement.use
        if use.copied is not None:
            self._replace_copied(replacement, use.copied)
            return
        if use.starred and use.system_columns:
            raise CannotSplice(f"{use.relation.full_name} is read with * and system columns together")
        first, last = self._name(use.node)
        sample = self._cut_sample(use.sample) if use.sample is not None else ""
        select, tree = self._select(replacement, not use.node.get("inh"), sample, tuple(sorted(use.system_columns)))
        alias = use.node.get("alias")
        name = "" if alias else f" AS {quote(use.node['relname'])}"
        command = ""
        if self._kind(first - 1) == "TABLE":  # TABLE x is short for SELECT * FROM x, and takes no sub-select
            first, command = first - 1, "SELECT * FROM "
        self._edit(self.tokens[first].start, self.tokens[last].end, f"{command}({select}){name}")
        node = {"RangeSubselect": {"subquery": tree, "alias": alias or {"aliasname": use.node["relname"]}}}
        self.instead[id(use.node if use.sample is None else use.sample)] = node

    def _replace_copied(self, replacement: Replacement, copy: Node) -> None:
        relation = replacement.use.relation
        first, last = self._name(copy["relation"])
        names = [name["String"]["sval"] for name in copy.get("attlist", ())]
        if names:
            last = self._closing(last + 1)
        elif any(column.generated for column in relation.columns):
            names = [column.name for column in relation.columns if not column.generated]  # COPY leaves generated columns out
        # COPY of a table reads that table alone; of a partitioned one PostgreSQL refuses it, so nothing is lost.
        only = relation.kind == "r" and bool(relation.children)
        select, tree = self._select(replacement, only, "", (), tuple(names))
        self._edit(self.tokens[first].start, self.tokens[last].end, f"({select})")
        kept = {key: value for key, value in copy.items() if key not in ("relation", "attlist")}
        self.instead[id(copy)] = {**kept, "query": tree}

    def _select(
        self, replacement: Replacement, only: bool, sample: str, extra: tuple[str, ...], columns: tuple[str, ...] = ()
    ) -> tuple[str, Node]:
        """The sub-select and its tree, made once for each shape in which a masked relation is used."""
        key = (only, sample, extra, columns)
        made = replacement.made.get(key)
        if made is None:
            text = sub_select(replacement.use.relation, replacement.masks, only=only, sample=sample, extra=extra, columns=columns)
            text += f" WHERE {replacement.rows}" if replacement.rows else ""
            made = (text, _tree(text))
            if not sample and not columns:
                replacement.made[key] = made
        return made

    def shorten(self, reference: Qualified) -> None:
        """``schema.relation.column`` becomes ``relation.column``: the sub-select has no schema."""
        first = self._index(reference.node)
        keep = self._last(first, reference.extra + 1, whole=False)
        self._edit(self.tokens[first].start, self.tokens[keep].start, "")
        self.instead[id(reference.node)] = {**reference.node, "fields": reference.node["fields"][reference.extra :]}

    def _index(self, node: Node) -> int:
        index = self.at.get(node.get("location", 0))
        if index is None:
            raise CannotSplice("a name's place in the text is not known")
        return index

    def _last(self, first: int, parts: int, *, whole: bool = True) -> int:
        """The token that the last part of a name with dots ends with, or (not ``whole``) begins with."""
        index = first
        for part in range(parts):
            if part:
                if self._kind(index + 1) != "ASCII_46":
                    raise CannotSplice("a name is written in a way that cannot be replaced")
                index += 2
            if (whole or part < parts - 1) and self._kind(index) == "UIDENT" and self._kind(index + 1) == "UESCAPE":
                index += 2  # U&"…" UESCAPE '!'
        if index >= len(self.tokens):
            raise CannotSplice("a name is written in a way that cannot be replaced")
        return index

    def _name(self, node: Node) -> tuple[int, int]:
        """First and last token of a relation's name, with ONLY and * around it."""
        first = self._index(node)
        parts = sum(key in node for key in ("catalogname", "schemaname", "relname"))
        last = self._last(first, parts)
        if not node.get("inh"):
            if self._kind(first - 1) == "ASCII_40" and self._kind(last + 1) == "ASCII_41":
                first, last = first - 1, last + 1
            if self._kind(first - 1) != "ONLY":
                raise CannotSplice("a name is written in a way that cannot be replaced")
            first -= 1
        elif self._kind(last + 1) == "ASCII_42":
            last += 1
        return first, last

    def _kind(self, index: int) -> str:
        return self.tokens[index].kind if 0 <= index < len(self.tokens) else ""

    def _cut_sample(self, sample: Node) -> str:
        """Take the TABLESAMPLE clause out of the text; it moves into the sub-select."""
        first = self._index(sample)
        if self._kind(first - 1) != "TABLESAMPLE":
            raise CannotSplice("a TABLESAMPLE clause cannot be moved")
        last = first
        while self._kind(last) != "ASCII_40":
            last += 1
        last = self._closing(last)
        if self._kind(last + 1) == "REPEATABLE":
            last = self._closing(last + 2)
        start, end = self.tokens[first - 1].start, self.tokens[last].end
        self._edit(start, end, "")
        return " " + self.data[start:end].decode()

    def _closing(self, index: int) -> int:
        depth = 0
        while index < len(self.tokens):
            depth += {"ASCII_40": 1, "ASCII_41": -1}.get(self.tokens[index].kind, 0)
            if depth <= 0:
                return index
            index += 1
        raise CannotSplice("a bracket is not closed")

    def _edit(self, start: int, end: int, text: str) -> None:
        # The same place can be named by several nodes: SET (a, b) = (SELECT …) repeats its query in the tree.
        self.edits[start, end] = _Edit(start, end, text)

    def apply(self) -> str:
        parts, done = [], 0
        for edit in sorted(self.edits.values(), key=lambda edit: edit.start):
            if edit.start < done:
                raise CannotSplice("masked relations stand inside one another's clauses")
            # Blanks keep the neighbours apart where only a comment or nothing did.
            parts += [self.data[done : edit.start].decode(), f" {edit.text} " if edit.text else " "]
            done = edit.end
        return "".join([*parts, self.data[done:].decode()])


def sub_select(
    relation: Relation, masks: dict[int, Mask], *, only: bool, sample: str, extra: Sequence[str], columns: Sequence[str] = ()
) -> str:
    """``SELECT …`` of a relation's columns in their order (or of these), masked ones as their expression."""
    outputs = []
    chosen = [column for name in columns if (column := relation.column(name))] if columns else relation.columns
    for column in chosen:
        reference = f"{_HERE}.{_label(column.name)}"
        mask = masks.get(column.attnum)
        outputs.append(reference if mask is None else f"{sql_expression(mask, column, reference)} AS {_label(column.name)}")
    outputs += [f"{_HERE}.{name} AS {name}" for name in extra]
    where = f"{_label(relation.schema)}.{_label(relation.name)}" if relation.schema == "pg_catalog" else (
        f"{quote(relation.schema)}.{_label(relation.name)}"
    )
    # Names are quoted, the rest is of our making.
    return f"SELECT {', '.join(outputs)} FROM {'ONLY ' if only else ''}{where} AS {_HERE}{sample}"  # noqa: S608


def _label(name: str) -> str:
    # After a dot or AS every keyword is a name.
    return name if _PLAIN_NAME.match(name) else quote(name)


def _tree(select: str) -> dict[str, Any]:
    (statement,) = parse(select)
    return {statement.kind: statement.node}


def _check(text: str, original: str, statements: Sequence[Statement], instead: dict[int, Node]) -> None:
    expected = [{one.kind: _replaced(one.node, instead)} for one in statements]
    try:
        tree = parse_rewritten(text, original)
        if is_tree(expected, tree):
            return
        after = statements_of(tree, len(text))
    except (SyntaxFailure, TooMuch) as error:
        raise CannotSplice("the masked statement would not be valid") from error
    if not same(expected, [{one.kind: one.node} for one in after]):
        raise CannotSplice("the masked statement would not mean the same")


def _replaced(node: Any, instead: dict[int, Node]) -> Any:
    """The original tree with the other nodes in their places."""
    if isinstance(node, list):
        return [_replaced(part, instead) for part in node]
    if not isinstance(node, dict):
        return node
    other = instead.get(id(node))
    if other is not None:
        return other
    if len(node) == 1:
        return _replaced_only(node, instead)
    return {key: _replaced(part, instead) if isinstance(part, dict | list) else part for key, part in node.items()}


def _replaced_only(node: Node, instead: dict[int, Node]) -> Node:
    """A wrapper ``{type: fields}``: a relation's is replaced with its type."""
    ((key, part),) = node.items()
    if key in _LEAVES:
        return {key: instead[id(part)]} if id(part) in instead else node
    if key in ("RangeVar", "RangeTableSample") and id(part) in instead:
        return instead[id(part)]
    return {key: _replaced(part, instead)}


# Nothing that is replaced stands inside of these.
_LEAVES = frozenset({"String", "Integer", "A_Const", "ColumnRef"})


__all__ = ["CannotSplice", "Replacement", "Token", "splice", "sub_select"]
