"""What a statement does beside what it says: functions, rewrite rules, and the code that the views it reads call.

SQL and PL/pgSQL bodies are followed, the rest is known by its class or opaque. What triggers do is not followed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.sql.catalog import Catalog, Function, Relation
from proxy.sql.functions import CLASS_ACTIONS, OPAQUE_CLASSES, Verdict, reveals
from proxy.sql.parser import Node, Statement, SyntaxFailure, TooMuch, parse
from proxy.sql.plpgsql import read_code
from proxy.sql.rewriting import RuleAction, rule_actions
from proxy.sql.statements import body_statements, parameters_of, read_statement
from proxy.sql.walk import Reader

_MAX_FUNCTIONS, _MAX_RULES = 100, 50
_WORD = re.compile(r"[^\W\d][\w$]*")
_NAMING = frozenset({"search_path", "role", "session_authorization"})


@dataclass(slots=True)
class Outcome:
    """The effects of all functions that one statement calls and of all rules that it sets off, however deep."""

    functions: set[str] = field(default_factory=set)
    opaque: dict[str, Function | None] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)  # function -> its class of functions.json
    actions: set[str] = field(default_factory=set)
    bodies: list[tuple[str, Reader]] = field(default_factory=list)  # each followed body, by its function's name
    rules: list[RuleAction] = field(default_factory=list)
    names_change: bool = False
    block_read: bool = False  # a DO statement whose code was followed
    problem: str = ""  # why not all of it can be told
    _seen: set[int] = field(default_factory=set)
    _views: set[int] = field(default_factory=set)


def follow(reader: Reader) -> Outcome:
    """Judge every call of a statement and of the bodies it leads to."""
    outcome = Outcome()
    _follow_one(reader, outcome)
    outcome.names_change = outcome.names_change or any(_names_a_name(call) for call in reader.setting_calls)
    return outcome


def _follow_one(reader: Reader, outcome: Outcome) -> None:
    for verdict in reader.calls:
        _judge(verdict, reader, outcome)
    for relation in [use.relation for use in reader.uses if not use.target] + reader.refreshed:
        _follow_view(relation, reader, outcome)
    for use in reader.uses:
        if use.target and use.relation.has_rules:
            _follow_rules(use.relation, reader, outcome)


def _follow_view(view: Relation, caller: Reader, outcome: Outcome) -> None:
    """The code that a view's query calls, which runs with the names of who reads it."""
    runs = view.kind == "v" or view in caller.refreshed
    if not runs or not view.definition or view.oid in outcome._views or caller.catalog is None:
        return
    outcome._views.add(view.oid)
    reader = Reader(caller.catalog, caller.search_path, caller.trusted)
    try:
        (statement,) = parse(view.definition)
        reader.query(statement.node, None)
    except (SyntaxFailure, TooMuch, ValueError):
        outcome.problem = f"the definition of {view.full_name} cannot be analysed"
    _follow_one(reader, outcome)


def _follow_rules(relation: Relation, caller: Reader, outcome: Outcome) -> None:
    """What the server does beside or instead of a change of this relation."""
    actions = rule_actions(relation, caller)
    if actions is None or len(outcome.rules) > _MAX_RULES:
        outcome.problem = f"{relation.full_name} has rewrite rules: what the statement does instead cannot be told"
        return
    for action in actions:
        outcome.rules.append(action)
        outcome.actions |= action.reader.actions
        _follow_one(action.reader, outcome)


def _judge(verdict: Verdict, reader: Reader, outcome: Outcome) -> None:
    outcome.functions.add(verdict.name)
    if verdict.kind == "harmless":
        return
    if verdict.kind == "follow" and verdict.function is not None and follow_function(verdict.function, reader, outcome):
        return
    if verdict.kind in CLASS_ACTIONS:
        outcome.classes[verdict.name] = verdict.kind
        outcome.actions.add(CLASS_ACTIONS[verdict.kind])
    if verdict.kind not in CLASS_ACTIONS or verdict.kind in OPAQUE_CLASSES:
        outcome.opaque[verdict.name] = verdict.function
        outcome.actions.add("function")
        outcome.names_change = True


