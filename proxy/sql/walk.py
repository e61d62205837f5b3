"""Reading a query: which relations it mentions, which columns reach what, which functions it calls.

One :class:`Reader` goes through one statement in the order in which PostgreSQL binds names. Only node types that are listed
here are read; any other one makes the statement unanalyzable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from proxy.sql import changes, expressions, from_clause
from proxy.sql.catalog import Catalog, Relation
from proxy.sql.functions import Verdict, judge
from proxy.sql.parser import Node
from proxy.sql.scope import (
    NOTHING,
    Entry,
    Found,
    Out,
    Scope,
    Source,
    Sources,
    Use,
    find_column,
    find_entries,
    find_in,
    mark_starred,
    unknown_column,
)  # fmt: skip

# What a reference is for. Only the first leaves the value as it is and shows it to nobody but the client.
OUTPUT = "output"  # a bare output column of the outermost query
VALUE = "value"  # flows into some value
PREDICATE = "predicate"  # decides which rows there are, or their order
LOOKUP = "lookup"  # `column = constant`, one of the outermost WHERE's conditions
WRITE = "write"  # is assigned

@dataclass(frozen=True, slots=True)
class Reference:
    """One place where columns are referred to. ``target``: through the relation that the statement changes."""

    sources: Sources
    context: str
    target: bool = False


@dataclass(frozen=True, slots=True)
class Assigned:
    """A new value of one column: its expression, and the columns that it comes from."""

    column: Source
    value: Node
    sources: Sources


@dataclass(frozen=True, slots=True)
class Qualified:
    """A reference written ``schema.relation.column``: its node, and how many names precede the relation's."""

    node: Node
    extra: int
    uses: tuple[Use, ...]


