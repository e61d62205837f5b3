"""Expression nodes that mean more than their parts: functions, operators, casts, sub-queries, field selections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from proxy.sql.parser import Node
from proxy.sql.scope import NOTHING, Scope, Sources, find_entries

if TYPE_CHECKING:
    from proxy.sql.walk import Reader

# Expression nodes without names of their own: all they need is that their parts are read.
PLAIN = frozenset({
    "ParamRef", "BoolExpr", "NullTest", "BooleanTest", "CaseExpr", "CaseWhen", "CoalesceExpr", "MinMaxExpr", "A_ArrayExpr",
    "A_Indices", "RowExpr", "CollateClause", "TypeName", "SQLValueFunction", "XmlExpr", "XmlSerialize", "NamedArgExpr", "GroupingFunc",
    "GroupingSet", "WindowDef", "List", "String", "Integer", "Float", "Boolean", "BitString", "SetToDefault", "CurrentOfExpr",
    "MultiAssignRef", "ResTarget", "JsonFuncExpr", "JsonValueExpr", "JsonOutput", "JsonFormat", "JsonReturning", "JsonObjectConstructor",
    "JsonArrayConstructor", "JsonArrayQueryConstructor", "JsonObjectAgg", "JsonArrayAgg", "JsonAggConstructor", "JsonKeyValue",
    "JsonParseExpr", "JsonScalarExpr", "JsonSerializeExpr", "JsonIsPredicate", "JsonArgument", "JsonBehavior", "JsonTablePathSpec",
    "JsonTableColumn", "MergeSupportFunc", "RangeTableFuncCol", "A_Star",
})  # fmt: skip


def _indirection(reader: Reader, fields: Node, scope: Scope, context: str) -> Sources:
    for part in fields["indirection"]:
        if "String" in part:
            reader.attribute(part["String"]["sval"])
    return reader.expression(fields["arg"], scope, context) | reader.expression(fields["indirection"], scope, context)


def _function(reader: Reader, fields: Node, scope: Scope, context: str) -> Sources:
    name = [part["String"]["sval"] for part in fields["funcname"]]
    arguments = fields.get("args", [])
    within = fields.get("agg_order", []) if fields.get("agg_within_group") else []
    if not _is_field(reader, name, arguments, scope):
        reader.call(name, len(arguments) + len(within))
    if name[-1] == "set_config":
        reader.setting_calls.append(fields)
    aggregate = reader.in_aggregate
    reader.in_aggregate = aggregate or ("over" not in fields and _is_aggregate(reader, name))
    sources = reader.expression(arguments, scope, context)
    # ``column(item)`` means ``item.column``: its argument is a whole row then, and was read as one.
    for part in ("agg_order", "agg_filter", "over"):
        sources |= reader.expression(fields.get(part), scope, "predicate")
    reader.in_aggregate = aggregate
    return sources


def _is_field(reader: Reader, name: Sequence[str], arguments: Sequence[Node], scope: Scope) -> bool:
    """``column(item)`` means ``item.column`` where no function has that name (manual, 4.2.4)."""
    fields: Sequence[Node] = arguments[0].get("ColumnRef", {}).get("fields", ()) if len(arguments) == len(name) == 1 else ()
    if len(fields) != 1 or "String" not in fields[0]:
        return False
    item = fields[0]["String"]["sval"]
    hidden = any(out.name == item for level in scope.levels() for out in level.item.columns)
    columns = [out.name for entry in find_entries(scope, item) for out in entry.columns]
    return not hidden and name[0] in columns and all(verdict.kind == "unknown" for verdict in reader.judged(name, 1))


def _is_aggregate(reader: Reader, name: Sequence[str]) -> bool:
    if reader.catalog is None:
        return False
    own = reader.catalog.functions_named(name, reader.search_path)
    return reader.catalog.builtins.get(name[-1]) == "a" or any(function.kind == "a" for function in own)


def _operator(reader: Reader, fields: Node, scope: Scope, context: str) -> Sources:
    _operate(reader, fields.get("name"), 2 if "lexpr" in fields else 1)
    return reader.expression(fields.get("lexpr"), scope, context) | reader.expression(fields.get("rexpr"), scope, context)


def _sort(reader: Reader, fields: Node, scope: Scope, context: str) -> Sources:
    _operate(reader, fields.get("useOp"), 2)
    return reader.expression(fields.get("node"), scope, context)


def _operate(reader: Reader, name: Sequence[Node] | None, arguments: int) -> None:
    """An operator calls its function; one that is not PostgreSQL's own is judged like any other call."""
    parts = [part["String"]["sval"] for part in name or () if "String" in part]
    for operator in (reader.catalog.operators_named(parts, reader.search_path, arguments) if reader.catalog and parts else ()):
        if operator.builtin:
            reader.call(["pg_catalog", operator.builtin], operator.arguments)
        else:
            _implicit(reader, operator.function)


