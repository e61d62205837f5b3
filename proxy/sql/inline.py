"""Views and SQL functions that read masked columns, replaced by the query that they are.

PostgreSQL itself does so, with the same meaning but for the rights: the query now needs those of the session's role. What
it shows is masked like any other query: the new text is analysed from the start, so that nothing that is done here has to
be trusted. A function that is more than one query, that runs with other rights or settings, or whose call has clauses of
its own stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.sql.bodies import Outcome, follow_function
from proxy.sql.calls import Called, Text, called, has_result
from proxy.sql.catalog import Catalog, Function, Relation, quote
from proxy.sql.functions import judge
from proxy.sql.parser import Node, Statement
from proxy.sql.walk import Reader

_PLAIN_CALL = frozenset({"funcname", "args", "funcformat", "func_variadic", "location"})


def inline(
    sql: str, statements: Sequence[Statement], catalog: Catalog, path: tuple[str, ...], trusted: frozenset[str],
    concerns: Callable[[Outcome], bool], hides: Callable[[Relation], bool] = lambda view: False,
) -> str | None:
    """The text with calls replaced, of the functions whose effects ``concerns`` is true of, and the views that ``hides`` is.

    None if there is none that can be.
    """
    editor = _Editor(Text(sql.encode()), catalog, path, trusted, concerns, hides)
    for statement in statements:
        editor.look({statement.kind: statement.node})
    return editor.result() if editor.edits else None


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


class _Editor:
    def __init__(
        self, text: Text, catalog: Catalog, path: tuple[str, ...], trusted: frozenset[str],
        concerns: Callable[[Outcome], bool], hides: Callable[[Relation], bool],
    ) -> None:
        self.text, self.catalog, self.path, self.trusted = text, catalog, path, trusted
        self.concerns, self.hides = concerns, hides
        self.edits: dict[int, _Edit] = {}
        self.unnamed: set[int] = set()  # ids of expressions that give an output column its name

    def look(self, node: object) -> None:
        """Go through a tree; what is inside of a call that is replaced has its turn in the next round."""
        if isinstance(node, list):
            for part in node:
                self.look(part)
        elif isinstance(node, dict):
            for kind, part in node.items():
                if kind == "SelectStmt":
                    self._note_outputs(part)
                replace = _REPLACED.get(kind)
                if replace is None or not replace(self, part):
                    self.look(part)

    def _note_outputs(self, query: Node) -> None:
        for wrapped in query.get("targetList", ()):
            if "name" not in wrapped["ResTarget"]:
                self.unnamed |= {id(part) for part in wrapped["ResTarget"]["val"].values()}

    def result(self) -> str:
        parts, done = [], 0
        for edit in sorted(self.edits.values(), key=lambda edit: edit.start):
            parts += [self.text.data[done : edit.start].decode(), f" {edit.text} "]
            done = edit.end
        return "".join([*parts, self.text.data[done:].decode()])

    def _call(self, call: Node) -> bool:
        """A call as a value."""
        found, brackets = self._called(call, "v"), self.text.brackets(call)
        if found is None or brackets is None:
            return False
        name = found.function.name if id(call) in self.unnamed else ""
        return self._put(self.text.at[call.get("location", 0)], brackets[1], found.one(found.value(), name))

    def _field(self, node: Node) -> bool:
        """``(call).field`` and ``(call).*``: a function that returns rows, of which one column is wanted, or each of them."""
        call, fields = node["arg"].get("FuncCall"), node["indirection"]
        first = self.text.at.get(call.get("location", 0)) if call else None
        brackets = self.text.brackets(call) if call else None
        if call is None or first is None or brackets is None or len(fields) != 1:
            return False
        last = brackets[1] + 3
        around = [self.text.kind(index) for index in (first - 1, brackets[1] + 1, brackets[1] + 2)]
        found = self._called(call, "v")
        if found is None or not found.is_row or around != ["ASCII_40", "ASCII_41", "ASCII_46"]:
            return False
        is_output = id(node) in self.unnamed
        if "A_Star" in fields[0]:
            texts = [found.one(found.field(name), name) for name in found.columns] if is_output else []
        else:
            name = fields[0].get("String", {}).get("sval", "")
            texts = [found.one(found.field(name), name if is_output else "")] if name in found.columns else []
        return bool(texts) and self._put(first - 1, last, ", ".join(texts))

    def _item(self, item: Node) -> bool:
        """A call in FROM: rows. Nothing but calls can stand there, so that one that stays is only looked into."""
        calls = [function["List"]["items"] for function in item["functions"]]
        call = calls[0][0].get("FuncCall")
        if len(calls) == 1 and call and not calls[0][1] and not item.keys() & {"is_rowsfrom", "coldeflist"}:
            name = call["funcname"][-1]["String"]["sval"]
            if self._rows(item, call, item.get("alias", {}).get("aliasname", name)):
                return True
        for node, definitions in calls:
            self.look([node["FuncCall"].get("args") if "FuncCall" in node else node, definitions])
        return True

    def _rows(self, item: Node, call: Node, alias: str) -> bool:
        found, brackets = self._called(call, alias), self.text.brackets(call)
        if found is None or brackets is None:
            return False
        lateral = "" if "lateral" in item else "LATERAL "
        named = "" if "alias" in item else f" AS {quote(alias)}"
        last = brackets[1] + (2 if "ordinality" in item else 0)  # WITH ORDINALITY
        text = f"{lateral}({found.item(numbered='ordinality' in item)}){named}"
        return self._put(self.text.at[call.get("location", 0)], last, text)

    def _view(self, node: Node) -> bool:
        parts = [node[key] for key in ("schemaname", "relname") if key in node]
        view, first = self.catalog.resolve(parts, self.path), self.text.at.get(node.get("location", 0))
        if view is None or view.kind != "v" or not view.definition or not node.get("inh") or first is None or not self.hides(view):
            return False
        last = first + 2 * (len(parts) - 1)
        if any(self.text.kind(index) == "UIDENT" for index in range(first, last + 1)):
            return False
        # TABLE x is short for SELECT * FROM x, and takes no sub-select.
        start, command = (first - 1, "SELECT * FROM ") if self.text.kind(first - 1) == "TABLE" else (first, "")
        named = "" if "alias" in node else f" AS {quote(view.name)}"
        query = view.definition.strip().removesuffix(";")
        return self._put(start, last, f"{command}(\n{query}\n){named}")

    def _called(self, call: Node, name: str) -> Called | None:
        function = self._function(call)
        return called(self.text, call, function, name, self.catalog, self.path, self.trusted) if function else None

    def _function(self, call: Node) -> Function | None:
        """The function that is called, if it is the only one that can be meant, and is a query that matters."""
        if not call.keys() <= _PLAIN_CALL or call.get("funcformat", "COERCE_EXPLICIT_CALL") != "COERCE_EXPLICIT_CALL":
            return None
        parts = [part["String"]["sval"] for part in call["funcname"]]
        meanings = judge(parts, len(call.get("args", [])), self.catalog, self.path, self.trusted)
        function = meanings[0].function
        if len(meanings) != 1 or meanings[0].kind != "follow" or function is None or not has_result(function):
            return None
        if function.language != "sql" or function.kind != "f" or function.settings or function.definer or not all(function.argument_types):
            return None
        outcome = Outcome()
        read = follow_function(function, Reader(self.catalog, self.path, self.trusted), outcome)
        return function if read and self.concerns(outcome) else None

    def _put(self, first: int, last: int, text: str) -> bool:
        """Put a text in the place of the tokens from ``first`` to ``last``."""
        start = self.text.tokens[first].start
        self.edits[start] = _Edit(start, self.text.tokens[last].end, text)
        return True


_REPLACED = {"FuncCall": _Editor._call, "A_Indirection": _Editor._field, "RangeFunction": _Editor._item, "RangeVar": _Editor._view}
