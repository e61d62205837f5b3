"""A call of an SQL function as the query that the function is: its arguments as a row, and its body over that row.

Arguments may be given by name or as a variadic list, or be left to their defaults, as in PostgreSQL (manual, 4.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.sql.catalog import Catalog, Function, quote
from proxy.sql.parser import CHANGES, Node, SyntaxFailure, TooMuch, nodes, parse, scan
from proxy.sql.walk import Reader

ARGUMENTS, RESULT = '"tidegate arguments"', '"tidegate result"'
_SCALARS = frozenset("bdemr")  # pg_type.typtype of types that are no rows
_DEPTH = {"ASCII_40": 1, "ASCII_91": 1, "ASCII_41": -1, "ASCII_93": -1}


class Text:
    """A query text and its tokens."""

    def __init__(self, data: bytes) -> None:
        self.data, self.tokens = data, scan(data)
        self.at = {token.start: index for index, token in enumerate(self.tokens)}

    def kind(self, index: int) -> str:
        return self.tokens[index].kind if 0 <= index < len(self.tokens) else ""

    def brackets(self, call: Node) -> tuple[int, int] | None:
        """The tokens of a call's brackets."""
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

    def parts(self, first: int, end: int) -> list[str]:
        """What the tokens from ``first`` up to ``end`` hold between their outermost commas."""
        texts, depth, start = [], 0, first
        for index in range(first, end + 1):
            depth += _DEPTH.get(self.kind(index), 0)
            if index == end or (depth == 0 and self.kind(index) == "ASCII_44"):
                if index > start:
                    texts.append(self.data[self.tokens[start].start : self.tokens[index - 1].end].decode())
                start = index + 1
        return texts


@dataclass(frozen=True, slots=True)
class Called:
    """A function that is one query, called somewhere; ``source`` stands behind FROM, its rows are called RESULT."""

    function: Function
    columns: tuple[str, ...]
    source: str

    @property
    def is_row(self) -> bool:
        return is_row(self.function)

    def value(self) -> str:
        """The value of a row of the result: of the function's type."""
        if not self.is_row:
            return f"CAST({self.field(self.columns[0])} AS {self.function.result_type})"
        row = f"ROW({', '.join(map(self.field, self.columns))})"
        return f"CAST({row} AS {self.function.result_type})" if self.function.result_kind == "c" else row

    def field(self, name: str) -> str:
        return f"{RESULT}.{quote(name)}"

    def one(self, output: str, name: str = "") -> str:
        """One output of the call, as an expression: of all rows one after the other, where there can be several."""
        named = f" AS {quote(name)}" if name else ""
        if self.function.returns_set:
            return f"pg_catalog.unnest(ARRAY(SELECT {output} FROM {self.source})){named}"  # noqa: S608  # names are quoted
        return f"(SELECT {output}{named or ' AS ' + quote(self.function.name)} FROM {self.source} LIMIT 1)"  # noqa: S608

    def item(self, *, numbered: bool) -> str:
        """Its rows, as a query. A function that returns no set always has one."""
        outputs = f"{RESULT}.*" + (", pg_catalog.row_number() OVER () AS ordinality" if numbered else "")
        if self.function.returns_set:
            return f"SELECT {outputs} FROM {self.source}"  # noqa: S608
        row = f"SELECT {RESULT}.* FROM {self.source} LIMIT 1"  # noqa: S608
        return f"SELECT {outputs} FROM (SELECT 1) AS one LEFT JOIN LATERAL ({row}) AS {RESULT} ON true"  # noqa: S608


def is_row(function: Function) -> bool:
    return function.result_kind == "c" or (function.result_kind == "p" and len(function.result_columns) > 1)


def has_result(function: Function) -> bool:
    """Whether it yields values or rows whose columns are known, and that can be put into an array."""
    plain = function.result_kind in _SCALARS and not function.result_type.rpartition(".")[2].startswith(("_", '"_'))
    return plain or (is_row(function) and bool(function.result_columns))


def called(
    text: Text, call: Node, function: Function, name: str, catalog: Catalog, path: tuple[str, ...], trusted: frozenset[str]
) -> Called | None:
    """The call, if its arguments and its body can be written as a query; ``name`` is that of a column without one."""
    columns = function.result_columns or (name,)
    body, given = _body(function, len(columns), catalog, path, trusted), _arguments(text, call, function)
    if body is None or given is None:
        return None
    result = f"LATERAL (\n{body}\n) AS {RESULT} ({', '.join(map(quote, columns))})"
    if not given:
        return Called(function, columns, result)
    typed = [f"CAST({value}\n AS {kind}) AS p{n}" for n, (value, kind) in enumerate(zip(given, function.argument_types, strict=True), 1)]
    strict = " AND ".join(f"{ARGUMENTS}.p{n} IS NOT NULL" for n in range(1, len(given) + 1)) if function.strict else ""
    source = f"(SELECT {', '.join(typed)}) AS {ARGUMENTS} CROSS JOIN {result}{' WHERE ' if strict else ''}{strict}"
    return Called(function, columns, source)


