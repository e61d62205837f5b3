"""The second opinion for result masking: does sqlglot, too, see each masked column only as a bare output column?

sqlglot is another parser with other mistakes. Where it cannot read the statement, sees other relations, or sees a masked
column's name anywhere else, result masking is not proven and the relation is masked where it is scanned.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable
from typing import Any


@functools.cache
def _library() -> Any:
    # Imported late: sqlglot loads ``socket``, which the core must not need.
    return importlib.import_module("sqlglot")


def proves_bare_output(sql: str, relations: Iterable[tuple[str, ...]], masked: frozenset[str], lookups: frozenset[str]) -> bool:
    """Whether every mention of a masked column's name is an output column of the outermost query.

    ``relations``: the relations' names as written (schema, where given, and name). ``lookups``: masked columns that a
    condition ``column = constant`` of the outermost WHERE may name as well.
    """
    glot = _library()
    try:
        (root,) = glot.parse(sql, dialect="postgres")
    except (glot.errors.SqlglotError, ValueError, RecursionError):
        return False
    expressions = glot.exp
    if type(root) is not expressions.Select:
        return False
    seen = {_table_name(table) for table in root.find_all(expressions.Table)}
    if seen != set(relations) or any(root.find_all(expressions.Command, expressions.With, expressions.Subquery, expressions.SetOperation)):
        return False
    outputs = {id(_unaliased(projection, expressions)) for projection in root.expressions}
    conditions = _lookups(root, expressions, lookups)
    columns = [column for column in root.find_all(expressions.Column) if column.name in masked or column.is_star]
    stars = [star for star in root.find_all(expressions.Star) if not isinstance(star.parent, expressions.Count | expressions.Column)]
    return all(id(column) in outputs or id(column) in conditions for column in columns) and all(id(star) in outputs for star in stars)


def _table_name(table: Any) -> tuple[str, ...]:
    return tuple(part for part in (table.catalog, table.db, table.name) if part)


def _unaliased(projection: Any, expressions: Any) -> Any:
    return projection.this if isinstance(projection, expressions.Alias) else projection


def _lookups(root: Any, expressions: Any, lookups: frozenset[str]) -> set[int]:
    where = root.args.get("where")
    if where is None:
        return set()
    parts = where.this.flatten() if isinstance(where.this, expressions.And) else [where.this]
    sides = [side for part in parts if isinstance(part, expressions.EQ) for side in (part.left, part.right)]
    return {id(side) for side in sides if isinstance(side, expressions.Column) and side.name in lookups}
