"""What the target database contains, as far as an analysis must know it.

The worker runs :data:`proxy.sql.queries.QUERIES` (also importable from here) in their order on a session of its own (text
format) and hands the rows to :meth:`Catalog.load`.
A catalog never changes: a new one is loaded after schema changes. It holds no data values.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.sql.queries import QUERIES as QUERIES

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})
FIRST_USER_OID = 16_384  # what comes with PostgreSQL has lower ones (FirstNormalObjectId)
SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``type_name`` is qualified, has its type modifier and can be written after ``::`` as it is."""

    attnum: int
    name: str
    type_oid: int
    type_name: str
    typmod: int
    not_null: bool
    base_type_oid: int  # of a domain, through all its levels; else type_oid
    kind: str  # base | array | domain | enum | composite | range | multirange | pseudo
    collation: str = ""  # qualified and quoted, where it is not the type's own
    generated: str = ""  # the expression of a generated column
    computed: str = ""  # the expression of a default or generated column, where it calls functions that people made


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, partitioned table, view, materialised view, foreign table or sequence (``kind`` as pg_class.relkind)."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...] = ()
    has_rules: bool = False  # rewrite rules other than a view's own
    definition: str = ""  # of a view, every name of a user's schema spelt in full
    parents: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    primary_key: tuple[int, ...] = ()  # attribute numbers
    unique: tuple[tuple[int, ...], ...] = ()  # of each unique index; 0 stands for an expression
    triggers: tuple[int, ...] = ()  # oids of the functions
    trigger_definitions: tuple[str, ...] = ()  # CREATE TRIGGER …, in the same order
    rules: tuple[str, ...] = ()  # CREATE RULE …, other than a view's own, every name of a user's schema spelt in full
    foreign_keys: tuple[tuple[int, int, int], ...] = ()  # (attribute number, oid and attribute number that it refers to)
    cascades: tuple[int, ...] = ()  # oids of the relations whose rows a foreign key changes along with this one's

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Function:
    """A function, procedure or aggregate outside the system schemas."""

    oid: int
    schema: str
    name: str
    kind: str  # f | p | a | w as pg_proc.prokind
    language: str
    volatility: str  # i | s | v
    arguments: int
    defaults: int
    variadic: bool
    source: str
    definition: str = ""  # CREATE FUNCTION …, for PL/pgSQL and where an SQL body is stored parsed (BEGIN ATOMIC)
    extension: str = ""
    argument_names: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  # SET clauses, "name=value"
    returns_set: bool = False
    result_kind: str = ""  # as pg_type.typtype: b | c | d | e | m | p | r
    result_type: str = ""  # can be written after ``::``
    strict: bool = False
    definer: bool = False  # runs with its owner's rights
    argument_types: tuple[str, ...] = ()  # can be written after ``::``; a pseudo-type is empty
    result_columns: tuple[str, ...] = ()  # of a row type, or of OUT and TABLE arguments
    inputs: tuple[str, ...] = ()  # names of the arguments that calls give, in their order; some may be empty
    default_values: str = ""  # of the last of these, separated by commas
    support: tuple[str, ...] = ()  # what an aggregate calls: names of pg_catalog's functions, oids of others

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    def takes(self, count: int) -> bool:
        """Whether a call with this many arguments can mean this function."""
        least = self.arguments - self.defaults
        return least <= count <= self.arguments or (self.variadic and count >= least - 1)


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator outside the system schemas, or on a function that is."""

    schema: str
    arguments: int
    function: int = 0  # its oid, outside pg_catalog
    builtin: str = ""  # else its name


@dataclass(frozen=True, slots=True)
class Catalog:
    """All of it, indexed; equal rows give equal digests."""

    digest: str
    schemas: frozenset[str]
    relations: Mapping[int, Relation]
    functions: Mapping[int, Function]
    builtins: Mapping[str, str]  # names of pg_catalog's functions: a (aggregate), v (volatile) or s
    operators: Mapping[str, tuple[Operator, ...]]  # those that people made
    casts: Mapping[str, tuple[int, ...]]  # type name -> functions outside pg_catalog that cast to it
    code_fetches: bool  # some function may fetch from a cursor that it did not open
    _by_name: Mapping[tuple[str, str], int] = field(repr=False)
    _functions_by_name: Mapping[str, tuple[int, ...]] = field(repr=False)

    @classmethod
    def load(cls, rows: Mapping[str, Sequence[Sequence[str | None]]]) -> Catalog:
        """Build from the rows of :data:`QUERIES`, every value as PostgreSQL's text (None: NULL)."""
        relations = _relations(rows)
        functions = {function.oid: function for function in map(_function, rows.get("functions", ()))}
        by_name: dict[str, list[int]] = defaultdict(list)
        for function in functions.values():
            by_name[function.name].append(function.oid)
        digest = hashlib.sha256(json.dumps({key: rows.get(key, ()) for key in QUERIES if key != "setup"}).encode()).hexdigest()
        return cls(
            digest=digest,
            schemas=frozenset(_text(row[0]) for row in rows.get("schemas", ())),
            relations=relations,
            functions=functions,
            builtins={_text(name): _text(flag) for name, flag in rows.get("builtins", ())},
            operators=_operators(rows),
            casts=_grouped(rows.get("casts", ())),
            code_fetches=any("fetch" in one.source.lower() for one in functions.values() if not one.extension and one.language != "sql"),
            _by_name={(relation.schema, relation.name): relation.oid for relation in relations.values()},
            _functions_by_name={name: tuple(oids) for name, oids in by_name.items()},
        )

    def relation(self, oid: int) -> Relation | None:
        return self.relations.get(oid)

    def resolve(self, parts: Sequence[str], search_path: Iterable[str]) -> Relation | None:
        """The relation that PostgreSQL would find for ``name`` or ``schema.name`` (a database name in front is dropped).

        ``search_path`` is what ``current_schemas(true)`` says; ``pg_temp`` means the temporary schema in it.
        """
        path = tuple(search_path)
        if len(parts) == 1:
            for schema in implicit(path):
                oid = self._by_name.get((schema, parts[0]))
                if oid is not None:
                    return self.relations[oid]
            return None
        oid = self._by_name.get((temporary(parts[-2], path), parts[-1]))
        return None if oid is None else self.relations[oid]

    def functions_named(self, parts: Sequence[str], search_path: Iterable[str]) -> tuple[Function, ...]:
        """Every function outside the system schemas that a call by this name could mean."""
        found = (self.functions[oid] for oid in self._functions_by_name.get(parts[-1], ()))
        if len(parts) > 1:
            schema = temporary(parts[-2], tuple(search_path))
            return tuple(function for function in found if function.schema == schema)
        # Functions of temporary schemas are found by their qualified name only (manual, 20.11.1, search_path).
        path = frozenset(search_path)
        return tuple(function for function in found if function.schema in path)

    def operators_named(self, parts: Sequence[str], search_path: Iterable[str], arguments: int) -> tuple[Operator, ...]:
        """Every operator that people made which an expression with this symbol can mean."""
        schemas = parts[-2:-1] or tuple(search_path)
        return tuple(one for one in self.operators.get(parts[-1], ()) if one.schema in schemas and one.arguments == arguments)

    def all_functions(self, name: str) -> tuple[Function, ...]:
        """Every function of this bare name outside the system schemas."""
        return tuple(self.functions[oid] for oid in self._functions_by_name.get(name, ()))

    def family(self, oid: int) -> tuple[int, ...]:
        """The relation's descendants through inheritance and partitioning, itself first."""
        seen = [oid]
        for current in seen:
            relation = self.relations.get(current)
            seen.extend(child for child in (relation.children if relation else ()) if child not in seen)
        return tuple(seen)

    def changed_with(self, oid: int) -> tuple[Relation, ...]:
        """Everything whose rows a change of this relation can change: itself, its descendants, and what foreign keys lead to."""
        seen = [oid]
        for current in seen:
            relation = self.relations.get(current)
            seen += [other for other in ((*relation.children, *relation.cascades) if relation else ()) if other not in seen]
        return tuple(self.relations[found] for found in seen if found in self.relations)

    def ancestors(self, oid: int) -> tuple[int, ...]:
        """What the relation inherits from or is a partition of, however far."""
        seen = [oid]
        for current in seen:
            relation = self.relations.get(current)
            seen.extend(parent for parent in (relation.parents if relation else ()) if parent not in seen)
        return tuple(seen[1:])


