"""Views and SQL functions that read masked columns, replaced by the query that they are.

PostgreSQL itself does so, with the same meaning but for the rights: the query now needs those of the session's role. What
it shows is masked like any other query: the new text is analysed from the start, so that nothing that is done here has to
be trusted. A function that is more than one query, that runs with other rights or settings, or whose call has clauses of
its own stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from proxy.sql.bodies import Outcome, follow_function
from proxy.sql.catalog import Catalog, Function, Relation, quote
from proxy.sql.functions import judge
from proxy.sql.parser import Node, Statement, SyntaxFailure, Token, TooMuch, parse, scan
from proxy.sql.statements import read_statement
from proxy.sql.walk import Reader

_ARGUMENTS, _RESULT = '"tidegate arguments"', '"tidegate result"'
_SCALARS = frozenset("bdemr")  # pg_type.typtype of types that are no rows
_PLAIN_CALL = frozenset({"funcname", "args", "funcformat", "location"})


def inline(
    sql: str, statements: Sequence[Statement], catalog: Catalog, path: tuple[str, ...], trusted: frozenset[str],
    concerns: Callable[[Outcome], bool], hides: Callable[[Relation], bool] = lambda view: False,
) -> str | None:
    """The text with calls replaced, of the functions whose effects ``concerns`` is true of, and the views that ``hides`` is.

    None if there is none that can be.
    """
    data = sql.encode()
    tokens = scan(data)
    editor = _Editor(data, tokens, catalog, path, trusted, concerns, hides)
    for statement in statements:
        editor.look(statement.node)
    return editor.text() if editor.edits else None


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


class _Editor:
    def __init__(
        self, data: bytes, tokens: list[Token], catalog: Catalog, path: tuple[str, ...], trusted: frozenset[str],
        concerns: Callable[[Outcome], bool], hides: Callable[[Relation], bool],
    ) -> None:
        self.data, self.tokens, self.catalog, self.path, self.trusted = data, tokens, catalog, path, trusted
        self.concerns, self.hides = concerns, hides
        self.at = {token.start: index for index, token in enumerate(tokens)}
        self.edits: dict[int, _Edit] = {}

    def look(self, node: object) -> None:
        """Go through a tree; what is inside of a call that is replaced has its turn in the next round."""
        if isinstance(node, list):
            for part in node:
                self.look(part)
        elif isinstance(node, dict):
            for kind, part in node.items():
                replace = _REPLACED.get(kind)
                if replace is None or not replace(self, part):
                    self.look(part)

    def text(self) -> str:
        parts, done = [], 0
        for edit in sorted(self.edits.values(), key=lambda edit: edit.start):
            parts += [self.data[done : edit.start].decode(), f" {edit.text} "]
            done = edit.end
        return "".join([*parts, self.data[done:].decode()])

    def _call(self, call: Node) -> bool:
        """A call as a value: one row at most, of one column."""
        function = self._function(call)
        if function is None or function.returns_set or function.result_kind not in _SCALARS:
            return False
        query = self._query(call, function, ("v",))
        if query is None:
            return False
        value = f"CAST({_RESULT}.v AS {function.result_type}) AS {quote(function.name)}"
        return self._put(call, f"(SELECT {value} FROM {query} LIMIT 1)")  # noqa: S608  # names are quoted, the rest is the catalog's

    def _item(self, item: Node) -> bool:
        """A call in FROM: rows."""
        if not item.keys() <= {"functions", "alias", "lateral"} or len(item["functions"]) != 1:
            return False
        call, columns = item["functions"][0]["List"]["items"]
        function = self._function(call["FuncCall"]) if "FuncCall" in call and not columns else None
        if function is None or not function.returns_set or not (function.result_columns or function.result_kind in _SCALARS):
            return False
        alias = item.get("alias", {}).get("aliasname", function.name)
        query = self._query(call["FuncCall"], function, function.result_columns or (alias,))
        if query is None:
            return False
        lateral = "" if "lateral" in item else "LATERAL "
        named = "" if "alias" in item else f" AS {quote(alias)}"
        return self._put(call["FuncCall"], f"{lateral}(SELECT {_RESULT}.* FROM {query}){named}")  # noqa: S608

    def _view(self, node: Node) -> bool:
        parts = [node[key] for key in ("schemaname", "relname") if key in node]
        view, first = self.catalog.resolve(parts, self.path), self.at.get(node.get("location", 0))
        if view is None or view.kind != "v" or not view.definition or not node.get("inh") or first is None or not self.hides(view):
            return False
        last = first + 2 * (len(parts) - 1)
        if any(token.kind == "UIDENT" for token in self.tokens[first : last + 1]):
            return False
        before = self.tokens[first - 1] if first else None
        # TABLE x is short for SELECT * FROM x, and takes no sub-select.
        start, command = (before.start, "SELECT * FROM ") if before and before.kind == "TABLE" else (self.tokens[first].start, "")
        named = "" if "alias" in node else f" AS {quote(view.name)}"
        query = view.definition.strip().removesuffix(";")
        self.edits[start] = _Edit(start, self.tokens[last].end, f"{command}(\n{query}\n){named}")
        return True

    def _function(self, call: Node) -> Function | None:
        """The function that is called, if it is the only one that can be meant, and is a query that matters."""
        if not call.keys() <= _PLAIN_CALL or call.get("funcformat", "COERCE_EXPLICIT_CALL") != "COERCE_EXPLICIT_CALL":
            return None
        arguments = call.get("args", [])
        parts = [part["String"]["sval"] for part in call["funcname"]]
        meanings = judge(parts, len(arguments), self.catalog, self.path, self.trusted)
        function = meanings[0].function
        if len(meanings) != 1 or meanings[0].kind != "follow" or function is None or len(arguments) != function.arguments:
            return None
        plain = function.language == "sql" and function.kind == "f" and not (function.settings or function.definer or function.variadic)
        if not plain or not all(function.argument_types) or any("NamedArgExpr" in argument for argument in arguments):
            return None
        outcome = Outcome()
        read = follow_function(function, Reader(self.catalog, self.path, self.trusted), outcome)
        return function if read and self.concerns(outcome) else None

    def _query(self, call: Node, function: Function, columns: Sequence[str]) -> str | None:
        """What stands behind FROM: the arguments as a row, and the function's query over it."""
        body, given = self._body(function), self._arguments(call)
        if body is None or given is None or len(given) != function.arguments:
            return None
        result = f"LATERAL (\n{body}\n) AS {_RESULT} ({', '.join(map(quote, columns))})"
        if not given:
            return result
        typed = [f"CAST({text}\n AS {kind}) AS p{n}" for n, (text, kind) in enumerate(zip(given, function.argument_types, strict=True), 1)]
        strict = " AND ".join(f"{_ARGUMENTS}.p{n} IS NOT NULL" for n in range(1, len(given) + 1)) if function.strict else ""
        return f"(SELECT {', '.join(typed)}) AS {_ARGUMENTS} CROSS JOIN {result}{' WHERE ' if strict else ''}{strict}"

    def _body(self, function: Function) -> str | None:
        """The function's query, with its parameters taken from the row of arguments."""
        text = _atomic(function.definition) if function.definition else function.source
        try:
            statements = parse(text) if text is not None else ()
            if len(statements) != 1 or statements[0].kind != "SelectStmt" or not _is_plain(statements[0].node):
                return None
            assert text is not None
            data, (statement,) = text.encode(), statements
            reader = Reader(self.catalog, self.path, self.trusted, frozenset(function.argument_names) | {function.name})
            read_statement(reader, statement.kind, statement.node)
            tokens = scan(data)
        except (SyntaxFailure, TooMuch):
            return None
        if reader.problem:
            return None
        edits = [(token.start, token.end, data[token.start + 1 : token.end].decode()) for token in tokens if token.kind == "PARAM"]
        at = {token.start: index for index, token in enumerate(tokens)}
        for reference in reader.parameter_references:
            names = [name["String"]["sval"] for name in reference["fields"]]
            index = at.get(reference.get("location", 0))
            if index is None or names[-1] not in function.argument_names or len(names) > 2:
                return None
            place = function.argument_names.index(names[-1]) + 1
            edits.append((tokens[index].start, tokens[index + 2 * (len(names) - 1)].end, str(place)))
        parts, done = [], statement.start
        for start, end, number in sorted(set(edits)):
            if not 1 <= int(number) <= function.arguments or start < done:
                return None
            parts += [data[done:start].decode(), f"{_ARGUMENTS}.p{number}"]
            done = end
        return "".join([*parts, data[done : statement.start + statement.length].decode()]).strip()

    def _arguments(self, call: Node) -> list[str] | None:
        """The arguments' texts."""
        opening, closing = self._brackets(call) or (0, 0)
        if not closing:
            return None
        texts, depth, start = [], 0, self.tokens[opening].end
        for token in self.tokens[opening + 1 : closing + 1]:
            depth += {"ASCII_40": 1, "ASCII_91": 1, "ASCII_41": -1, "ASCII_93": -1}.get(token.kind, 0)
            if (depth == 0 and token.kind == "ASCII_44") or depth < 0:
                texts.append(self.data[start : token.start].decode().strip())
                start = token.end
        return texts if texts != [""] else []

    def _brackets(self, call: Node) -> tuple[int, int] | None:
        first = self.at.get(call.get("location", 0))
        if first is None:
            return None
        opening = first + 2 * len(call["funcname"]) - 1
        depth = 0
        for index in range(opening, len(self.tokens)):
            depth += {"ASCII_40": 1, "ASCII_41": -1}.get(self.tokens[index].kind, 0)
            if depth <= 0:
                return (opening, index) if index > opening else None
        return None

    def _put(self, call: Node, text: str) -> bool:
        found = self._brackets(call)
        start = call.get("location", 0)
        if found is None:
            return False
        self.edits[start] = _Edit(start, self.tokens[found[1]].end, text)
        return True


_REPLACED = {"FuncCall": _Editor._call, "RangeFunction": _Editor._item, "RangeVar": _Editor._view}


def _is_plain(query: Node) -> bool:
    """Nothing is made, changed or locked by it."""
    return "intoClause" not in query and "lockingClause" not in query and not any(_changes(query))


def _changes(node: object) -> Iterator[bool]:
    if isinstance(node, list):
        for part in node:
            yield from _changes(part)
    elif isinstance(node, dict):
        for kind, part in node.items():
            if kind in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"):
                yield True
            yield from _changes(part)


def _atomic(definition: str) -> str | None:
    """The text of a body that PostgreSQL keeps parsed, out of ``CREATE FUNCTION … BEGIN ATOMIC …; END`` or ``… RETURN …``."""
    data = definition.encode()
    tokens = scan(data)
    kinds = [token.kind for token in tokens]
    if "ATOMIC" in kinds:
        start, end = kinds.index("ATOMIC"), len(kinds) - 1 - kinds[::-1].index("END_P")
        return data[tokens[start].end : tokens[end].start].decode()
    if "RETURN" in kinds:
        return "SELECT " + data[tokens[kinds.index("RETURN")].end :].decode()
    return None
