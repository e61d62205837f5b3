"""Rewrite rules: what the server does beside a change of a relation, or instead of it (manual, chapter 41)."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.sql.catalog import Relation
from proxy.sql.parser import Node, SyntaxFailure, TooMuch, parse
from proxy.sql.scope import Item, Scope, Use, entry_of_relation
from proxy.sql.walk import PREDICATE, Reader

_EVENTS = {"CMD_INSERT": "insert", "CMD_UPDATE": "update", "CMD_DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class RuleAction:
    """One action of a rule, read. ``shows``: it can return rows to the client."""

    relation: Relation
    reader: Reader
    shows: bool


def rule_actions(relation: Relation, caller: Reader) -> list[RuleAction] | None:
    """The actions of the relation's rules for what the caller does; None where one of them cannot be read."""
    found: list[RuleAction] = []
    if not relation.rules:
        return None  # they are the system's own
    for text in relation.rules:
        try:
            (statement,) = parse(text)
        except (SyntaxFailure, TooMuch, ValueError):
            return None
        rule = statement.node
        event = _EVENTS.get(rule.get("event", ""))
        if statement.kind != "RuleStmt" or event is None:
            return None
        if event in caller.actions:
            found += [_read(relation, rule, action, caller) for action in rule.get("actions", ())]
    return None if any(action.reader.problem or action.reader.unknown for action in found) else found


def _read(relation: Relation, rule: Node, action: Node, caller: Reader) -> RuleAction:
    reader = Reader(caller.catalog, caller.search_path, caller.trusted)
    # The row before and the row after; the rule's text always names them with their columns.
    rows = [entry_of_relation(Use(relation, {}), name, "") for name in ("old", "new")]
    scope = Scope(None, Item(rows, []))
    reader.expression(rule.get("whereClause"), scope, PREDICATE)
    ((kind, node),) = action.items()
    if kind == "NotifyStmt":
        reader.actions.add("listen")
    else:
        reader.statement_in(action, scope)
    return RuleAction(relation, reader, kind == "SelectStmt" or "returningClause" in node or "returningList" in node)
