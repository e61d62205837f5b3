"""Reading INSERT, UPDATE, DELETE and MERGE: the target is changed, everything else is read as in a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from proxy.sql import from_clause
from proxy.sql.parser import Node, same
from proxy.sql.scope import NOTHING, Entry, Found, Item, Out, Scope, entry_of_relation

if TYPE_CHECKING:
    from proxy.sql.walk import Reader


def _insert(reader: Reader, node: Node, parent: Scope | None, top: bool) -> list[Out]:
    reader.actions.add("insert")
    base, target = _start(reader, node, parent)
    _assigned(reader, target, node.get("cols", ()))
    if not node.get("cols"):
        reader.refer(Found(tuple(target.columns)), "write")
    if "selectStmt" in node:
        outs = reader.statement_in(node["selectStmt"], base)
        names = [column["ResTarget"]["name"] for column in node.get("cols", ())] or [out.name for out in target.columns]
        known = all(out.name for out in outs)  # else a row of unknown width is among them
        # A new row may hold what its reader is shown; with ON CONFLICT it may take the place of what is there.
        for name, out in zip(names, outs, strict=False) if "onConflictClause" in node else ():
            reader.give(target, name, None, out.sources if known else NOTHING.union(*(one.sources for one in outs)))
        for row in _constants(node["selectStmt"]):
            for name, value in zip(names, row, strict=False):
                reader.give(target, name, value, NOTHING)
    scope = Scope(base, from_clause.item(target))
    conflict = node.get("onConflictClause")
    if conflict is not None:
        _on_conflict(reader, conflict, target, scope)
    return _returning(reader, node, scope, target, top)


def _on_conflict(reader: Reader, conflict: Node, target: Entry, scope: Scope) -> None:
    """Which rows exist already is an answer about the arbiter's columns: they count as a condition."""
    infer = conflict.get("infer", {})
    elements = [element["IndexElem"] for element in infer.get("indexElems", ())]
    for element in elements:
        names = [out for out in target.columns if out.name == element.get("name")]
        reader.refer(Found(tuple(names)), "predicate")
        reader.expression(element.get("expr"), scope, "predicate")
    reader.expression(infer.get("whereClause"), scope, "predicate")
    if not elements and target.use is not None:
        # No arbiter is named by its columns: any unique index can be it.
        numbers = {number for key in target.use.relation.unique for number in key}
        outs = [out for out in target.columns if 0 in numbers or (out.plain and out.plain[1] in numbers)]
        reader.refer(Found(tuple(outs)), "predicate")
    if conflict.get("action") == "ONCONFLICT_UPDATE":
        reader.actions.add("update")
        # The row proposed for insertion: the statement's own values.
        excluded = Entry("excluded", [Out(out.name) for out in target.columns], more=None if target.columns else NOTHING)
        inner = Scope(scope.parent, Item([*scope.item.entries, excluded], scope.item.columns))
        _set(reader, target, conflict.get("targetList", ()), inner)
        reader.where(conflict.get("whereClause"), inner, top=False)


def _update(reader: Reader, node: Node, parent: Scope | None, top: bool) -> list[Out]:
    reader.actions.add("update")
    base, target = _start(reader, node, parent)
    scope = _with_items(reader, target, node.get("fromClause", ()), base)
    _set(reader, target, node.get("targetList", ()), scope)
    _condition(reader, node, scope, top)
    return _returning(reader, node, scope, target, top)


def _delete(reader: Reader, node: Node, parent: Scope | None, top: bool) -> list[Out]:
    reader.actions.add("delete")
    base, target = _start(reader, node, parent)
    scope = _with_items(reader, target, node.get("usingClause", ()), base)
    _condition(reader, node, scope, top)
    return _returning(reader, node, scope, target, top)


def _merge(reader: Reader, node: Node, parent: Scope | None, top: bool) -> list[Out]:
    reader.actions.add("merge")
    base, target = _start(reader, node, parent)
    scope = _with_items(reader, target, [node["sourceRelation"]], base)
    reader.expression(node.get("joinCondition"), scope, "predicate")
    for wrapped in node.get("mergeWhenClauses", ()):
        clause = wrapped["MergeWhenClause"]
        reader.actions |= _MERGE_ACTIONS.get(clause.get("commandType", ""), set())
        reader.expression(clause.get("condition"), scope, "predicate")
        if clause.get("commandType") == "CMD_UPDATE":
            _set(reader, target, clause.get("targetList", ()), scope)
        else:
            _assigned(reader, target, clause.get("targetList", ()))
        for value in clause.get("values", ()):
            reader.expression(value, scope, "value")
        names = [column["ResTarget"].get("name", "") for column in clause.get("targetList", ())] or [out.name for out in target.columns]
        for name, value in zip(names, clause.get("values", ()), strict=False):
            reader.give(target, name, value, NOTHING)
    return _returning(reader, node, scope, target, top)


