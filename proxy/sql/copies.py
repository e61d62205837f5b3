"""Columns into which the database itself copies masked values: by triggers and rewrite rules.

Their code is only read as text: what it is attached to, which relations it names, which columns it fills. Rather too many
columns count than too few; those of types that cannot hold a copied text are spared, if no masked column is of their type.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from proxy.sql.catalog import Catalog, Column, Relation
from proxy.sql.functions import reveals

_SPARED_TYPES = frozenset({16, 20, 21, 23, 26, 700, 701, 1700, 1082, 1083, 1114, 1184, 1186, 1266, 2950, 869})
_NAME = r'(?:[\w$]+|"[^"]+")'
_WRITTEN = re.compile(
    rf"\b(?:insert\s+into|update|merge\s+into)\s+(?:only\s+)?({_NAME}(?:\s*\.\s*{_NAME})*)"
    rf"(?:\s*\(\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\)(?:\s*(values)\s*\()?)?", re.IGNORECASE,
)  # fmt: skip
_ASSIGNED = re.compile(rf"(?:^|;|\bbegin\b|\bthen\b|\belse\b|\bloop\b)\s*new\s*(?:\.\s*({_NAME}))?[^:=;]*?:?=([^;]*)", re.IGNORECASE)
_INTO = re.compile(r"(\b(?:insert|merge)\s+)?\binto\s+(?:strict\s+)?([^;]*?)(?:\bfrom\b|;|\Z)", re.IGNORECASE)
_NEW = re.compile(rf"\bnew\b(?:\s*\.\s*({_NAME}))?", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"[^\W\d][\w$]*")
_STRING = re.compile(r"'(?:[^']|'')*'")
_TO_VECTOR = re.compile(r"tsvector_update_trigger(?:_column)?\((.*)\)", re.IGNORECASE | re.DOTALL)
# Words of an expression through which no value comes in.
_PLAIN_WORDS = frozenset({
    "new", "old", "null", "true", "false", "and", "or", "not", "is", "case", "when", "then", "else", "end", "current_date", "current_user",
    "current_timestamp", "localtimestamp", "session_user", "tg_op", "tg_table_name", "tg_name", "interval", "text", "timestamp", "date",
})  # fmt: skip

_PUNCTUATION = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|[()\[\],]")
_ROW_COLUMN = re.compile(rf"\b(?:new|old)\s*\.\s*({_NAME})", re.IGNORECASE)
_CALLED = re.compile(r"\b([a-z_]\w*)\s*\(", re.IGNORECASE)
_ABOUT_THE_TRIGGER = frozenset({
    "null", "true", "false", "default", "tg_op", "tg_name", "tg_table_name", "tg_table_schema", "tg_relname", "tg_when", "tg_level",
    "current_user", "session_user", "user", "current_date", "current_timestamp", "localtimestamp",
})  # fmt: skip

Copied = dict[int, dict[int, str]]  # relation oid -> attribute number -> what copies there


def copied_columns(catalog: Catalog, masked: Mapping[int, Iterable[int]], names: frozenset[str]) -> Copied:
    """``masked``: attribute numbers by relation. ``names``: words (lower case) of code that leads to masked values."""
    found: Copied = defaultdict(dict)
    types = {column.type_oid for oid, numbers in masked.items() for column in _columns(catalog, oid, numbers)}
    for relation in catalog.relations.values():
        if relation.triggers:
            for column in _filled(relation, catalog, frozenset(masked.get(relation.oid, ())), names, types):
                found[relation.oid].setdefault(column.attnum, f"filled in by a trigger of {relation.full_name}")
    codes = {relation.oid: _codes(relation, catalog) for relation in catalog.relations.values() if relation.triggers or relation.rules}
    hidden = {column.name.lower() for oid, numbers in masked.items() for column in _columns(catalog, oid, numbers)}
    led = {oid for oid, texts in codes.items() if any(_fetches(text, names, hidden) for text in texts)}
    pending = list(dict.fromkeys([*masked, *found, *sorted(led)]))
    for oid in pending:
        origin = catalog.relation(oid)
        if origin is None:
            continue
        own = {*masked.get(oid, ()), *found.get(oid, ())}
        kept = {column.type_oid for column in origin.columns if column.attnum in own} | (types if oid in led else set())
        # Code on a relation that holds nothing itself may fetch it elsewhere.
        for text in (text for text in codes.get(oid, ()) if own or _fetches(text, names, hidden)):
            for relation, column in _written(text, origin, own, catalog):
                if column.type_oid not in _SPARED_TYPES or column.type_oid in kept:
                    found[relation.oid].setdefault(column.attnum, f"copied by a trigger on {origin.full_name}")
                    if relation.oid not in pending:
                        pending.append(relation.oid)
    return found


def _codes(relation: Relation, catalog: Catalog) -> list[str]:
    return [*relation.rules, *(_whole_code(function, catalog) for function in relation.triggers)]


def _fetches(text: str, names: frozenset[str], hidden: set[str]) -> bool:
    """Whether code can read masked values: it names what leads to them, and not only as what it writes to."""

    def target(found: re.Match[str]) -> str:
        rest = _words(text[found.end() :].partition(";")[0])
        return " " if found[0].lower().startswith("insert") or rest.isdisjoint(hidden) else found[0]

    return not names.isdisjoint(_words(_WRITTEN.sub(target, text)))


def _columns(catalog: Catalog, oid: int, numbers: Iterable[int]) -> list[Column]:
    relation, wanted = catalog.relation(oid), frozenset(numbers)
    return [column for column in relation.columns if column.attnum in wanted] if relation else []


def _whole_code(function: int, catalog: Catalog) -> str:
    """The source of a function and of all functions that it names."""
    seen = [function]
    texts = []
    for oid in seen:
        known = catalog.functions.get(oid)
        if known is not None and not known.extension:
            texts.append(_COMMENT.sub(" ", known.source or known.definition))
            for word in _words(texts[-1]):
                seen += [other.oid for other in catalog.all_functions(word) if other.oid not in seen]
    return ";\n".join(texts)


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def _bare(name: str) -> str:
    return name[1:-1] if name.startswith('"') else name.lower()


def _written(text: str, origin: Relation, own: set[int], catalog: Catalog) -> Iterable[tuple[Relation, Column]]:
    """The columns of other relations that code may write to; of an INSERT those that it lists and gives more than plain values."""
    for match in _WRITTEN.finditer(text):
        name, listed, values = match.groups()
        bare = _bare(re.findall(_NAME, name)[-1])
        wanted = [_bare(one) for one in re.findall(_NAME, listed or "")]
        given = _values(text, match.end()) if values else []
        if len(given) == len(wanted):
            wanted = [one for one, value in zip(wanted, given, strict=True) if not _is_plain(value, origin, own, catalog)]
        for relation in catalog.relations.values():
            if relation.name == bare and relation.oid != origin.oid:
                yield from ((relation, column) for column in relation.columns if not listed or column.name in wanted)


def _values(text: str, start: int) -> list[str]:
    """The values of the only row of an INSERT that begins there; none where more follows that could write."""
    found, depth, begun = [], 0, start
    for part in _PUNCTUATION.finditer(text, start):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(part[0], 0)
        if depth < 0 or (part[0] == "," and depth == 0):
            found.append(text[begun : part.start()])
            begun = part.end()
        if depth < 0:
            rest = text[part.end() :].partition(";")[0].lower()
            return [] if rest.lstrip().startswith(",") or "conflict" in rest else found
    return []


def _is_plain(value: str, origin: Relation, own: set[int], catalog: Catalog) -> bool:
    """A value of a trigger's or rule's INSERT that holds nothing masked: constants, what the trigger is, other columns of the row."""
    derived = own | {number for number, _, _ in origin.foreign_keys}
    free = {one.name for one in origin.columns if one.attnum not in derived and not one.generated and not one.computed}
    rest = _ROW_COLUMN.sub(lambda found: " " if _bare(found[1]) in free else found[0], _STRING.sub("''", value))
    rest = _CALLED.sub(lambda found: "(" if found[1].lower() in catalog.builtins and not reveals(found[1].lower()) else found[0], rest)
    return '"' not in rest and "$" not in rest and _words(rest) <= _ABOUT_THE_TRIGGER


def _filled(relation: Relation, catalog: Catalog, masked: frozenset[int], names: frozenset[str], types: set[int]) -> list[Column]:
    """Columns of the relation that its own triggers compute from masked values."""
    hidden = {column.name for column in relation.columns if column.attnum in masked}
    safe = {column.name for column in relation.columns if column.attnum not in masked} | _PLAIN_WORDS | set(catalog.builtins)
    found: set[str] = set()
    for oid, definition in zip(relation.triggers, relation.trigger_definitions, strict=True):
        vector = _TO_VECTOR.search(definition)
        if vector:
            arguments = [one[1:-1] for one in _STRING.findall(vector[1])]
            found |= {arguments[0]} if hidden & set(arguments[1:]) else set()
            continue
        text = _whole_code(oid, catalog)
        words = _words(text)
        if words.isdisjoint(names - {relation.name.lower()}) and words.isdisjoint({name.lower() for name in hidden}):
            continue
        found |= _assigned(text, safe, {column.name for column in relation.columns})
    return [
        column for column in relation.columns
        if column.name in found and column.attnum not in masked and (column.type_oid not in _SPARED_TYPES or column.type_oid in types)
    ]


def _assigned(text: str, safe: set[str], every: set[str]) -> set[str]:
    """Names of NEW's columns that get a value of which it is not sure that it holds nothing."""
    found: set[str] = set()
    for name, value in _ASSIGNED.findall(text):
        if not _words(_STRING.sub("''", value)) <= safe:
            found |= {_bare(name)} if name else every
    for changes, targets in _INTO.findall(text):
        for name in _NEW.findall(targets) if not changes else ():
            found |= {_bare(name)} if name else every
    return found
