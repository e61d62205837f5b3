"""What the planner can be asked about a statement, so that it says how many rows are expected of it.

EXPLAIN takes queries, INSERT, UPDATE, DELETE, MERGE, EXECUTE, DECLARE and CREATE TABLE AS as they are. COPY … TO and EXPLAIN
itself are asked about by the query inside of them.
"""

from __future__ import annotations

from proxy.sql.parser import QUERY_BEGINS, Node, Statement, SyntaxFailure, Token, TooMuch, is_statement, parse, scan

_AS_IT_IS = frozenset({
    "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "ExecuteStmt", "DeclareCursorStmt", "CreateTableAsStmt",
})  # fmt: skip
_EXPLAIN_WORDS = frozenset({"ANALYZE", "ANALYSE", "VERBOSE"})


def can_be_planned(kind: str, node: Node) -> bool:
    """Whether there is a plan by which rows can be estimated."""
    return kind in _AS_IT_IS or kind == "ExplainStmt" or (kind == "CopyStmt" and not node.get("is_from"))


def planned_text(sql: str) -> str:
    """The query inside of COPY … TO or EXPLAIN …; positions in it are those of the text.

    ``sql`` is what will be sent. Empty: there is no telling.
    """
    try:
        statements = parse(sql)
        if len(statements) != 1 or statements[0].kind not in ("CopyStmt", "ExplainStmt"):
            return ""
        data = sql.encode()
        tokens = scan(data)
        return _of_explain(data, tokens, statements[0]) if statements[0].kind == "ExplainStmt" else _of_copy(data, tokens, statements[0])
    except (SyntaxFailure, TooMuch, IndexError):
        return ""


def _of_explain(data: bytes, tokens: list[Token], statement: Statement) -> str:
    first = 1
    if "options" in statement.node and tokens[1].kind == "ASCII_40" and tokens[2].kind not in QUERY_BEGINS:
        first = _closing(tokens, 1) + 1
    while tokens[first].kind in _EXPLAIN_WORDS:
        first += 1
    end = statement.start + statement.length
    return _checked(data, tokens[first].start, end, statement.node["query"])


def _of_copy(data: bytes, tokens: list[Token], statement: Statement) -> str:
    if "query" in statement.node:
        return _checked(data, tokens[1].end, tokens[_closing(tokens, 1)].start, statement.node["query"])
    first = 2 if tokens[1].kind == "BINARY" else 1
    last = next(index for index, token in enumerate(tokens) if index > first and token.kind in ("ASCII_40", "TO"))
    columns = "*"
    if tokens[last].kind == "ASCII_40":
        columns = data[tokens[last].end : tokens[_closing(tokens, last)].start].decode()
    return " ".join(("SELECT", columns, "FROM ONLY", data[tokens[first].start : tokens[last - 1].end].decode()))


def _checked(data: bytes, start: int, end: int, query: Node) -> str:
    """The part of the text, at its place, if it is this query."""
    text = data[start:end].decode()
    return " " * len(data[:start].decode()) + text if is_statement(text, query) else ""


def _closing(tokens: list[Token], opening: int) -> int:
    depth = 0
    for index in range(opening, len(tokens)):
        depth += {"ASCII_40": 1, "ASCII_41": -1}.get(tokens[index].kind, 0)
        if depth == 0:
            return index
    raise IndexError("no closing bracket")
