"""Parameters that approvers are not shown: values that are compared with, or written into, a column that some rule masks.

Whoever approves need not be cleared for the column, and sees the column's name; so such a value is not even stored. It goes by the
names in the statement: where these say too little (sub-queries, names given to columns, no list of columns to insert into), all
parameters of a statement on a table with masked columns are withheld. Constants inside the statement are part of what is approved and
stay readable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from approvals.payload import Payload
from policies import services as policy
from proxy.policy.names import NamePattern, parse_pattern
from proxy.sql import parser

# Nodes whose parts have nothing to do with each other. In every other one parameter and column meet.
_APART = frozenset(
    "SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt MergeWhenClause OnConflictClause JoinExpr BoolExpr List ResTarget".split()
)
# Where these are, a name need not be that of a table's column.
_RENAMING = frozenset("SubLink RangeSubselect CommonTableExpr RangeFunction WithClause".split())


def without_secrets(asked: Payload) -> dict[str, Any]:
    """``parameters`` and ``preview`` as they are kept and shown: without the text of what is withheld, and without a plan that shows it."""
    secret = _secret(asked)
    kept = [_kept(msgspec.to_builtins(item), secret is None or item.n in secret) for item in asked.parameters]
    preview: dict[str, Any] | None = msgspec.to_builtins(asked.preview)
    if preview and preview["plan"] and any("withheld" in item for item in kept):
        preview |= {"plan": "", "notes": [*preview["notes"], "The plan is not shown, since it would show parameters that are withheld."]}
    return {"parameters": kept, "preview": preview}


def _kept(parameter: dict[str, Any], withheld: bool) -> dict[str, Any]:
    return parameter | {"text": None, "withheld": True} if withheld else parameter


def _secret(asked: Payload) -> frozenset[int] | None:
    """Numbers of the parameters to withhold; None: all of them."""
    if not asked.parameters:
        return frozenset()
    columns = _Columns(asked)
    if not asked.relations and columns.of_connection:
        return None  # what it touches is not known
    if not columns.any:
        return frozenset()
    try:
        statements = parser.parse(asked.sql)
        return frozenset().union(*(_in_statement(statement, columns) for statement in statements))
    except (parser.SyntaxFailure, parser.TooMuch, _Unclear, RecursionError):
        return None


class _Unclear(Exception):
    """The names in the statement do not say enough."""


@dataclass(slots=True)
class _Columns:
    """Which names stand for masked columns of the tables that a statement touches."""

    relations: tuple[str, ...]
    of_connection: bool
    patterns: list[NamePattern]
    masked: frozenset[str]

    def __init__(self, asked: Payload) -> None:
        self.relations = asked.relations
        found = [parse_pattern(column, parts=3) for column in policy.masked_columns(asked.connection)]
        self.of_connection = bool(found)
        self.patterns = [pattern for pattern in found if any(_could_be_of(pattern, relation) for relation in asked.relations)]
        self.masked = frozenset(name.rpartition(".")[2] for name in asked.masked)

    @property
    def any(self) -> bool:
        return bool(self.patterns or self.masked)

    def secret(self, name: str) -> bool:
        candidates = [f"{relation}.{name}" for relation in self.relations]
        return name in self.masked or any(p.matches_fact(full, certain=False) for p in self.patterns for full in candidates)


def _could_be_of(pattern: NamePattern, relation: str) -> bool:
    table = NamePattern(pattern.source, pattern.parts[:2], pattern.any_schema)
    return table.matches_fact(relation, certain=False)


def _in_statement(statement: parser.Statement, columns: _Columns) -> frozenset[int]:
    nodes = list(_nodes(statement.node, statement.kind))
    if not any(kind == "ParamRef" for kind, _ in nodes):
        return frozenset()
    if any(kind in _RENAMING or (kind == "Alias" and "colnames" in fields) for kind, fields in nodes):
        raise _Unclear
    rows = {name for kind, fields in nodes if kind == "RangeVar" for name in _names_of_rows(fields)}
    found: set[int] = set()
    for kind, fields in nodes:
        if kind == "InsertStmt":
            found |= set(_inserted(fields, columns))
        elif kind == "MergeWhenClause" and "values" in fields:
            raise _Unclear
        elif _meets(kind, fields, columns, rows):
            found |= _parameters(fields)
    return frozenset(found)


def _meets(kind: str, fields: parser.Node, columns: _Columns, rows: set[str]) -> bool:
    """Whether a masked column (or a whole row) and what stands with it in this node meet."""
    if kind == "ResTarget":
        return columns.secret(fields.get("name", ""))
    is_node = kind[:1].isupper()  # and no name of a field
    return is_node and kind not in _APART and any(name in rows or columns.secret(name) for name in _named_in(fields))


def _inserted(insert: parser.Node, columns: _Columns) -> Iterator[int]:
    """Parameters in the places of masked columns of INSERT INTO … (columns)."""
    select = insert.get("selectStmt", {}).get("SelectStmt", {})
    lists = [values["List"]["items"] for values in select.get("valuesLists", ())] or [select.get("targetList", [])]
    names = [column["ResTarget"]["name"] for column in insert.get("cols", ())]
    for values in lists:
        if len(values) > len(names):
            raise _Unclear  # without a list of columns
        for name, value in zip(names, values, strict=False):
            if columns.secret(name):
                yield from _parameters(value)


def _names_of_rows(relation: parser.Node) -> tuple[str, ...]:
    """By which names a statement speaks of whole rows of a relation."""
    return (relation["relname"], relation.get("alias", {}).get("aliasname", relation["relname"]))


def _named_in(tree: parser.Node) -> Iterator[str]:
    """The columns (or whole rows) that stand in an expression."""
    for kind, fields in _nodes(tree):
        if kind == "ColumnRef":
            names = [part["String"]["sval"] for part in fields["fields"] if "String" in part]
            yield names[-1] if names else "*"


def _parameters(tree: parser.Node) -> set[int]:
    return {fields.get("number", 0) for kind, fields in _nodes(tree) if kind == "ParamRef"}


def _nodes(tree: parser.Node, kind: str = "") -> Iterator[tuple[str, parser.Node]]:
    """Every node of a tree with its kind. What the grammar embeds without naming its kind goes by the field that holds it."""
    waiting: list[tuple[str, object]] = [(kind, tree)]
    while waiting:
        kind, part = waiting.pop()
        if isinstance(part, list):
            waiting += [(kind, item) for item in part]
        elif isinstance(part, dict):
            yield _EMBEDDED.get(kind, kind), part
            waiting += part.items()


_EMBEDDED = {"relation": "RangeVar", "alias": "Alias", "withClause": "WithClause"}