_MERGE_ACTIONS = {"CMD_UPDATE": {"update"}, "CMD_DELETE": {"delete"}, "CMD_INSERT": {"insert"}}

READERS: dict[str, Callable[[Reader, Node, Scope | None, bool], list[Out]]] = {
    "InsertStmt": _insert,
    "UpdateStmt": _update,
    "DeleteStmt": _delete,
    "MergeStmt": _merge,
}


def _start(reader: Reader, node: Node, parent: Scope | None) -> tuple[Scope, Entry]:
    """The statement's WITH, and its target. A target never is a common table expression."""
    base = Scope(parent)
    reader.with_clause(node.get("withClause"), base)
    return base, target_entry(reader, node["relation"])


def target_entry(reader: Reader, node: Node) -> Entry:
    """The relation that is changed, as an item of the statement."""
    use = reader.relation(node)
    reader.writes.add(reader.named(node, use))
    alias = node.get("alias", {})
    name = alias.get("aliasname", node["relname"])
    if use is None:
        return Entry(name, [], "" if alias else node.get("schemaname", ""), more=NOTHING)
    use.target = True
    return entry_of_relation(use, name, "" if alias else use.relation.schema)


def item(target: Entry) -> Item:
    """The target alone, as what a condition on it sees."""
    return from_clause.item(target)


def _with_items(reader: Reader, target: Entry, items: Iterable[Node], base: Scope) -> Scope:
    found = from_clause.item(target)
    for node in items:
        found = found + from_clause.read_item(reader, node, base, found)
    return Scope(base, found)


def _assigned(reader: Reader, target: Entry, columns: Iterable[Node]) -> None:
    reader.assign(target, {column["ResTarget"].get("name", "") for column in columns})


def _set(reader: Reader, target: Entry, assignments: Iterable[Node], scope: Scope) -> None:
    for wrapped in assignments:
        assignment = wrapped["ResTarget"]
        _assigned(reader, target, [wrapped])
        reader.expression(assignment.get("indirection"), scope, "value")
        value = assignment.get("val", {})
        sources = reader.expression(value, scope, "value")
        reader.give(target, assignment.get("name", ""), _part(value), sources)


def _constants(wrapped: Node) -> Iterator[list[Node]]:
    """The expressions that an INSERT's rows are plainly made of."""
    select = wrapped.get("SelectStmt", {})
    for row in select.get("valuesLists", ()):
        yield row["List"].get("items", [])
    if "targetList" in select:
        yield [target["ResTarget"].get("val", {}) for target in select["targetList"]]


def _part(value: Node) -> Node:
    """Of ``(a, b) = (1, 2)`` the one that this column gets."""
    multiple = value.get("MultiAssignRef")
    if multiple is None:
        return value
    parts = multiple["source"].get("RowExpr", {}).get("args", [])
    number = int(multiple.get("colno", 0)) - 1
    return parts[number] if 0 <= number < len(parts) else {}


def _condition(reader: Reader, node: Node, scope: Scope, top: bool) -> None:
    where = node.get("whereClause")
    if not restricts(where):
        reader.without_where = True
    reader.where(where, scope, top=top)


def restricts(node: object) -> bool:
    """Whether a WHERE clause can tell rows apart: ``WHERE true``, ``1 = 1``, ``id = id`` and ``id = 1 OR true`` cannot."""
    if isinstance(node, list):
        return any(restricts(part) for part in node)
    if not isinstance(node, dict):
        return False
    if "ColumnRef" in node or "CurrentOfExpr" in node:
        return True
    if "A_Const" in node:
        return False
    if node.get("BoolExpr", {}).get("boolop") == "OR_EXPR":
        return all(restricts(part) for part in node["BoolExpr"]["args"])
    sides = node.get("A_Expr", {})
    if "lexpr" in sides and sides["lexpr"].keys() == sides.get("rexpr", {}).keys() and same(sides["lexpr"], sides["rexpr"]):
        return False
    return any(restricts(part) for part in node.values())


def _returning(reader: Reader, node: Node, scope: Scope, target: Entry, top: bool) -> list[Out]:
    clause = node.get("returningClause", {})
    expressions = clause.get("exprs", node.get("returningList", ()))
    # PostgreSQL 18: OLD and NEW (or other names for them) are the target's row before and after.
    options = [option["ReturningOption"] for option in clause.get("options", ())]
    names = {"old", "new", *(option["value"] for option in options if "value" in option)} - {target.name}
    both = [Entry(name, target.columns, more=target.more) for name in sorted(names)]
    seen = Scope(scope.parent, Item([*scope.item.entries, *both], scope.item.columns))
    return reader.targets(expressions, seen, top=top)
