"""How the rows that an INSERT, UPDATE or DELETE would change are counted without running it.

``UPDATE t SET … WHERE c`` changes what ``SELECT count(*) FROM t WHERE c`` counts, and ``INSERT … SELECT`` at most what its query
yields. The count is made of pieces of the text, and parsed again to see that they are the statement's own. Nothing is
counted where counting would do more than read: by functions that are not certain to only compute, or by views, which may
call such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from proxy.sql.bodies import follow
from proxy.sql.catalog import Catalog
from proxy.sql.facts import AnalysisRequest, Count
from proxy.sql.functions import Verdict
from proxy.sql.parser import CHANGES, QUERY_BEGINS, Node, Statement, SyntaxFailure, Token, TooMuch, is_statement, nodes, parse, same, scan
from proxy.sql.statements import read_statement
from proxy.sql.walk import WRITE, Reader

_COUNT = "SELECT pg_catalog.count(*) FROM "


class _Uncountable(Exception):
    """The message says why, for the approver."""


def count_of(sql: str, request: AnalysisRequest, catalog: Catalog | None) -> Count:
    """The count for a text as it would be sent, or why there is none."""
    assigned: frozenset[str] | None = None
    try:
        statements = parse(sql)
        if len(statements) != 1 or statements[0].kind not in CHANGES:
            return Count(problem="only INSERT, UPDATE and DELETE are counted")
        assigned = _assigned(statements[0], request, catalog)
        return replace(_Counted(sql, statements[0], request, catalog).count(), assigned=assigned)
    except _Uncountable as reason:
        return Count(problem=str(reason), assigned=assigned)
    except (SyntaxFailure, TooMuch, IndexError):
        return Count(problem="the rows that it changes cannot be told from its text", assigned=assigned)


def _assigned(statement: Statement, request: AnalysisRequest, catalog: Catalog | None) -> frozenset[str] | None:
    reader = Reader(catalog, request.search_path, request.trusted_functions)
    read_statement(reader, statement.kind, statement.node)
    if reader.problem or reader.unknown:
        return None
    return frozenset(name for _, name in reader.sources_named(WRITE))


class _Counted:
    def __init__(self, sql: str, statement: Statement, request: AnalysisRequest, catalog: Catalog | None) -> None:
        self.data, self.statement, self.request, self.catalog = sql.encode(), statement, request, catalog
        self.tokens = scan(self.data)
        self.end = statement.start + statement.length

    def count(self) -> Count:
        kind, node = self.statement.kind, self.statement.node
        if kind == "MergeStmt":
            raise _Uncountable("rows of MERGE are not counted")
        if "fromClause" in node or "usingClause" in node:
            raise _Uncountable("changes that join other tables are not counted")
        if self._has_rules(node["relation"]):
            raise _Uncountable("rewrite rules make something else of it")
        if any(not CHANGES.isdisjoint(one) for one in nodes(node.get("withClause"))):
            raise _Uncountable("WITH changes tables too")
        if any("CurrentOfExpr" in one for one in nodes(node)):
            raise _Uncountable("the row of a cursor is not counted")
        if any("lockingClause" in one for one in nodes(node)):
            raise _Uncountable("counting would lock rows")
        if kind == "InsertStmt":
            return self._inserted(node)
        return self._checked(self._text(kind, node), node, [{"RangeVar": node["relation"]}], node.get("whereClause"))

    def _has_rules(self, target: Node) -> bool:
        parts = [str(target[key]) for key in ("schemaname", "relname") if key in target]
        found = self.catalog.resolve(parts, self.request.search_path) if self.catalog is not None else None
        return found is not None and found.has_rules

    def _text(self, kind: str, node: Node) -> str:
        """``WITH … SELECT count(*) FROM target WHERE …`` of an UPDATE or DELETE."""
        word = "UPDATE" if kind == "UpdateStmt" else "DELETE_P"
        first = next(index for index, token in self._outer() if token.kind == word)
        target = first + (1 if word == "UPDATE" else 2)  # DELETE FROM
        after = [(token.kind, token.start) for index, token in self._outer() if index > target]
        end = next((start for found, start in after if found == "RETURNING"), self.end)
        until = next((start for found, start in after if found == "SET"), end) if word == "UPDATE" else end
        where = next((start for found, start in after if found == "WHERE"), end)
        return self._cut(0, self.tokens[first].start) + _COUNT + self._cut(self.tokens[target].start, min(until, where)) + " " + (
            self._cut(where, end)
        )

    def _inserted(self, node: Node) -> Count:
        query = node.get("selectStmt")
        if query is None:
            return Count(rows=1)  # DEFAULT VALUES
        lists = query.get("SelectStmt", {}).get("valuesLists")
        if lists is not None:
            # One row each, unless a function in them returns several.
            if any("FuncCall" in one for one in nodes(lists)):
                raise _Uncountable("rows of VALUES with functions are not counted")
            return Count(rows=len(lists))
        insert = next(index for index, token in self._outer() if token.kind == "INSERT")
        outer = [(index, token) for index, token in self._outer() if index > insert]
        ends = [self.end, *(token.start for _, token in outer if token.kind in ("RETURNING", "ON"))]
        for first in (token.start for _, token in outer if token.kind in QUERY_BEGINS):
            for end in ends:
                text = self._cut(first, end)
                if end > first and is_statement(text, query):
                    sql = f"{self._cut(0, self.tokens[insert].start)}{_COUNT}({text}) AS counted"
                    return self._checked(sql, node, None, None)
        raise _Uncountable("the rows that it inserts cannot be told from its text")

    def _checked(self, sql: str, node: Node, tables: list[Node] | None, where: Node | None) -> Count:
        [found] = parse(sql)
        select = found.node
        if found.kind != "SelectStmt" or not same(select.get("withClause", {}), node.get("withClause", {})):
            raise IndexError(sql)
        if tables is not None and not (same(select["fromClause"], tables) and same(select.get("whereClause", {}), where or {})):
            raise IndexError(sql)
        self._only_reads(select)
        numbers = {one["ParamRef"].get("number", 0) for one in nodes(select) if "ParamRef" in one}
        return Count(sql, tuple(sorted(numbers)))

    def _only_reads(self, select: Node) -> None:
        request, catalog = self.request, self.catalog
        if catalog is None:
            raise _Uncountable("the catalog of the target is not known")
        reader = Reader(catalog, request.search_path, request.trusted_functions)
        read_statement(reader, "SelectStmt", select)
        outcome = follow(reader)
        if reader.problem or reader.unknown:
            raise _Uncountable("it names tables that are not known")
        everyone = [reader, *(body for _, body in outcome.bodies)]
        for one in everyone:
            for verdict in one.calls:
                if not _only_computes(verdict, catalog):
                    raise _Uncountable(f"its condition calls {verdict.name}, which may do more than compute")
            for use in one.uses:
                if use.relation.kind not in ("r", "p", "m"):
                    raise _Uncountable(f"it reads {use.relation.full_name}, which is not a table")

    def _outer(self) -> Iterator[tuple[int, Token]]:
        """The tokens that stand in no brackets; an opening one belongs to them."""
        depth = 0
        for index, token in enumerate(self.tokens):
            if token.kind == "ASCII_41":
                depth -= 1
            if depth == 0:
                yield index, token
            if token.kind == "ASCII_40":
                depth += 1

    def _cut(self, start: int, end: int) -> str:
        return self.data[start:end].decode()


def _only_computes(verdict: Verdict, catalog: Catalog) -> bool:
    if verdict.kind not in ("harmless", "follow"):
        return False
    if verdict.function is not None:
        return verdict.function.volatility != "v"
    return catalog.builtins.get(verdict.name.removeprefix("pg_catalog."), "v") != "v"