def temporary(schema: str, path: tuple[str, ...]) -> str:
    """The schema that is meant: ``pg_temp`` stands for the session's own, which is in the path once it exists."""
    return next((entry for entry in path if entry.startswith("pg_temp_")), schema) if schema == "pg_temp" else schema


def implicit(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path with pg_catalog in front where it is not named (PostgreSQL searches it first then)."""
    return path if "pg_catalog" in path else ("pg_catalog", *path)


def _text(value: str | None) -> str:
    return value or ""


def _grouped(rows: Iterable[Sequence[str | None]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = defaultdict(list)
    for name, oid in rows:
        found[_text(name)].append(int(_text(oid)))
    return {name: tuple(oids) for name, oids in found.items()}


def _operators(rows: Mapping[str, Sequence[Sequence[str | None]]]) -> dict[str, tuple[Operator, ...]]:
    found: dict[str, list[Operator]] = defaultdict(list)
    for symbol, function, schema, arguments in rows.get("operators", ()):
        found[_text(symbol)].append(Operator(_text(schema), int(_text(arguments)), function=int(_text(function))))
    for symbol, function, schema, arguments in rows.get("borrowed_operators", ()):
        found[_text(symbol)].append(Operator(_text(schema), int(_text(arguments)), builtin=_text(function)))
    return {symbol: tuple(operators) for symbol, operators in found.items()}


def _relations(rows: Mapping[str, Sequence[Sequence[str | None]]]) -> dict[int, Relation]:
    domains = {int(_text(oid)): int(_text(base)) for oid, base in rows.get("domains", ())}
    computed = {(row[0], row[1]): _text(row[2]) for row in rows.get("defaults", ())}
    columns: dict[int, list[Column]] = defaultdict(list)
    for row in rows.get("columns", ()):
        columns[int(_text(row[0]))].append(_column(row, domains, computed.get((row[0], row[1]), "")))
    definitions = {int(_text(oid)): _readable(_text(definition)) for oid, definition in rows.get("views", ())}
    parents: dict[int, list[int]] = defaultdict(list)
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent in rows.get("inherits", ()):
        parents[int(_text(child))].append(int(_text(parent)))
        children[int(_text(parent))].append(int(_text(child)))
    primary: dict[int, tuple[int, ...]] = {}
    unique: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for owner, is_primary, key in rows.get("unique_indexes", ()):
        numbers = tuple(int(number) for number in _text(key).split())
        unique[int(_text(owner))].append(numbers)
        if is_primary == "t":
            primary[int(_text(owner))] = numbers
    triggers: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for owner, _, function, trigger in rows.get("triggers", ()):
        triggers[int(_text(owner))].append((int(_text(function)), _text(trigger)))
    rules: dict[int, list[str]] = defaultdict(list)
    for owner, rule in rows.get("rules", ()):
        rules[int(_text(owner))].append(_text(rule))
    keys: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for owner, referring, referenced, referred in rows.get("foreign_keys", ()):
        pairs = zip(json.loads(_text(referring)), json.loads(_text(referred)), strict=True)
        keys[int(_text(owner))] += [(int(number), int(_text(referenced)), int(other)) for number, other in pairs]
    cascades: dict[int, list[int]] = defaultdict(list)
    for referenced, referencing in rows.get("cascades", ()):
        cascades[int(_text(referenced))].append(int(_text(referencing)))
    found = {}
    for oid_text, schema, name, kind, has_rules in rows.get("relations", ()):
        oid = int(_text(oid_text))
        found[oid] = Relation(
            oid, _text(schema), _text(name), _text(kind), tuple(columns[oid]), has_rules == "t", definitions.get(oid, ""),
            tuple(parents[oid]), tuple(children[oid]), primary.get(oid, ()), tuple(unique[oid]),
            tuple(function for function, _ in triggers[oid]), tuple(trigger for _, trigger in triggers[oid]), tuple(rules[oid]),
            tuple(keys[oid]), tuple(cascades[oid]),
        )
    return found


# pg_get_viewdef() writes the marks of a CYCLE clause with casts, which the grammar does not take there: 'x'::t for t 'x'.
_MARKS = re.compile(r" TO ('(?:[^']|'')*')::([^']+?) DEFAULT ('(?:[^']|'')*')::([^']+?) USING ")


def _readable(definition: str) -> str:
    return _MARKS.sub(r" TO \2 \1 DEFAULT \4 \3 USING ", definition) if " CYCLE " in definition else definition


_KINDS = {"b": "base", "c": "composite", "d": "domain", "e": "enum", "p": "pseudo", "r": "range", "m": "multirange"}


def _column(row: Sequence[str | None], domains: Mapping[int, int], computed: str) -> Column:
    _, attnum, name, oid_text, schema, type_name, formatted, typmod, not_null, kind, element, length, collation, generated = row
    oid = int(_text(oid_text))
    base = oid
    while base in domains:
        base = domains[base]
    # A true array: a base type of variable length with an element type (manual, pg_type.typelem).
    is_array = kind == "b" and element != "0" and length == "-1"
    return Column(
        int(_text(attnum)), _text(name), oid, _cast_name(_text(schema), _text(type_name), _text(formatted)), int(_text(typmod)),
        not_null == "t", base, "array" if is_array else _KINDS.get(_text(kind), "pseudo"), _text(collation), _text(generated), computed,
    )


# Names that the grammar itself knows: they mean pg_catalog's types whatever the path says.
_GRAMMAR_TYPES = (
    "bigint", "bit", "boolean", "character", "double precision", "integer", "interval", "numeric", "real", "smallint", "time", "timestamp",
)


def _cast_name(schema: str, name: str, formatted: str) -> str:
    if schema == "pg_catalog" and formatted.startswith(_GRAMMAR_TYPES):
        return formatted
    opening = formatted.rfind("(")
    modifier = formatted[opening:].removesuffix("[]") if opening >= 0 and not formatted.startswith('"') else ""
    return f"{quote(schema)}.{quote(name)}{modifier}"


def quote(name: str) -> str:
    """An identifier in double quotes, which every name survives (``pg_catalog`` needs none)."""
    if name == "pg_catalog":
        return name
    return '"' + name.replace('"', '""') + '"'


def _function(row: Sequence[str | None]) -> Function:
    oid, schema, name, kind, language, volatility, count, defaults, variadic, source, definition, extension, names, settings, *result = row
    returns_set, result_kind, result_type, strict, definer, types, columns, inputs, values, support = result
    return Function(
        int(_text(oid)), _text(schema), _text(name), _text(kind), _text(language), _text(volatility), int(_text(count)),
        int(_text(defaults)), variadic == "t", _text(source), _text(definition), _text(extension), _list(names), _list(settings),
        returns_set == "t", _text(result_kind), _text(result_type), strict == "t", definer == "t", _list(types), _list(columns),
        _list(inputs), _text(values), _list(support),
    )


def _list(value: str | None) -> tuple[str, ...]:
    return tuple(str(item) for item in json.loads(value)) if value else ()
