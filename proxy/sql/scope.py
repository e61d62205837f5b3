"""Names in a query: what a column reference can mean, by PostgreSQL's rules of visibility.

Where the rules leave no doubt the answer is exact. Where something is not known (the columns of a function in FROM, a
relation that is not in the catalog, a name that no visible item has) the answer names everything that it could be, so
that a masked column is never overlooked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.sql.catalog import SYSTEM_COLUMNS, Relation

Source = tuple[int, int]  # (relation oid, attribute number)
Sources = frozenset[Source]
NOTHING: Sources = frozenset()


@dataclass(eq=False, slots=True)
class Use:
    """One mention of a catalog relation in FROM, or as the target of a change."""

    relation: Relation
    node: dict[str, Any]  # the RangeVar
    target: bool = False
    sample: dict[str, Any] | None = None  # the RangeTableSample around it
    copied: dict[str, Any] | None = None  # the CopyStmt that names it
    system_columns: set[str] = field(default_factory=set)
    starred: bool = False  # expanded by ``*``, as a whole row or by NATURAL: its columns must stay as they are


@dataclass(frozen=True, slots=True)
class Out:
    """One output column of a FROM item or query, with the columns of catalog relations that its value comes from."""

    name: str
    sources: Sources = NOTHING
    plain: Source | None = None  # it is exactly this column, unchanged
    use: Use | None = None  # of the relation that it directly belongs to


@dataclass(eq=False, slots=True)
class Entry:
    """A named FROM item. ``more``: it has columns that are not known, whose values come from these sources."""

    name: str
    columns: list[Out]
    schema: str = ""  # of a relation without alias: it can be named ``schema.relation`` too
    use: Use | None = None
    more: Sources | None = None

    def sources(self) -> Sources:
        return NOTHING.union(*(out.sources for out in self.columns), self.more or NOTHING)


@dataclass(eq=False, slots=True)
class Item:
    """What FROM items contribute: named entries, and the columns that can be named alone (and that ``*`` yields)."""

    entries: list[Entry] = field(default_factory=list)
    columns: list[Out] = field(default_factory=list)

    def __add__(self, other: Item) -> Item:
        return Item(self.entries + other.entries, self.columns + other.columns)


@dataclass(eq=False, slots=True)
class Scope:
    """One level of visibility; ``parent`` is the query around it."""

    parent: Scope | None = None
    item: Item = field(default_factory=Item)
    ctes: dict[str, Entry] = field(default_factory=dict)

    def cte(self, name: str) -> Entry | None:
        level: Scope | None = self
        while level is not None:
            if name in level.ctes:
                return level.ctes[name]
            level = level.parent
        return None

    def levels(self) -> Iterable[Scope]:
        level: Scope | None = self
        while level is not None:
            yield level
            level = level.parent


@dataclass(frozen=True, slots=True)
class Found:
    """What a reference means: one or more columns, or (``row``) whole rows; ``attribute`` may name a function then."""

    outs: tuple[Out, ...]
    row: bool = False
    attribute: str = ""

    @property
    def sources(self) -> Sources:
        return NOTHING.union(*(out.sources for out in self.outs))

    @property
    def plain(self) -> Source | None:
        return self.outs[0].plain if len(self.outs) == 1 and not self.row else None


def unknown_column(sources: Sources) -> Out:
    return Out("", sources)


def entry_of_relation(use: Use, name: str, schema: str) -> Entry:
    relation = use.relation
    outs = []
    for column in relation.columns:
        source = (relation.oid, column.attnum)
        outs.append(Out(column.name, frozenset((source,)), source, use))
    return Entry(name, outs, schema, use)


def renamed(entry: Entry, names: Sequence[str]) -> Entry:
    """The entry with a column alias list applied to its first columns."""
    columns = [replace(out, name=names[index]) if index < len(names) else out for index, out in enumerate(entry.columns)]
    columns += [Out(name, entry.more or NOTHING) for name in names[len(columns) :]]
    return Entry(entry.name, columns, entry.schema, entry.use, entry.more)


def find_entries(scope: Scope, name: str, schema: str = "") -> list[Entry]:
    """The FROM items of the nearest level that ``name`` (or ``schema.name``) can mean."""
    for level in scope.levels():
        hits = [entry for entry in level.item.entries if entry.name == name and (not schema or entry.schema == schema)]
        if hits:
            return hits
    return []


def find_column(scope: Scope, name: str) -> Found:
    """What an unqualified name means: a column, else a whole row, else anything that is visible."""
    gathered: list[Out] = []
    for level in scope.levels():
        gathered += (out for out in level.item.columns if out.name == name)
        certain = bool(gathered)
        for entry in level.item.entries:
            if entry.more is not None:
                gathered.append(unknown_column(entry.more))
        if certain:
            return Found(tuple(out for out in gathered if out.name or out.sources))
        if name in SYSTEM_COLUMNS and _system(level.item.entries, name):
            return Found(tuple(gathered))
    rows = find_entries(scope, name)
    if rows:
        return _rows(rows, extra=gathered)
    return Found((*gathered, unknown_column(_visible(scope))))


def find_in(entries: Sequence[Entry], name: str) -> Found:
    """What ``item.name`` means: a column of the item, else an attribute-like call ``name(item)`` of a function."""
    outs = [out for entry in entries for out in entry.columns if out.name == name]
    if outs:
        return Found(tuple(outs))
    if name in SYSTEM_COLUMNS and _system(entries, name):
        return Found(())
    more = [unknown_column(entry.more) for entry in entries if entry.more is not None]
    rows = _rows(entries, extra=more)
    return Found(rows.outs, row=True, attribute=name)


def whole_rows(entries: Sequence[Entry]) -> Found:
    return _rows(entries, extra=[])


def _rows(entries: Sequence[Entry], extra: list[Out]) -> Found:
    outs = [out for entry in entries for out in entry.columns]
    mark_starred(outs)
    outs += [unknown_column(entry.more) for entry in entries if entry.more]
    return Found((*outs, *extra), row=True)


def mark_starred(outs: Iterable[Out]) -> None:
    for out in outs:
        if out.use is not None:
            out.use.starred = True


def _system(entries: Sequence[Entry], name: str) -> bool:
    uses = [entry.use for entry in entries if entry.use is not None]
    for use in uses:
        use.system_columns.add(name)
    return bool(uses)


def _visible(scope: Scope) -> Sources:
    return NOTHING.union(*(entry.sources() for level in scope.levels() for entry in level.item.entries))