def follow_function(function: Function, caller: Reader, outcome: Outcome) -> bool:
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
    _add(function.full_name, readers, outcome)
    return True


def _add(name: str, readers: list[Reader], outcome: Outcome) -> None:
    for inner in readers:
        outcome.bodies.append((name, inner))
        outcome.actions |= inner.actions
        _follow_one(inner, outcome)


def follow_block(text: str, reader: Reader, outcome: Outcome) -> bool:
    """A DO statement's code; False where it cannot be read."""
    readers = read_block(text, reader.catalog, reader.search_path, reader.trusted) if reader.catalog is not None else None
    if readers is None:
        return False
    _add("DO", readers, outcome)
    return True


def read_body(function: Function, catalog: Catalog, path: tuple[str, ...] | None, trusted: frozenset[str]) -> list[Reader] | None:
    """One reader per statement of a function in SQL or PL/pgSQL; None where the body cannot be read for sure."""
    if path is None:
        return None
    names = frozenset(function.argument_names) | {function.name}
    if function.language == "plpgsql":
        return read_block(function.definition, catalog, path, trusted, names)
    try:
        statements = parse(function.definition or function.source)
    except (SyntaxFailure, TooMuch):
        return None
    if not function.definition:
        return _readers(statements, catalog, path, trusted, names)
    readers = []
    definition = statements[0].node
    for wrapped in body_statements(definition.get("sql_body", {})):
        reader = Reader(catalog, path, trusted, names | parameters_of(definition))
        reader.body(wrapped)
        readers.append(reader)
    return _certain(readers)


def read_block(
    definition: str, catalog: Catalog, path: tuple[str, ...], trusted: frozenset[str], names: frozenset[str] = frozenset()
) -> list[Reader] | None:
    """The same for PL/pgSQL: a function's definition or a DO statement."""
    code = read_code(definition)
    if code is None:
        return None
    try:
        statements = [one for text in code.statements for one in parse(text)]
    except (SyntaxFailure, TooMuch):
        return None
    readers = _readers(statements, catalog, path, trusted, names | code.variables)
    for reader in readers or ():
        reader.catches = reads_errors(definition)
    return readers


def _readers(
    statements: Sequence[Statement], catalog: Catalog, path: tuple[str, ...], trusted: frozenset[str], names: frozenset[str]
) -> list[Reader] | None:
    readers = []
    for statement in statements:
        if statement.kind in ("VariableSetStmt", "DiscardStmt"):
            return None  # what comes after it may mean something else
        reader = Reader(catalog, path, trusted, names)
        read_statement(reader, statement.kind, statement.node)
        readers.append(reader)
    return _certain(readers)


def _certain(readers: list[Reader]) -> list[Reader] | None:
    doubtful = any(
        one.problem or one.runs_prepared or one.unknown or any(_names_a_name(call) for call in one.setting_calls) for one in readers
    )
    return None if doubtful else readers


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
    return frozenset(_WORD.findall(source.lower()))


def reads_errors(code: str) -> bool:
    """Whether PL/pgSQL code looks at the words of an error that it caught."""
    return not words_of(code).isdisjoint(("diagnostics", "sqlerrm"))


def mentions(language: str, source: str, names: frozenset[str]) -> bool:
    """Whether code that is not followed may lead to something of these names, or runs SQL made at run time."""
    if language not in ("plpgsql", "sql"):
        return True  # any SQL can be made in there
    text, words = source.lower(), words_of(source)
    # U&"…" spells a name with escapes.
    if "execute" in words or "u&" in text or not words.isdisjoint(names) or any(reveals(word) for word in words):
        return True
    return any(name.replace('"', '""') in text for name in names if not _WORD.fullmatch(name))
