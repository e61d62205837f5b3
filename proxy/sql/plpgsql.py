"""PL/pgSQL code: the SQL statements and expressions in it, where all of them can be read.

libpg_query holds PL/pgSQL's own parser. It does not manage everything (it fails on some trigger functions), and SQL that is
made at run time is nowhere to be read; the answer is None then, and the code is opaque.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from proxy.sql.parser import Node, plpgsql_tree

# Statements that hold queries and expressions only. EXECUTE and its kin (dynexecute, dynfors) are missing on purpose.
_STATEMENTS = frozenset({
    "block", "assign", "if", "case", "loop", "while", "fori", "fors", "forc", "foreach_a", "exit", "return", "return_next",
    "return_query", "raise", "assert", "execsql", "perform", "call", "getdiag", "open", "fetch", "close", "commit", "rollback",
})  # fmt: skip
_PARTS = frozenset({
    "PLpgSQL_function", "PLpgSQL_var", "PLpgSQL_rec", "PLpgSQL_row", "PLpgSQL_recfield", "PLpgSQL_type", "PLpgSQL_expr", "PLpgSQL_if_elsif",
    "PLpgSQL_case_when", "PLpgSQL_raise_option", "PLpgSQL_diag_item", "PLpgSQL_condition", "PLpgSQL_exception", "PLpgSQL_exception_block",
})  # fmt: skip
_DYNAMIC = frozenset({"dynquery"})  # of OPEN … FOR EXECUTE and RETURN QUERY EXECUTE
_ASSIGNMENT = re.compile(r"^[^:=]*:?=")


@dataclass(frozen=True, slots=True)
class Code:
    """What one block of code runs: statements, in the form that the SQL parser takes, and the names of its variables."""

    statements: tuple[str, ...]
    variables: frozenset[str]


def read_code(definition: str) -> Code | None:
    """The SQL in a ``CREATE FUNCTION`` or ``DO`` text in PL/pgSQL; None where some of it cannot be read."""
    try:
        tree = plpgsql_tree(definition)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None
    statements: list[str] = []
    variables: set[str] = {"new", "old", "sqlstate", "sqlerrm"}
    return Code(tuple(statements), frozenset(variables)) if tree and _collect(tree, statements, variables) else None


def _collect(node: object, statements: list[str], variables: set[str]) -> bool:
    if isinstance(node, list):
        return all(_collect(part, statements, variables) for part in node)
    if not isinstance(node, dict):
        return True
    if not _DYNAMIC.isdisjoint(node):
        return False
    for key, part in node.items():
        if key.startswith("PLpgSQL_") and not _known(key):
            return False
        if key == "PLpgSQL_expr":
            statements.append(_as_statement(part))
        elif key == "refname":
            variables.add(str(part))
        elif not _collect(part, statements, variables):
            return False
    return True


def _known(key: str) -> bool:
    return key in _PARTS or key.removeprefix("PLpgSQL_stmt_") in _STATEMENTS


def _as_statement(expression: Node) -> str:
    """An expression is read as the query that PL/pgSQL makes of it."""
    query, mode = str(expression.get("query", "")), expression.get("parseMode", 0)
    if mode == 0:
        return query
    # 2 is a plain expression; 3 and above assign it to a variable (manual, 43.5.1).
    return f"SELECT {query if mode == 2 else _ASSIGNMENT.sub('', query, count=1)}"
