"""What the functions that a statement calls do: SQL bodies are followed, the rest is known by its class or opaque."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from proxy.sql.catalog import Catalog, Function
from proxy.sql.functions import CLASS_ACTIONS, OPAQUE_CLASSES, Verdict
from proxy.sql.parser import Node, SyntaxFailure, TooMuch, parse
from proxy.sql.statements import body_statements, parameters_of, read_statement
from proxy.sql.walk import Reader

_MAX_FUNCTIONS = 100
_NAMING = frozenset({"search_path", "role", "session_authorization"})


@dataclass(slots=True)
class Outcome:
    """The effects of all functions that one statement calls, however deep."""

    functions: set[str] = field(default_factory=set)
    opaque: dict[str, Function | None] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)  # function -> its class of functions.json
    actions: set[str] = field(default_factory=set)
    bodies: list[tuple[str, Reader]] = field(default_factory=list)  # each followed body, by its function's name
    names_change: bool = False
    _seen: set[int] = field(default_factory=set)


def follow(reader: Reader) -> Outcome:
    """Judge every call of a statement and of the bodies it leads to."""
    outcome = Outcome()
    for verdict in reader.calls:
        _judge(verdict, reader, outcome)
    outcome.names_change = outcome.names_change or any(_names_a_name(call) for call in reader.setting_calls)
    return outcome


def _judge(verdict: Verdict, reader: Reader, outcome: Outcome) -> None:
    outcome.functions.add(verdict.name)
    if verdict.kind == "harmless":
        return
    if verdict.kind == "follow" and verdict.function is not None and _follow(verdict.function, reader, outcome):
        return
    if verdict.kind in CLASS_ACTIONS:
        outcome.classes[verdict.name] = verdict.kind
        outcome.actions.add(CLASS_ACTIONS[verdict.kind])
    if verdict.kind not in CLASS_ACTIONS or verdict.kind in OPAQUE_CLASSES:
        outcome.opaque[verdict.name] = verdict.function
        outcome.actions.add("function")
        outcome.names_change = True


def _follow(function: Function, caller: Reader, outcome: Outcome) -> bool:
    """Read a function's SQL body; False where it cannot be read."""
    if function.oid in outcome._seen:
        return True
    outcome._seen.add(function.oid)
    if len(outcome._seen) > _MAX_FUNCTIONS or caller.catalog is None:
        return False
    path = _path_of(function, caller.search_path)
    readers = read_body(function, caller.catalog, path, caller.trusted)
    if readers is None:
        return False
    for inner in readers:
        outcome.bodies.append((function.full_name, inner))
        outcome.actions |= inner.actions
        outcome.names_change = outcome.names_change or any(_names_a_name(call) for call in inner.setting_calls)
        for verdict in inner.calls:
            _judge(verdict, inner, outcome)
    return True


def read_body(function: Function, catalog: Catalog, path: tuple[str, ...] | None, trusted: frozenset[str]) -> list[Reader] | None:
    """One reader per statement of an SQL function; None where the body cannot be read for sure."""
    if path is None:
        return None
    parameters = frozenset(function.argument_names) | {function.name}
    try:
        statements = [(one.kind, one.node) for one in parse(function.definition or function.source)]
    except (SyntaxFailure, TooMuch):
        return None
    readers = []
    if function.definition:
        ((_, definition),) = statements
        for wrapped in body_statements(definition.get("sql_body", {})):
            reader = Reader(catalog, path, trusted, parameters | parameters_of(definition))
            reader.body(wrapped)
            readers.append(reader)
    else:
        for kind, node in statements:
            reader = Reader(catalog, path, trusted, parameters)
            read_statement(reader, kind, node)
            readers.append(reader)
    return None if any(reader.problem or reader.runs_prepared for reader in readers) else readers


def _path_of(function: Function, callers: tuple[str, ...]) -> tuple[str, ...] | None:
    """The search path inside a function: its own SET clause, else the caller's. None where it cannot be told."""
    for setting in function.settings:
        name, _, value = setting.partition("=")
        if name == "search_path":
            schemas = [part.strip().strip('"') for part in value.split(",")]
            if "$user" in schemas:
                return None
            return ("pg_catalog", *(schema for schema in schemas if schema and schema != "pg_catalog"))
    return callers


def _names_a_name(call: Node) -> bool:
    """Whether a call of set_config() can change what names mean: its first argument is not a harmless constant."""
    arguments = call.get("args") or [{}]
    constant = arguments[0].get("A_Const", {}).get("sval", {}).get("sval")
    return constant is None or constant.lower() in _NAMING


def words_of(source: str) -> frozenset[str]:
    """The words of a function's source, lower case; what it names is among them."""
    return frozenset(re.findall(r"[^\W\d][\w$]*", source.lower()))


def mentions(language: str, source: str, names: frozenset[str]) -> bool:
    """Whether code that is not followed may lead to something of these names, or runs SQL made at run time."""
    words = words_of(source)
    if language in ("plpgsql", "sql"):
        # U&"…" spells a name with escapes.
        return "execute" in words or "u&" in source.lower() or not words.isdisjoint(names)
    # Other languages can run any SQL; C code that comes with the server or an extension is what its owner installed it for.
    return language not in ("c", "internal")
