"""Reading one top-level statement of any kind with a :class:`proxy.sql.walk.Reader`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from proxy.sql import changes
from proxy.sql.classify import action_of
from proxy.sql.parser import Node
from proxy.sql.scope import Out, Scope
from proxy.sql.walk import VALUE, Reader

# Statements in which a masked relation may be replaced by a sub-select.
REWRITABLE = frozenset({
    "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "ExplainStmt", "PrepareStmt", "DeclareCursorStmt", "CopyStmt",
    "CreateTableAsStmt", "ViewStmt",
})  # fmt: skip


def read_statement(reader: Reader, kind: str, node: Node) -> str:
    """Read a statement; returns its own action. What it touches stands in the reader afterwards."""
    action = action_of(kind, node)
    special = _SPECIAL.get(kind)
    if action == "unanalyzable":
        reader.fail(f"statements of type {kind} are not known")
    elif special is not None:
        special(reader, node)
    else:
        _utility(reader, node)
    reader.actions.add(action)
    return action


def _inner(reader: Reader, wrapped: Node, *, top: bool) -> list[Out]:
    """A statement inside EXPLAIN, PREPARE, DECLARE, CREATE TABLE AS …; returns what it yields."""
    ((kind, node),) = wrapped.items()
    if kind == "ExecuteStmt":
        _execute(reader, node)
    elif kind in ("CreateTableAsStmt", "RefreshMatViewStmt", "DeclareCursorStmt"):  # of EXPLAIN
        read_statement(reader, kind, node)
    else:
        return reader.statement_in(wrapped, Scope(), top=top)
    return []


def _query(reader: Reader, node: Node) -> None:
    into = "intoClause" in node
    reader.query(node, None, top=not into)
    if into:
        reader.actions.add("create")


def _change(kind: str) -> Callable[[Reader, Node], None]:
    def read(reader: Reader, node: Node) -> None:
        changes.READERS[kind](reader, node, None, True)

    return read


def _explain(reader: Reader, node: Node) -> None:
    _inner(reader, node["query"], top=True)
    if not _option(node, "analyze"):
        # It is planned and not run: what it would do is not done.
        reader.actions.clear()
        reader.without_where = False


def _option(node: Node, name: str) -> bool:
    for option in node.get("options", ()):
        if option["DefElem"]["defname"] == name:
            value = option["DefElem"].get("arg", {})
            text = str(next(iter(next(iter(value.values()), {}).values()), "true") if value else "true").lower()
            return text not in ("false", "off", "0") and value != {"Integer": {}}
    return False


def _wrapper(reader: Reader, node: Node) -> None:
    _inner(reader, node["query"], top=True)


def _create_as(reader: Reader, node: Node) -> None:
    _inner(reader, node["query"], top=False)
    reader.target_name(node["into"]["rel"])


def _view(reader: Reader, node: Node) -> None:
    _inner(reader, node["query"], top=False)
    reader.actions.clear()
    _altered(reader, node["view"])


def _execute(reader: Reader, node: Node) -> None:
    reader.runs_prepared = True
    reader.expression(node.get("params"), Scope(), VALUE)


def _copy(reader: Reader, node: Node) -> None:
    if "query" in node:
        reader.copied_out = _inner(reader, node["query"], top=True)
        return
    if node.get("is_from"):
        target = changes.target_entry(reader, node["relation"])
        columns = [{"ResTarget": {"name": name["String"]["sval"]}} for name in node.get("attlist", ())]
        named = {column["ResTarget"]["name"] for column in columns} or {out.name for out in target.columns}
        reader.assign(target, named)
        reader.expression(node.get("whereClause"), Scope(None, changes.item(target)), "predicate")
        return
    reader.copied(node)


def _call(reader: Reader, node: Node) -> None:
    reader.expression({"FuncCall": node["funccall"]}, Scope(), VALUE)


def _do(reader: Reader, node: Node) -> None:
    """An anonymous block: its action says all that is known about it."""


def _set(reader: Reader, node: Node) -> None:
    """Settings name nothing in the catalog."""


def _drop(reader: Reader, node: Node) -> None:
    kind = str(node.get("removeType", ""))
    for wrapped in node.get("objects", ()):
        parts = _names(wrapped)
        if kind == "OBJECT_SCHEMA" and reader.catalog is not None:
            found = [relation for relation in reader.catalog.relations.values() if relation.schema == parts[-1]]
            reader.writes |= {relation.full_name for relation in found}
            reader.altered += found
        elif kind in _RELATION_KINDS and parts:
            _altered(reader, dict(zip(("schemaname", "relname"), parts[-2:], strict=True)) if len(parts) > 1 else {"relname": parts[0]})
        elif kind in ("OBJECT_POLICY", "OBJECT_RULE", "OBJECT_TRIGGER") and len(parts) > 1:
            table = parts[:-1][-2:]
            _altered(reader, dict(zip(("schemaname", "relname"), table, strict=True)) if len(table) > 1 else {"relname": table[0]})


_RELATION_KINDS = frozenset({"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE", "OBJECT_SEQUENCE", "OBJECT_INDEX"})


def _names(wrapped: Node) -> list[str]:
    items = wrapped["List"].get("items", []) if "List" in wrapped else [wrapped]
    return [item["String"]["sval"] for item in items if "String" in item]


def _grant(reader: Reader, node: Node) -> None:
    if node.get("targtype") == "ACL_TARGET_ALL_IN_SCHEMA" and reader.catalog is not None:
        schemas = {name for wrapped in node.get("objects", ()) for name in _names(wrapped)}
        reader.writes |= {relation.full_name for relation in reader.catalog.relations.values() if relation.schema in schemas}
    _utility(reader, node)


def _rename(reader: Reader, node: Node) -> None:
    if node.get("renameType") == "OBJECT_SCHEMA" and reader.catalog is not None:
        reader.altered += [relation for relation in reader.catalog.relations.values() if relation.schema == node.get("subname")]
    _utility(reader, node)


def _refresh(reader: Reader, node: Node) -> None:
    _altered(reader, node["relation"])
    reader.refreshed += reader.altered


def _create_table(reader: Reader, node: Node) -> None:
    _altered(reader, node.get("base", node).get("relation", node.get("relation", {})))
    main = reader.writes.copy()
    _utility(reader, node)
    # Parents, LIKE and foreign keys are looked at, not changed.
    reader.reads |= reader.writes - main
    reader.writes = main


def _create_function(reader: Reader, node: Node) -> None:
    """The body is not run now. One that is stored parsed is read, so that it cannot name a masked relation."""
    inner = Reader(reader.catalog, reader.search_path, reader.trusted, parameters_of(node))
    for statement in body_statements(node.get("sql_body", {})):
        inner.body(statement)
    reader.uses += inner.uses
    reader.references += inner.references
    reader.fail(inner.problem)
    for parameter in node.get("parameters", ()):
        reader.expression(parameter["FunctionParameter"].get("defexpr"), Scope(), VALUE)


def _define(reader: Reader, node: Node) -> None:
    """CREATE OPERATOR and its kin. An operator is another name for a function: to make it counts as a call."""
    _utility(reader, node)
    given = {wrapped["DefElem"]["defname"].lower(): wrapped["DefElem"].get("arg", {}) for wrapped in node.get("definition", ())}
    types = {name: _names({"List": {"items": value.get("TypeName", {}).get("names", [])}}) for name, value in given.items()}
    arguments = sum(types.get(name, [])[-1:] not in ([], ["none"]) for name in ("leftarg", "rightarg"))
    for parts in (types.get("function"), types.get("procedure")):
        if node.get("kind") == "OBJECT_OPERATOR" and parts:
            reader.call(parts, arguments)


def parameters_of(node: Node) -> frozenset[str]:
    """The names by which a function's body can call its arguments."""
    names = {parameter["FunctionParameter"].get("name", "") for parameter in node.get("parameters", ())}
    return frozenset(names | {node["funcname"][-1]["String"]["sval"]}) - {""}