class Reader:
    """Collects what one statement touches; read its attributes afterwards."""

    def __init__(
        self, catalog: Catalog | None, search_path: tuple[str, ...], trusted: frozenset[str] = frozenset(),
        parameters: frozenset[str] = frozenset(),
    ) -> None:
        self.catalog, self.search_path, self.trusted = catalog, search_path, trusted
        self.parameters = parameters  # names of a function's arguments
        self.uses: list[Use] = []
        self.references: list[Reference] = []
        self.assigned: list[Assigned] = []
        self.qualified: list[Qualified] = []
        self.parameter_references: list[Node] = []  # ColumnRef nodes that mean a function's argument
        self.calls: list[Verdict] = []
        self.setting_calls: list[Node] = []
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.unknown: set[str] = set()
        self.actions: set[str] = set()
        self.without_where = False
        self.runs_prepared = False
        self.problem = ""
        self.altered: list[Relation] = []  # what a utility statement names
        self.refreshed: list[Relation] = []  # materialised views whose query it runs
        self.catches = False  # it stands in code that looks at the words of errors
        # For GROUP BY over a primary key: direct references outside aggregates, and the relations that rely on it.
        self.direct: list[tuple[Use, int]] = []
        self.in_aggregate = False
        self.dependent: list[Use] = []
        self.copied_out: list[Out] = []  # what COPY TO yields

    def fail(self, reason: str) -> None:
        self.problem = self.problem or reason

    def refer(self, found: Sources | Found, context: str) -> Sources:
        """Note that these columns are referred to."""
        if isinstance(found, frozenset):
            if found:
                self.references.append(Reference(found, context))
            return found
        if not self.in_aggregate:
            self.direct += [(out.use, out.plain[1]) for out in found.outs if out.use is not None and out.plain is not None]
        for is_target in (False, True):
            outs = [out for out in found.outs if (out.use is not None and out.use.target) == is_target]
            sources = NOTHING.union(*(out.sources for out in outs))
            if sources:
                self.references.append(Reference(sources, context, is_target))
        return found.sources

    # -- queries

    def query(self, node: Node, parent: Scope | None, *, top: bool = False) -> list[Out]:
        """Read a SelectStmt; ``top``: its bare output columns go to the client as they are."""
        self.actions.add("select")
        base = Scope(parent)
        self.with_clause(node.get("withClause"), base)
        if node.get("op", "SETOP_NONE") != "SETOP_NONE":
            outs = self._set_operation(node, base)
        elif "valuesLists" in node:
            outs = self._values(node["valuesLists"], base)
        else:
            outs = self._select(node, base, top=top)
        for part in ("limitCount", "limitOffset"):
            self.expression(node.get(part), base, PREDICATE)
        if "intoClause" in node:
            self.target_name(node["intoClause"]["rel"])
        return outs

    def with_clause(self, clause: Node | None, base: Scope) -> None:
        """Read the common table expressions and make them visible in ``base``."""
        ctes = [wrapped["CommonTableExpr"] for wrapped in (clause or {}).get("ctes", ())]
        if (clause or {}).get("recursive"):
            self._announce(ctes, base)
        for cte in ctes:
            base.ctes[cte["ctename"]] = self._cte(cte, base)

    def _announce(self, ctes: Sequence[Node], base: Scope) -> None:
        """WITH RECURSIVE: the terms may name each other. Until they are read, each column may come from all that they read."""
        trial = Reader(self.catalog, self.search_path, self.trusted, self.parameters)
        scope = Scope(base.parent, ctes={cte["ctename"]: Entry(cte["ctename"], [], more=NOTHING) for cte in ctes})
        for cte in ctes:
            trial.statement_in(cte["ctequery"], scope)
        everything = NOTHING.union(*(reference.sources for reference in trial.references))
        for cte in ctes:
            base.ctes[cte["ctename"]] = Entry(cte["ctename"], [], more=everything)

    def _cte(self, cte: Node, base: Scope) -> Entry:
        entry = from_clause.entry_of(cte["ctename"], self.statement_in(cte["ctequery"], base))
        names = [name["String"]["sval"] for name in cte.get("aliascolnames", ())]
        entry = from_clause.renamed_entry(entry, names)
        search, cycle = cte.get("search_clause", {}), cte.get("cycle_clause", {})
        for clause, columns, added in (
            (search, "search_col_list", ("search_seq_column",)), (cycle, "cycle_col_list", ("cycle_mark_column", "cycle_path_column")),
        ):  # fmt: skip
            used = {name["String"]["sval"] for name in clause.get(columns, ())}
            sources = NOTHING.union(entry.more or NOTHING, *(out.sources for out in entry.columns if out.name in used))
            entry.columns += [Out(clause[key], sources) for key in added if key in clause]
        return entry

    def statement_in(self, wrapped: Node, scope: Scope, *, top: bool = False) -> list[Out]:
        """Read a query or a change inside another statement; returns what it yields."""
        ((kind, node),) = wrapped.items()
        if kind == "SelectStmt":
            return self.query(node, scope, top=top)
        reader = changes.READERS.get(kind)
        if reader is None:
            self.fail(f"{kind} is not known inside a query")
            return []
        return reader(self, node, scope, top)

    def _set_operation(self, node: Node, base: Scope) -> list[Out]:
        left, right = self.query(node["larg"], base), self.query(node["rarg"], base)
        merged = [Out(one.name, one.sources | two.sources) for one, two in zip(left, right, strict=False)]
        longer = left[len(merged) :] + right[len(merged) :]  # an expanded row of unknown width is among them
        merged += [replace(out, plain=None, use=None) for out in longer]
        if not node.get("all"):
            self.all_of(merged, PREDICATE)
        for sort in node.get("sortClause", ()):
            self.all_of(merged, PREDICATE)
            self.expression(sort, Scope(base, from_clause.item_of(merged)), PREDICATE)
        return merged

    def _values(self, rows: Iterable[Node], base: Scope) -> list[Out]:
        columns: list[Sources] = []
        for row in rows:
            for index, value in enumerate(row["List"].get("items", ())):
                sources = self.expression(value, base, VALUE)
                if index == len(columns):
                    columns.append(NOTHING)
                columns[index] |= sources
        return [Out(f"column{index + 1}", sources) for index, sources in enumerate(columns)]

    def _select(self, node: Node, base: Scope, *, top: bool) -> list[Out]:
        scope = Scope(base, from_clause.read(self, node.get("fromClause", ()), base))
        self.where(node.get("whereClause"), scope, top=top)
        shown = len(self.direct)
        outs = self.targets(node.get("targetList", ()), scope, top=top)
        for part in node.get("sortClause", ()):
            self._by_output(part, outs, scope)
        self.expression(node.get("havingClause"), scope, PREDICATE)
        if "groupClause" in node:
            grouped = len(self.direct)
            for part in node["groupClause"]:
                self._by_output(part, outs, scope)
            self._find_dependent(self.direct[shown:grouped], self.direct[grouped:])
        for part in node.get("distinctClause", ()):
            if part:
                self._by_output(part, outs, scope)
            else:
                self.all_of(outs, PREDICATE)
        for window in node.get("windowClause", ()):
            self.expression(window, scope, PREDICATE)
        return outs

    def _find_dependent(self, shown: list[tuple[Use, int]], grouped: list[tuple[Use, int]]) -> None:
        """A table grouped by its primary key shows its other columns ungrouped; a sub-select in its place cannot."""
        for use in {id(use): use for use, _ in shown}.values():
            keys = {number for other, number in grouped if other is use}
            if use.relation.primary_key and keys.issuperset(use.relation.primary_key) and {n for u, n in shown if u is use} - keys:
                self.dependent.append(use)

    def where(self, clause: Node | None, scope: Scope, *, top: bool) -> None:
        """A WHERE clause; look-ups by a constant are told apart in the outermost one."""
        if clause is None:
            return
        parts = clause["BoolExpr"]["args"] if clause.get("BoolExpr", {}).get("boolop") == "AND_EXPR" else [clause]
        for part in parts:
            column = expressions.looked_up(part) if top else None
            if column is not None and not self._is_redefined("="):
                self._column(column, scope, LOOKUP)
            else:
                self.expression(part, scope, PREDICATE)

    def _is_redefined(self, operator: str) -> bool:
        return self.catalog is not None and bool(self.catalog.operators_named([operator], self.search_path, 2))

    def targets(self, targets: Iterable[Node], scope: Scope, *, top: bool) -> list[Out]:
        """An output list; bare columns of it are OUTPUT where ``top``."""
        outs: list[Out] = []
        for wrapped in targets:
            target = wrapped["ResTarget"]
            value = target["val"]
            if "ColumnRef" in value:
                outs += self._bare(value["ColumnRef"], scope, target.get("name", ""), OUTPUT if top else VALUE)
            elif "A_Indirection" in value and "A_Star" in value["A_Indirection"]["indirection"][-1]:
                outs.append(unknown_column(self.expression(value, scope, VALUE)))
            else:
                outs.append(Out(target.get("name") or from_clause.figure_name(value), self.expression(value, scope, VALUE)))
        return outs

    def _bare(self, ref: Node, scope: Scope, alias: str, context: str) -> list[Out]:
        fields = ref["fields"]
        if "A_Star" in fields[-1]:
            found = self._star(ref, scope)
            self.refer(found, context)
            return list(found.outs)
        found = self._resolve(ref, scope)
        self.refer(found, context if found.plain else VALUE)
        name = alias or fields[-1]["String"]["sval"]
        use = found.outs[0].use if found.plain else None
        return [Out(name, found.sources, found.plain, use)]

    def _star(self, ref: Node, scope: Scope) -> Found:
        names = [name["String"]["sval"] for name in ref["fields"][:-1]]
        if not names:
            level = next((level for level in scope.levels() if level.item.entries), scope)
            outs = list(level.item.columns)
            outs += [unknown_column(entry.more) for entry in level.item.entries if entry.more is not None]
        else:
            entries = self._entries(ref, names, scope)
            outs = [out for entry in entries for out in entry.columns]
            outs += [unknown_column(entry.more) for entry in entries if entry.more is not None]
        mark_starred(outs)
        return Found(tuple(outs))

    def _by_output(self, part: Node, outs: list[Out], scope: Scope) -> None:
        """GROUP BY, ORDER BY, DISTINCT ON: a number or a bare name may mean an output column."""
        node = part["SortBy"]["node"] if "SortBy" in part else part
        if "ival" in node.get("A_Const", {}):
            number = node["A_Const"]["ival"].get("ival", 0)
            known = 0 < number <= len(outs) and all(out.name for out in outs)
            self.all_of(outs[number - 1 : number] if known else outs, PREDICATE)
        elif "ColumnRef" in node and len(node["ColumnRef"]["fields"]) == 1 and "String" in node["ColumnRef"]["fields"][0]:
            name = node["ColumnRef"]["fields"][0]["String"]["sval"]
            named = [out for out in outs if out.name == name]
            self.all_of(named, PREDICATE)
            if not named or any(out.name == name for out in scope.item.columns):
                self._column(node["ColumnRef"], scope, PREDICATE)
        else:
            self.expression(part, scope, PREDICATE)

    def all_of(self, outs: Iterable[Out], context: str) -> None:
        """Note that all these output columns are referred to."""
        self.refer(Found(tuple(outs)), context)

    # -- expressions

    def expression(self, node: object, scope: Scope, context: str) -> Sources:
        """Read an expression; returns the columns that its value depends on."""
        if isinstance(node, list):
            return NOTHING.union(*(self.expression(part, scope, context) for part in node))
        if not isinstance(node, dict) or not node:
            return NOTHING
        if len(node) == 1:
            ((kind, fields),) = node.items()
            if kind[0].isupper():
                return self._node(kind, fields, scope, context)
        return NOTHING.union(*(self.expression(part, scope, context) for part in node.values() if isinstance(part, dict | list)))

    def _node(self, kind: str, fields: Node, scope: Scope, context: str) -> Sources:
        if kind == "ColumnRef":
            return self._column(fields, scope, context)
        special = expressions.READERS.get(kind)
        if special is not None:
            return special(self, fields, scope, context)
        if kind not in expressions.PLAIN:
            self.fail(f"{kind} is not known inside an expression")
        return NOTHING.union(*(self.expression(part, scope, context) for part in fields.values() if isinstance(part, dict | list)))

    def _column(self, ref: Node, scope: Scope, context: str) -> Sources:
        if "A_Star" in ref["fields"][-1]:  # count(t.*), ROW(t.*), (t.*) IS NULL
            return self.refer(self._star(ref, scope), context)
        return self.refer(self._resolve(ref, scope), context)

    def _resolve(self, ref: Node, scope: Scope) -> Found:
        names = [name["String"]["sval"] for name in ref["fields"]]
        if len(names) == 1:
            # Columns and items come before a function's arguments.
            hidden = any(out.name == names[0] for level in scope.levels() for out in level.item.columns)
            if names[0] in self.parameters and not hidden and not find_entries(scope, names[0]):
                self.parameter_references.append(ref)
                return Found(())
            return find_column(scope, names[0])
        entries = self._entries(ref, names[:-1], scope)
        found = find_in(entries, names[-1])
        if found.attribute:
            self.attribute(found.attribute)
        return found

    def _entries(self, ref: Node, names: list[str], scope: Scope) -> list[Entry]:
        """The items that the part of a reference before its last name means."""
        schema = names[-2] if len(names) > 1 else ""
        entries = find_entries(scope, names[-1], schema)
        if entries and schema:
            self.qualified.append(Qualified(ref, len(names) - 1, tuple(entry.use for entry in entries if entry.use is not None)))
        if not entries and names[-1] in self.parameters:
            self.parameter_references.append(ref)
        if entries or (names[-1] in self.parameters):
            return entries
        # The name of nothing that is visible: whatever there is could be meant.
        return [entry for level in scope.levels() for entry in level.item.entries]

    def attribute(self, name: str) -> None:
        """``value.name`` calls the function of that name where there is no such field (manual, 38.5.3)."""
        known = self.catalog is not None and (name in self.catalog.builtins or self.catalog.functions_named([name], self.search_path))
        if known:
            self.call([name], 1)

    def call(self, parts: Sequence[str], arguments: int) -> None:
        self.calls += self.judged(parts, arguments)

    def judged(self, parts: Sequence[str], arguments: int) -> tuple[Verdict, ...]:
        return judge(parts, arguments, self.catalog, self.search_path, self.trusted)

    def body(self, wrapped: Node) -> None:
        """One statement of a function's parsed body."""
        if "ReturnStmt" in wrapped:
            self.expression(wrapped["ReturnStmt"].get("returnval"), Scope(), VALUE)
        else:
            self.statement_in(wrapped, Scope())

    # -- relations

    def assign(self, target: Entry, names: set[str]) -> None:
        """Columns of the target that get new values."""
        self.refer(Found(tuple(out for out in target.columns if out.name in names)), WRITE)

    def give(self, target: Entry, name: str, value: object, sources: Sources) -> None:
        """What a column of the target becomes."""
        node = value if isinstance(value, dict) else {}
        self.assigned += [Assigned(out.plain, node, sources) for out in target.columns if out.name == name and out.plain is not None]

    def copied(self, node: Node) -> None:
        """COPY relation TO: its columns, or all but the generated ones, go out as they are."""
        entry = from_clause.read_relation(self, node["relation"], Scope())
        names = [name["String"]["sval"] for name in node.get("attlist", ())]
        self.refer(Found(tuple(out for out in entry.columns if not names or out.name in names)), OUTPUT)
        self.copied_out = self._copied_out(entry, names)
        if entry.use is not None:
            entry.use.copied = node

    def _copied_out(self, entry: Entry, names: list[str]) -> list[Out]:
        """The columns of COPY relation TO in their order: as they are named, or all but the generated ones."""
        by_name = {out.name: out for out in entry.columns}
        if entry.use is None or not set(names) <= by_name.keys():
            return []
        return [by_name[name] for name in names or [column.name for column in entry.use.relation.columns if not column.generated]]

    def relation(self, node: Node) -> Use | None:
        """The catalog relation that a RangeVar means, noted as unknown where there is none."""
        parts = [node[key] for key in ("schemaname", "relname") if key in node]
        found = self.catalog.resolve(parts, self.search_path) if self.catalog is not None else None
        if found is None:
            self.unknown.add(".".join(parts))
            return None
        use = Use(found, node)
        self.uses.append(use)
        return use

    def named(self, node: Node, use: Use | None) -> str:
        return use.relation.full_name if use else ".".join(node[key] for key in ("schemaname", "relname") if key in node)

    def target_name(self, node: Node) -> str:
        """A RangeVar that is created, altered or locked: its name goes to ``writes``."""
        parts = [node[key] for key in ("schemaname", "relname") if key in node]
        found = self.catalog.resolve(parts, self.search_path) if self.catalog is not None else None
        name = found.full_name if found else ".".join(parts)
        self.writes.add(name)
        return name

    def sources_named(self, context: str = "") -> Iterable[tuple[Source, str]]:
        """Every referenced column with its full name; with a ``context``, those that are referred to for that."""
        seen = NOTHING.union(*(reference.sources for reference in self.references if context in ("", reference.context)))
        for oid, attnum in sorted(seen):
            relation = self.catalog.relation(oid) if self.catalog else None
            column = next((column for column in relation.columns if column.attnum == attnum), None) if relation else None
            if relation is not None and column is not None:
                yield (oid, attnum), f"{relation.full_name}.{column.name}"


__all__ = ["LOOKUP", "OUTPUT", "PREDICATE", "VALUE", "WRITE", "Assigned", "Qualified", "Reader", "Reference"]
