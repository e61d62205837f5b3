"""Random SQL over the vault of `schema.sql`: a hypothesis strategy for statements that PostgreSQL mostly accepts.

:func:`statements` draws :class:`Statement` s. Their text is put together while they are drawn, of :class:`Item` s that can be
referred to and templates of expressions. The writer knows of every column that it mentions whether a mask lies on it, so a
statement tells by itself, without the analysis that it is to test, whether it touches a masked column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from tests.leak import vocabulary as words
from tests.leak.vocabulary import CONSTANTS, RELATIONS, Column, Template

T = TypeVar("T")


class Item(NamedTuple):
    """What can be referred to in FROM: a table, a view, a sub-query. ``relation``: its full name where it has no alias."""

    name: str
    columns: tuple[Column, ...]
    relation: str = ""
    expandable: bool = True  # by * or as a whole row


@dataclass(frozen=True, slots=True)
class Statement:
    """``masked``: it touches a masked column. ``changes``: the relation that it changes; ``guarded``: that reaches masked rows."""

    text: str
    masked: bool
    changes: str = ""
    guarded: bool = False
    binary: bool | None = None  # results in binary format, by the extended protocol; None: a simple Query


class _Writer:
    """Draws one statement. ``outer`` arguments are the items that an expression sees."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self.masked = False
        self._names = 0
        self._ctes: list[Item] = []

    # -- choices

    def chance(self, percent: int) -> bool:
        return self.number(100) >= 100 - percent  # shrinks to no

    def number(self, below: int) -> int:
        return int(self._draw(st.integers(0, below - 1)))

    def one(self, choices: Sequence[T]) -> T:
        return choices[self.number(len(choices))]

    def kinds(self, most: int = 3) -> list[str]:
        return [self.one(words.KINDS if self.chance(10) else words.USUAL) for _ in range(1 + self.number(most))]

    def name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    # -- expressions

    def value(self, kind: str, seen: Sequence[Item], depth: int = 2) -> str:
        columns = [(item, column) for item in seen for column in item.columns if column.kind == kind]
        if columns and (depth <= 0 or self.chance(50)):
            return self.reference(*self.one(columns), seen)
        if depth <= 0 or self.chance(15):
            return self.one(CONSTANTS[kind])
        if depth > 1 and self.chance(8):
            return f"({self.query([kind], seen, depth - 1, single=True)})"
        if kind == "bool" and depth > 1 and self.chance(15):
            return self.quantified(seen, depth - 1)
        if kind == "text" and seen and self.chance(5):
            return self.whole_row(seen)
        return f"({self.filled(self.one(words.MADE[kind]), seen, depth - 1)})"

    def filled(self, template: Template, seen: Sequence[Item], depth: int) -> str:
        return template.text.format(*(self.value(kind, seen, depth) for kind in template.takes))

    def reference(self, item: Item, column: Column, seen: Sequence[Item]) -> str:
        self.masked = self.masked or column.masked
        if sum(other.name == column.name for one in seen for other in one.columns) == 1 and self.chance(40):
            return column.name
        if item.relation and sum(one.name == item.name for one in seen) == 1 and self.chance(40):
            return f"{item.relation}.{column.name}"
        return f"{item.name}.{column.name}"

    def whole_row(self, seen: Sequence[Item]) -> str:
        item = self.one([one for one in seen if one.expandable] or [Item("(ROW(1, 'a'))", ())])
        self.masked = self.masked or any(column.masked for column in item.columns)
        return self.one(["{}::text", "row_to_json({})::text", "to_jsonb({})::text"]).format(item.name)

    def quantified(self, seen: Sequence[Item], depth: int) -> str:
        kind = self.one(["int", "text", "date"])
        template = self.one([
            "{0} IN ({1})", "{0} NOT IN ({1})", "EXISTS ({1})", "{0} = ANY ({1})", "{0} >= ALL ({1})", "{0} = ANY (ARRAY({1}))",
        ])  # fmt: skip
        value = self.value(kind, seen, depth - 1) if "{0}" in template else ""
        return f"({template.format(value, self.query([kind], seen, depth))})"

    # -- queries

    def query(self, kinds: Sequence[str], seen: Sequence[Item] = (), depth: int = 2, *, single: bool = False) -> str:
        """A query that yields values of these kinds."""
        shape = self.number(100)
        comparable = "home" not in kinds and "json" not in kinds
        if shape >= 85 and depth > 0 and comparable and not single:
            operation = self.one(["UNION ALL", "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL"])
            return f"{self.query(kinds, seen, depth - 1)} {operation} {self._select(kinds, seen, depth - 1)}"
        if shape >= 75 and depth > 0:
            return self._with(kinds, seen, depth - 1, single)
        if shape >= 72:
            return "VALUES " + f"({', '.join(self.value(kind, seen, depth - 1) for kind in kinds)})"
        return self._select(kinds, seen, depth, single=single)

    def _with(self, kinds: Sequence[str], seen: Sequence[Item], depth: int, single: bool) -> str:
        inner = self.kinds()
        body = self.query(inner, seen, depth)
        item = self._derived(self.name("w"), inner)
        how = self.one(["", "", "MATERIALIZED ", "NOT MATERIALIZED "])
        self._ctes.append(item)
        select = self._select(kinds, seen, depth, single=single)
        self._ctes.remove(item)
        text = f"WITH {item.name} ({_names(item.columns)}) AS {how}({body}) {select}"
        return f"({text})" if depth < 1 else text

    def _derived(self, name: str, kinds: Sequence[str]) -> Item:
        return Item(name, tuple(Column(f"{name}c{index}", kind) for index, kind in enumerate(kinds)))

    def _select(self, kinds: Sequence[str], seen: Sequence[Item], depth: int, *, single: bool = False) -> str:
        text, items = self.source(seen, depth)
        inner = [*items, *seen]
        where = f" WHERE {self.value('bool', inner, depth)}" if self.chance(60) else ""
        grouped = all(kind in words.AGGREGATES for kind in kinds) and (single or self.chance(25))
        outputs, tail = self._grouped(kinds, inner, depth, single) if grouped else self._plain(kinds, inner, depth)
        if single and not grouped:
            tail += " ORDER BY 1 LIMIT 1" if kinds[0] != "home" else " LIMIT 1"
        return f"SELECT {outputs} FROM {text}{where}{tail}"

    def _plain(self, kinds: Sequence[str], seen: Sequence[Item], depth: int) -> tuple[str, str]:
        outputs = []
        for kind in kinds:
            windowed = words.WINDOWED.get(kind) if self.chance(8) else None
            if windowed:
                outputs.append(self.filled(self.one(windowed), seen, depth - 1))
            else:
                outputs.append(self.value(kind, seen, depth))
        distinct = "DISTINCT " if self.chance(10) and "home" not in kinds else ""
        return distinct + ", ".join(outputs), ""

    def _grouped(self, kinds: Sequence[str], seen: Sequence[Item], depth: int, single: bool) -> tuple[str, str]:
        keys, outputs = [], []
        for kind in kinds:
            if not single and self.chance(40):
                keys.append(self.value(kind, seen, 1 if self.chance(30) else 0))
                outputs.append(keys[-1])
            else:
                outputs.append(self.aggregate(kind, seen, depth - 1))
        tail = f" GROUP BY {self.one(['{}', '{}', 'ROLLUP ({})']).format(', '.join(keys))}" if keys else ""
        if self.chance(20):
            tail += f" HAVING {self.aggregate('bool', seen, depth - 1)}"
        return ", ".join(outputs), tail

    def aggregate(self, kind: str, seen: Sequence[Item], depth: int) -> str:
        made = self.filled(self.one(words.AGGREGATES[kind]), seen, min(depth, 1))
        if self.chance(15) and made.endswith(")"):
            made += f" FILTER (WHERE {self.value('bool', seen, 1)})"
        return made

    # -- FROM

    def source(self, seen: Sequence[Item], depth: int) -> tuple[str, list[Item]]:
        text, items = self.item(depth)
        for _ in range(self.one([0, 0, 1, 1, 2])):
            text, items = self._joined(text, items, seen, depth)
        return text, items

    def _joined(self, text: str, items: list[Item], seen: Sequence[Item], depth: int) -> tuple[str, list[Item]]:
        if depth > 1 and self.chance(10):
            kinds = self.kinds(2)
            body, alias = self.query(kinds, [*items, *seen], depth - 1), self.name("l")
            item = self._derived(alias, kinds)
            return f"{text}, LATERAL ({body}) AS {alias} ({_names(item.columns)})", [*items, item]
        other, added = self.item(depth - 1)
        how = self.one(["JOIN", "LEFT JOIN", "CROSS JOIN", "RIGHT JOIN", "USING", "NATURAL"])
        names = [column.name for item in items for column in item.columns]
        common = [column for column in added[0].columns if names.count(column.name) == 1]
        if how == "CROSS JOIN":
            return f"{text} CROSS JOIN {other}", [*items, *added]
        if how == "USING" and common:
            column = self.one(common)
            self._touch_common([column], items)
            return f"{text} JOIN {other} USING ({column.name})", [*items, *added]
        if how == "NATURAL" and common and all(item.expandable for item in (*items, *added)):
            self._touch_common([column for column in added[0].columns if column.name in names], items)
            return f"{text} NATURAL JOIN {other}", [*items, *added]
        joined = how if how.endswith(" JOIN") else "JOIN"
        return f"{text} {joined} {other} ON {self._condition(items, added)}", [*items, *added]

    def _condition(self, items: list[Item], added: list[Item]) -> str:
        both = [*items, *added]
        numbers = [column for column in added[0].columns if column.kind == "int"]
        if not numbers or self.chance(20):
            return self.value("bool", both, 1)
        # A name that one side has alone may be ambiguous with both in sight: the first side's is drawn in view of both.
        own = [(item, column) for item in items for column in item.columns if column.kind == "int"]
        left = self.reference(*self.one(own), both) if own else self.one(CONSTANTS["int"])
        return f"{left} = {self.reference(added[0], self.one(numbers), both)}"

    def _touch_common(self, shared: Sequence[Column], items: Sequence[Item]) -> None:
        names = {column.name for column in shared}
        hidden = any(column.masked for column in shared) or any(c.masked for i in items for c in i.columns if c.name in names)
        self.masked = self.masked or hidden

    def item(self, depth: int) -> tuple[str, list[Item]]:
        if self._ctes and self.chance(60):
            cte = self.one(self._ctes)
            alias = self.name("t")
            return f"{cte.name} AS {alias}", [Item(alias, cte.columns)]
        if depth > 0 and self.chance(15):
            kinds = self.kinds()
            body, alias = self.query(kinds, (), depth - 1), self.name("q")
            derived = self._derived(alias, kinds)
            return f"({body}) AS {alias} ({_names(derived.columns)})", [derived]
        return self._table()

    def _table(self) -> tuple[str, list[Item]]:
        relation = self.one(["vault.people", "open.people", "open.notes", *RELATIONS])
        columns = RELATIONS[relation]
        if relation == words.CHOSEN:
            self.masked = True
        only = "ONLY " if self.chance(8) and relation in ("vault.base", "vault.people", "vault.heir") else ""
        expandable = relation != words.LOG
        if self.chance(20):
            return f"{only}{relation}", [Item(relation.partition(".")[2], columns, relation, expandable)]
        alias = self.name("t")
        sample = " TABLESAMPLE bernoulli (100)" if self.chance(4) and relation not in words.VIEWS else ""
        if sample or not self.chance(10) or not expandable:
            return f"{only}{relation} AS {alias}{sample}", [Item(alias, columns, expandable=expandable)]
        renamed = tuple(column._replace(name=f"{alias}r{index}") for index, column in enumerate(columns))
        return f"{only}{relation} AS {alias} ({_names(renamed)})", [Item(alias, renamed)]

    # -- whole statements

    def top(self) -> str:
        shape = self.number(100)
        if shape >= 92:
            return self._starred()
        query = self.query(self.kinds(4))
        if shape >= 85:
            return f"EXPLAIN (COSTS off) {query}"
        if shape >= 80:
            return f"COPY ({query}) TO STDOUT"
        if shape >= 65:
            return f"SELECT * FROM ({query}) AS x ORDER BY x::text LIMIT {1 + self.number(5)}"
        return query

    def _starred(self) -> str:
        text, items = self.source((), 1)
        if not all(item.expandable for item in items):
            text, items = "open.people AS o", [Item("o", RELATIONS["open.people"])]
        chosen = self.one(["*", *(f"{item.name}.*" for item in items)])
        shown = items if chosen == "*" else [item for item in items if f"{item.name}.*" == chosen]
        self.masked = self.masked or any(column.masked for item in shown for column in item.columns)
        where = f" WHERE {self.value('bool', items, 1)}" if self.chance(50) else ""
        return f"SELECT {chosen} FROM {text}{where}"

    def change(self) -> tuple[str, str]:
        """An INSERT, UPDATE, DELETE or MERGE and the relation that it changes."""
        target = self.one(words.CHANGED)
        write = self.one([self._insert, self._update, self._delete, self._merge])
        return write(target, RELATIONS[target]), target

    def change_inside(self) -> tuple[str, str]:
        target = self.one(words.CHANGED)
        kinds = self.kinds(2)
        write = self.one([self._insert, self._update, self._delete])
        item = self._derived(self.name("d"), kinds)
        body = write(target, RELATIONS[target], kinds)
        select = f"SELECT {self.value('text', [item])} FROM {item.name}"
        return f"WITH {item.name} ({_names(item.columns)}) AS ({body}) {select}", target

    def _returning(self, items: Sequence[Item], kinds: Sequence[str] | None) -> str:
        if kinds is None and not self.chance(50):
            return ""
        return " RETURNING " + ", ".join(self.value(kind, items, 1) for kind in kinds or self.kinds(2))

    def _target(self, target: str, columns: tuple[Column, ...]) -> tuple[str, Item]:
        alias = self.name("t")
        return f"{target} AS {alias}", Item(alias, columns)

    def _insert(self, target: str, columns: tuple[Column, ...], kinds: Sequence[str] | None = None) -> str:
        needed = [column for column in columns if column.name in ("id", "name", "code")]
        chosen = needed + [column for column in columns if column.name != "loud" and column not in needed and self.chance(60)]
        text, item = self._target(target, columns)
        body = self.query([column.kind for column in chosen]) if self.chance(70) else (
            f"VALUES ({', '.join(self.one(CONSTANTS[column.kind]) for column in chosen)})"
        )
        conflict = ""
        if kinds is None and target in ("open.people", "vault.people") and self.chance(50):
            excluded = [Item("excluded", tuple(column._replace(masked=False) for column in columns))]
            conflict = self.one([" ON CONFLICT DO NOTHING", " ON CONFLICT (id) DO NOTHING", " ON CONFLICT (id) DO UPDATE SET name = {}"])
            self.masked = self.masked or (conflict == " ON CONFLICT DO NOTHING" and target == "vault.people")  # a unique index on phone
            conflict = conflict.format(self.value("text", [item, *excluded], 1)) if "{}" in conflict else conflict
        # Which of several rows for one key is inserted, is not determined.
        returning = "" if conflict else self._returning([item], kinds)
        return f"INSERT INTO {text} ({_names(chosen)}) {body}{conflict}{returning}"

    def _update(self, target: str, columns: tuple[Column, ...], kinds: Sequence[str] | None = None) -> str:
        text, item = self._target(target, columns)
        column = self.one([one for one in columns if one.name != "loud"])
        self.masked = self.masked or column.masked
        source, items = self.source((), 1) if kinds is None and self.chance(40) else ("", [])
        seen = [item, *items]
        changed = f"{column.name} = {self.value(column.kind, seen, 1)}"
        where = f" WHERE {self.value('bool', seen)}" if self.chance(80) else ""
        if source:  # by which of several rows that fit it is changed, is not determined
            return f"UPDATE {text} SET {changed} FROM {source}{where}"
        return f"UPDATE {text} SET {changed}{where}{self._returning(seen, kinds)}"

    def _delete(self, target: str, columns: tuple[Column, ...], kinds: Sequence[str] | None = None) -> str:
        text, item = self._target(target, columns)
        source, items = self.source((), 1) if self.chance(40) else ("", [])
        seen = [item, *items]
        where = f" WHERE {self.value('bool', seen)}" if self.chance(80) else ""
        return f"DELETE FROM {text}{' USING ' + source if source else ''}{where}{self._returning([item], kinds)}"

    def _merge(self, target: str, columns: tuple[Column, ...]) -> str:
        text, item = self._target(target, columns)
        body, alias = self.query(["int", "text"], (), 1), self.name("s")
        source = self._derived(alias, ["int", "text"])
        column = self.one([one for one in columns if one.name not in ("loud", "id")])
        self.masked = self.masked or column.masked
        key = "id" if columns[0].name == "id" else "code"
        condition = f"{item.name}.{key} = {alias}.{alias}c{0 if key == 'id' else 1}"
        matched = self.one([f"UPDATE SET {column.name} = {self.value(column.kind, [item, source], 1)}", "DELETE", "DO NOTHING"])
        extra = f" AND {self.value('bool', [item, source], 1)}" if self.chance(40) else ""
        return f"MERGE INTO {text} USING ({body}) AS {alias} ({alias}c0, {alias}c1) ON {condition} WHEN MATCHED{extra} THEN {matched}"


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(column.name for column in columns)


@st.composite
def statements(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Statement:
    """Statements of all kinds, simple ones first."""
    writer = _Writer(draw)
    shape = writer.number(100)
    target = ""
    if shape >= 92:
        text, target = writer.change_inside()
    elif shape >= 75:
        text, target = writer.change()
    else:
        text = writer.top()
    binary = writer.one([None, None, False, True])
    return Statement(text, writer.masked, target, target.startswith("vault."), binary)