def body_statements(body: Node) -> Iterator[Node]:
    """The statements of a parsed SQL body: RETURN …, or BEGIN ATOMIC … END."""
    if "List" in body:
        for item in body["List"].get("items", ()):
            yield from body_statements(item)
    elif body:
        yield body


def _utility(reader: Reader, node: object) -> None:
    """Any other statement: the relations, functions and queries in it, wherever they stand."""
    if isinstance(node, list):
        for part in node:
            _utility(reader, part)
    elif isinstance(node, dict):
        if "relname" in node and "relpersistence" in node:
            _altered(reader, node)
        elif "SelectStmt" in node or not changes.READERS.keys().isdisjoint(node):
            _nested(reader, node)
        elif "FuncCall" in node:
            fields = node["FuncCall"]
            reader.call([part["String"]["sval"] for part in fields["funcname"]], len(fields.get("args", ())))
            _utility(reader, fields.get("args"))
        else:
            for part in node.values():
                _utility(reader, part)


def _nested(reader: Reader, wrapped: Node) -> None:
    """A query in a rule, policy or schema element: read for what it names; it does not run now."""
    actions, reader.actions = reader.actions, set()
    reader.statement_in(wrapped, Scope())
    reader.actions = actions


def _altered(reader: Reader, node: Node) -> None:
    parts = [node[key] for key in ("schemaname", "relname") if key in node]
    reader.writes.add(reader.target_name(node))
    found = reader.catalog.resolve(parts, reader.search_path) if reader.catalog is not None and parts else None
    if found is not None:
        reader.altered.append(found)


_SPECIAL: dict[str, Callable[[Reader, Node], None]] = {
    "SelectStmt": _query,
    **{kind: _change(kind) for kind in changes.READERS},
    "ExplainStmt": _explain,
    "PrepareStmt": _wrapper,
    "DeclareCursorStmt": _wrapper,
    "CreateTableAsStmt": _create_as,
    "ViewStmt": _view,
    "ExecuteStmt": _execute,
    "CopyStmt": _copy,
    "CallStmt": _call,
    "DoStmt": _do,
    "VariableSetStmt": _set,
    "VariableShowStmt": _set,
    "TransactionStmt": _set,
    "DropStmt": _drop,
    "GrantStmt": _grant,
    "RenameStmt": _rename,
    "RefreshMatViewStmt": _refresh,
    "CreateStmt": _create_table,
    "CreateForeignTableStmt": _create_table,
    "CreateFunctionStmt": _create_function,
    "DefineStmt": _define,
}