def _arguments(text: Text, call: Node, function: Function) -> list[str] | None:
    """The value of each parameter, as text."""
    found = text.brackets(call)
    nodes = call.get("args", [])
    if found is None:
        return None
    texts = text.parts(found[0] + 1, found[1])
    if len(texts) != len(nodes):
        return None
    values: list[str | None] = [None] * function.arguments
    positional = [given for given, node in zip(texts, nodes, strict=True) if "NamedArgExpr" not in node]
    if call.get("func_variadic"):
        positional[-1:] = [part.split(None, 1)[1] for part in positional[-1:] if part[:8].lower() == "variadic"]
        if not function.variadic or len(positional) != function.arguments:
            return None
    elif function.variadic and len(positional) >= function.arguments:
        last = function.arguments - 1
        positional[last:] = [f"ARRAY[{', '.join(positional[last:])}]"]
    values[: len(positional)] = positional
    for given, node in zip(texts, nodes, strict=True):
        if "NamedArgExpr" in node and not _put(values, function, node["NamedArgExpr"]["name"], given):
            return None
    defaults = _defaults(function)
    missing = function.arguments - len(defaults)
    complete = [value or (defaults[index - missing] if index >= missing else "") for index, value in enumerate(values)]
    return complete if all(complete) and len(complete) == function.arguments else None


def _put(values: list[str | None], function: Function, name: str, given: str) -> bool:
    """Put ``name => value`` in its place."""
    data = given.encode()
    tokens = scan(data)
    arrow = next((token for token in tokens if token.kind in ("EQUALS_GREATER", "COLON_EQUALS")), None)
    if arrow is None or name not in function.inputs:
        return False
    values[function.inputs.index(name)] = data[arrow.end :].decode().strip()
    return True


def _defaults(function: Function) -> list[str]:
    """The expressions that its last parameters have as defaults."""
    if not function.default_values:
        return []
    text = Text(function.default_values.encode())
    return text.parts(0, len(text.tokens))


def _body(function: Function, columns: int, catalog: Catalog, path: tuple[str, ...], trusted: frozenset[str]) -> str | None:
    """The function's query, with its parameters taken from the row of arguments."""
    source = _atomic(function.definition) if function.definition else function.source
    try:
        statements = parse(source) if source is not None else ()
        if len(statements) != 1 or statements[0].kind != "SelectStmt" or not _is_plain(statements[0].node):
            return None
        assert source is not None
        reader = Reader(catalog, path, trusted, frozenset(function.inputs) | {function.name})
        outs = reader.query(statements[0].node, None)
        text = Text(source.encode())
    except (SyntaxFailure, TooMuch):
        return None
    if reader.problem or len(outs) != columns or not all(out.name for out in outs):
        return None
    edits = _parameters(function, reader, text)
    start, stop = statements[0].start, statements[0].start + statements[0].length
    parts, done = [], start
    for begin, end, value in sorted(set(edits or ())):
        if begin < done:
            return None
        parts += [text.data[done:begin].decode(), value]
        done = end
    return None if edits is None else "".join([*parts, text.data[done:stop].decode()]).strip()


def _parameters(function: Function, reader: Reader, text: Text) -> list[tuple[int, int, str]] | None:
    """Where the body names a parameter, and what stands for it; None where one of them cannot be told."""
    edits = []
    for index, token in enumerate(text.tokens):
        if token.kind == "PARAM":
            number = int(text.data[token.start + 1 : token.end])
            if not 1 <= number <= function.arguments:
                return None
            edits.append((token.start, token.end, _argument(number, text.kind(index + 1))))
    for reference in reader.parameter_references:
        names = [name["String"]["sval"] for name in reference["fields"] if "String" in name]
        index = text.at.get(reference.get("location", 0), -1)
        # ``parameter``, ``function.parameter`` or ``parameter.field``
        of_function = len(names) == 2 and names[0] == function.name and names[1] in function.inputs
        name = names[of_function]
        if index < 0 or name not in function.inputs or len(names) > 2:
            return None
        last = text.tokens[index + 2 * of_function]
        value = _argument(function.inputs.index(name) + 1, text.kind(index + 2 * of_function + 1))
        edits.append((text.tokens[index].start, last.end, value))
    return edits


def _argument(number: int, behind: str) -> str:
    value = f"{ARGUMENTS}.p{number}"
    return f"({value})" if behind == "ASCII_46" else value  # of a row: its field


def _is_plain(query: Node) -> bool:
    """Nothing is made, changed or locked by it."""
    return "intoClause" not in query and "lockingClause" not in query and all(CHANGES.isdisjoint(node) for node in nodes(query))


def _atomic(definition: str) -> str | None:
    """The text of a body that PostgreSQL keeps parsed, out of ``CREATE FUNCTION … BEGIN ATOMIC …; END`` or ``… RETURN …``."""
    text = Text(definition.encode())
    depth = 0
    # The function itself and its arguments may bear these words as names.
    for index, token in enumerate(text.tokens):
        depth += _DEPTH.get(token.kind, 0)
        if depth or text.kind(index - 1) == "ASCII_46":
            continue
        if token.kind == "RETURN":
            return "SELECT " + text.data[token.end :].decode()
        if token.kind == "ATOMIC" and text.kind(index - 1) == "BEGIN_P":
            end = max((later.start for later in text.tokens[index:] if later.kind == "END_P"), default=None)
            return None if end is None else text.data[token.end : end].decode()
    return None