def _cast(reader: Reader, fields: Node, scope: Scope, context: str) -> Sources:
    name = fields["typeName"].get("names", [{}])[-1].get("String", {}).get("sval", "")
    for oid in (reader.catalog.casts.get(name, ()) if reader.catalog else ()):
        _implicit(reader, oid)
    return reader.expression(fields.get("arg"), scope, context)


def _implicit(reader: Reader, oid: int) -> None:
    function = reader.catalog.functions.get(oid) if reader.catalog else None
    if function is not None:
        reader.call([function.schema, function.name], function.arguments)


def _sub_query(reader: Reader, fields: Node, scope: Scope, context: str) -> Sources:
    _operate(reader, fields.get("operName"), 2)
    sources = reader.expression(fields.get("testexpr"), scope, "predicate")
    outs = reader.statement_in(fields["subselect"], scope)
    if context == "predicate" or fields.get("testexpr") or fields.get("subLinkType") == "EXISTS_SUBLINK":
        reader.all_of(outs, "predicate")
    return sources.union(*(out.sources for out in outs))


def _select_here(reader: Reader, fields: Node, scope: Scope, context: str) -> Sources:
    return NOTHING.union(*(out.sources for out in reader.query(fields, scope)))


def _constant(reader: Reader, fields: Node, scope: Scope, context: str) -> Sources:
    return NOTHING  # its value is not looked at


READERS: dict[str, Callable[[Reader, Node, Scope, str], Sources]] = {
    "A_Const": _constant,
    "A_Indirection": _indirection,
    "FuncCall": _function,
    "A_Expr": _operator,
    "TypeCast": _cast,
    "SortBy": _sort,
    "SubLink": _sub_query,
    "SelectStmt": _select_here,
}


def looked_up(node: Node) -> Node | None:
    """The ColumnRef of ``column = constant`` (either way round), where the constant is one or a parameter."""
    fields = node.get("A_Expr", {})
    if fields.get("kind") != "AEXPR_OP" or [part["String"]["sval"] for part in fields.get("name", ())] != ["="]:
        return None
    for one, other in (("lexpr", "rexpr"), ("rexpr", "lexpr")):
        ref: Node | None = fields.get(one, {}).get("ColumnRef")
        value = fields.get(other, {})
        value = value["TypeCast"]["arg"] if "TypeCast" in value else value
        if ref is not None and "A_Star" not in ref["fields"][-1] and ("A_Const" in value or "ParamRef" in value):
            return ref
    return None


def constant(node: Node) -> str | None:
    """The text of a string constant, with a cast or without."""
    while "TypeCast" in node:
        node = node["TypeCast"]["arg"]
    found = node.get("A_Const", {}).get("sval", {}).get("sval")
    return found if isinstance(found, str) else None


def parameter(node: Node) -> int:
    """The number of a parameter, with a cast or without; 0 where the expression is none."""
    while "TypeCast" in node:
        node = node["TypeCast"]["arg"]
    return int(node.get("ParamRef", {}).get("number", 0))
