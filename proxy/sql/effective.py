"""The masks that are in force on a relation: its own, inherited ones, and those that a view's definition brings along."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy.policy.masks import Mask, fitted
from proxy.sql.bodies import Outcome, follow, mentions
from proxy.sql.catalog import FIRST_USER_OID, Catalog, Column, Relation
from proxy.sql.copies import Copied, copied_columns
from proxy.sql.facts import AnalysisRequest
from proxy.sql.functions import REVEALING_CLASSES
from proxy.sql.parser import Node, SyntaxFailure, TooMuch, parse
from proxy.sql.scope import Source, Sources
from proxy.sql.walk import PREDICATE, Reader

# Views that show values of the tables that they name; while a mask is in force, only of those that have none.
_STATISTICS = frozenset({"pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"})
# System relations that show values of any table; while a mask is in force the others of them are not read.
_REVEALING = _STATISTICS | {"pg_statistic", "pg_statistic_ext_data", "pg_largeobject"}
# Columns that show the text of other sessions' statements, with their constants.
_STATEMENT_TEXTS = {"pg_stat_activity": "query", "pg_stat_statements": "query", "pg_stat_statements_info": "", "pg_prepared_statements": ""}
_MEMO_SIZE = 4_096


@dataclass(frozen=True, slots=True)
class RelationMasks:
    """``masks`` by attribute number; ``refuse`` says why the relation cannot be read at all.

    ``rows`` is a condition: only what fulfils it is shown. Code and views that read such a relation are closed like those
    that read a refused one.
    """

    masks: dict[int, Mask] = field(default_factory=dict)
    refuse: str = ""
    rows: str = ""
    made: dict[tuple[object, ...], tuple[str, Node]] = field(default_factory=dict)  # sub-selects, kept by the scan masking
    bases: frozenset[int] = frozenset()  # what a view reads, through all its levels: a change of it changes them

    @property
    def closed(self) -> str:
        """Why nothing but a query itself may read the relation."""
        return self.refuse or ("it shows values of masked columns" if self.rows else "")


class EffectiveMasks:
    """The masks of one request, worked out for the relations that are asked for."""

    # Equal digests mean equal catalogs and masks, so what was worked out holds for every later request.
    _memo: OrderedDict[tuple[str, str, int], RelationMasks] = OrderedDict()
    _names_memo: dict[tuple[str, str], frozenset[str]] = {}
    _copies_memo: dict[tuple[str, str], tuple[frozenset[str], Copied]] = {}

    def __init__(self, catalog: Catalog | None, request: AnalysisRequest) -> None:
        self._catalog, self._request = catalog, request
        self._own: dict[int, dict[int, Mask]] = defaultdict(dict)
        for (oid, attnum), mask in request.masks.items():
            self._own[oid][attnum] = mask
        self._working: set[int] = set()  # relations that are being worked out: code of one may lead back to it
        self._cut = False  # … and did

    def __bool__(self) -> bool:
        return bool(self._request.masks)

    def of(self, relation: Relation) -> RelationMasks:
        if not self or self._catalog is None:
            return RelationMasks()
        key = (self._catalog.digest, self._request.mask_digest, relation.oid)
        found = self._memo.get(key)
        if found is not None:
            return found
        if relation.oid in self._working:
            self._cut = True
            return RelationMasks(dict(self._own.get(relation.oid, {})))
        self._working.add(relation.oid)
        try:
            found = self._work_out(relation, self._catalog)
        finally:
            self._working.discard(relation.oid)
        if self._working and self._cut:
            return found  # it may lack what is not known yet of the relation that it leads back to
        self._cut = False
        self._memo[key] = found
        while len(self._memo) > _MEMO_SIZE:
            self._memo.popitem(last=False)
        return found

    def is_own(self, source: Source) -> bool:
        """Whether results carry this column's origin under which the mask is bound."""
        return source in self._request.masks

    def mask(self, source: Source) -> Mask | None:
        relation = self._catalog.relation(source[0]) if self._catalog else None
        return self.of(relation).masks.get(source[1]) if relation else None

    def masked(self, sources: Sources) -> list[Source]:
        return sorted(source for source in sources if self.mask(source) is not None)

    def revealing_names(self) -> frozenset[str]:
        """The bare names (lower case) of what code could name to get at masked values: relations and functions of the catalog."""
        if self._catalog is None or not self:
            return frozenset()
        key = (self._catalog.digest, self._request.mask_digest)
        found = self._names_memo.get(key)
        if found is None:
            found = self._revealing(self._catalog)
            self._names_memo.clear()
            self._names_memo[key] = found
        return found

    def _revealing(self, catalog: Catalog) -> frozenset[str]:
        names = {relation.name.lower() for relation in catalog.relations.values() if (own := self.of(relation)).masks or own.closed}
        return _with_code(names, catalog)

    def _copies(self, catalog: Catalog) -> tuple[frozenset[str], Copied]:
        """Words of code that leads to columns that rules mask, views included; and what code copies from those."""
        key = (catalog.digest, self._request.mask_digest)
        found = self._copies_memo.get(key)
        if found is None:
            masked: dict[int, set[int]] = defaultdict(set)
            for oid, own in self._own.items():
                origin = catalog.relation(oid)
                columns = {column.name for column in origin.columns if column.attnum in own} if origin else set()
                for other in (*catalog.family(oid), *catalog.ancestors(oid)):
                    relation = catalog.relation(other)
                    masked[other] |= {column.attnum for column in relation.columns if column.name in columns} if relation else set()
            names = {relation.name.lower() for oid in masked if (relation := catalog.relation(oid))} | _REVEALING
            views = [relation for relation in catalog.relations.values() if relation.definition]
            while led := [view for view in views if mentions("sql", view.definition, frozenset(names))]:
                names |= {view.name.lower() for view in led}
                views = [view for view in views if view not in led]
            words = _with_code(names, catalog)
            self._copies_memo.clear()
            found = self._copies_memo[key] = (words, copied_columns(catalog, masked, words))
        return found

    def _work_out(self, relation: Relation, catalog: Catalog) -> RelationMasks:
        if relation.schema == "pg_catalog" and relation.name in _STATISTICS:
            return RelationMasks(rows=self._about_unmasked(catalog))
        if relation.schema == "pg_catalog" and relation.name in _REVEALING:
            return RelationMasks(refuse=f"{relation.full_name} shows values of masked columns")
        masks = dict(self._own.get(relation.oid, {}))
        text = relation.column(_STATEMENT_TEXTS.get(relation.name, ""))
        if text is not None:
            masks[text.attnum] = fitted(Mask("nullify", rule="statements of other sessions"), text)
        for other in self._relatives(relation, catalog):
            for attnum, mask in self._own.get(other.oid, {}).items():
                name = next((column.name for column in other.columns if column.attnum == attnum), "")
                column = relation.column(name)
                if column is not None:
                    masks.setdefault(column.attnum, fitted(mask, column))
        for attnum, why in self._copies(catalog)[1].get(relation.oid, {}).items():
            masks.setdefault(attnum, _derived(why, next(column for column in relation.columns if column.attnum == attnum)))
        self._add_referring(relation, catalog, masks)
        self._add_generated(relation, masks)
        self._add_computed(relation, catalog, masks)
        if relation.definition:
            return self._view(relation, catalog, masks)
        return RelationMasks(masks)

    def _about_unmasked(self, catalog: Catalog) -> str:
        """That a row is about a table that is known to have no mask: an index, a system catalog, a table made later is none of these."""
        tables = (one for one in catalog.relations.values() if one.kind in ("r", "p", "f") and one.oid >= FIRST_USER_OID)
        oids = ",".join(str(one.oid) for one in tables if not self.of(one).masks)
        return (
            "EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace "
            "WHERE n.nspname OPERATOR(pg_catalog.=) _.schemaname AND c.relname OPERATOR(pg_catalog.=) _.tablename "
            f"AND c.oid OPERATOR(pg_catalog.=) ANY (CAST('{{{oids}}}' AS pg_catalog.oid[])))"  # numbers only
        )

    def _relatives(self, relation: Relation, catalog: Catalog) -> Iterable[Relation]:
        """Ancestors and descendants: a parent shows the rows of its children, a child holds its parents' columns."""
        oids = list(catalog.family(relation.oid)[1:])
        for oid in catalog.ancestors(relation.oid):
            oids.append(oid)
        return [found for oid in oids if (found := catalog.relation(oid)) is not None]

    def _add_referring(self, relation: Relation, catalog: Catalog, masks: dict[int, Mask]) -> None:
        """A foreign key holds the values of the columns that it refers to."""
        for attnum, oid, number in relation.foreign_keys:
            other = catalog.relation(oid)
            mask = self.of(other).masks.get(number) if other is not None and oid != relation.oid else masks.get(number)
            column = next((column for column in relation.columns if column.attnum == attnum), None)
            if mask is not None and column is not None:
                masks.setdefault(attnum, fitted(mask, column))

    def _add_computed(self, relation: Relation, catalog: Catalog, masks: dict[int, Mask]) -> None:
        """Defaults and generated columns whose functions read masked columns."""
        for column in relation.columns:
            if not column.computed or column.attnum in masks:
                continue
            reader = Reader(catalog, ("pg_catalog",), self._request.trusted_functions)
            try:
                (statement,) = parse(f"SELECT {column.computed}")
                reader.query(statement.node, None)
            except (SyntaxFailure, TooMuch, ValueError, RecursionError):
                masks[column.attnum] = _derived("what its default computes cannot be told", column)
                continue
            if reason := self._leads(follow(reader), catalog):
                masks[column.attnum] = _derived(reason, column)

    def _leads(self, outcome: Outcome, catalog: Catalog) -> str:
        """Why functions that are called may bring masked values along."""
        for function, body in outcome.bodies:
            if any(self.masked(reference.sources) for reference in body.references):
                return f"calls {function}, which reads masked columns"
            if any(self.of(use.relation).closed for use in body.uses):
                return f"calls {function}, which reads what shows masked values"
        for name, kind in outcome.classes.items():
            if kind in REVEALING_CLASSES:
                return f"calls {name}, which could show values of masked columns"
        for name, known in outcome.opaque.items():
            if known is None or mentions(known.language, known.source or known.definition, self._copies(catalog)[0]):
                return f"calls {name}, which may read masked columns: its effect cannot be known"
        return ""

    def _add_generated(self, relation: Relation, masks: dict[int, Mask]) -> None:
        names = {column.name: masks[column.attnum] for column in relation.columns if column.attnum in masks}
        for column in relation.columns:
            if column.generated and column.attnum not in masks:
                used = _names_in(column.generated)
                rules = [mask.rule for name, mask in names.items() if used is None or name in used]
                if rules:
                    masks[column.attnum] = _derived(rules[0], column)

    def _view(self, view: Relation, catalog: Catalog, masks: dict[int, Mask]) -> RelationMasks:
        """A view's columns by the lineage of its definition."""
        reader = Reader(catalog, ("pg_catalog",), self._request.trusted_functions)
        try:
            (statement,) = parse(view.definition)
            outs = reader.query(statement.node, None)
        except (SyntaxFailure, TooMuch, ValueError, RecursionError):
            return RelationMasks(masks, f"the definition of {view.full_name} cannot be analysed")
        if reader.problem or len(outs) != len(view.columns) or reader.unknown:
            return RelationMasks(masks, f"the definition of {view.full_name} cannot be analysed")
        reason = self._refusal(view, reader, catalog)
        bases = {use.relation.oid for use in reader.uses}.union(*(self.of(use.relation).bases for use in reader.uses))
        for column, out in zip(view.columns, outs, strict=True):
            hidden = self.masked(out.sources)
            if hidden and column.attnum not in masks:
                first = self.mask(hidden[0])
                assert first is not None
                masks[column.attnum] = fitted(first, column) if out.plain else _derived(first.rule, column)
        return RelationMasks(masks, reason, bases=frozenset(bases))

    def _refusal(self, view: Relation, reader: Reader, catalog: Catalog) -> str:
        for use in reader.uses:
            inner = self.of(use.relation).closed
            if inner:
                return f"{view.full_name} reads {use.relation.full_name}: {inner}"
        for reference in reader.references:
            hidden = self.masked(reference.sources) if reference.context == PREDICATE else []
            if hidden:
                return f"view {view.full_name} chooses, groups or orders its rows by masked column {self.name(hidden[0])}"
        why = self._leads(follow(reader), catalog)
        return f"view {view.full_name} {why}" if why else ""

    def name(self, source: Source) -> str:
        relation = self._catalog.relation(source[0]) if self._catalog else None
        column = next((column for column in relation.columns if column.attnum == source[1]), None) if relation else None
        return f"{relation.full_name}.{column.name}" if relation and column else "?"


def _derived(rule: str, column: Column) -> Mask:
    """What is computed from a masked column keeps nothing of it."""
    return fitted(Mask("redact", rule=rule), column)


def _names_in(expression: str) -> frozenset[str] | None:
    """The column names that a generated column's expression refers to; None where it cannot be read."""
    try:
        (statement,) = parse(f"SELECT {expression}")
    except (SyntaxFailure, TooMuch, ValueError):
        return None
    found: set[str] = set()
    pending: list[object] = [statement.node]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            if "ColumnRef" in node:
                found |= {part["String"]["sval"] for part in node["ColumnRef"]["fields"] if "String" in part}
            pending += node.values()
    return frozenset(found)


def _with_code(names: set[str], catalog: Catalog) -> frozenset[str]:
    """The names, with those of the functions and operators that lead to one of them."""
    found = set(names)
    pending = [function for function in catalog.functions.values() if not function.extension]
    while led := [one for one in pending if mentions(one.language, one.source or one.definition, frozenset(found))]:
        found |= {function.name.lower() for function in led}
        oids = {function.oid for function in led}
        found |= {symbol for symbol, operators in catalog.operators.items() if any(one.function in oids for one in operators)}
        pending = [function for function in pending if function.oid not in oids]
    return frozenset(found)
