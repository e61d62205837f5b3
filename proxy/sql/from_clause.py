"""Reading FROM: what each item contributes to the names that the query sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.sql.parser import Node
from proxy.sql.scope import NOTHING, Entry, Found, Item, Out, Scope, entry_of_relation, mark_starred, renamed

if TYPE_CHECKING:
    from proxy.sql.walk import Reader


def read(reader: Reader, items: Iterable[Node], base: Scope) -> Item:
    """The items of a FROM clause; ``base`` is what they see that is not beside them."""
    found = Item()
    for node in items:
        found = found + read_item(reader, node, base, found)
    return found


def read_item(reader: Reader, node: Node, base: Scope, beside: Item) -> Item:
    """One FROM item; ``beside`` is what stands left of it, seen by LATERAL items only."""
    ((kind, fields),) = node.items()
    special = _READERS.get(kind)
    if special is None:
        reader.fail(f"{kind} is not known in FROM")
        return Item()
    return special(reader, fields, base, beside)


def _relation(reader: Reader, fields: Node, base: Scope, beside: Item) -> Item:
    return item(read_relation(reader, fields, base))


def read_relation(reader: Reader, fields: Node, base: Scope, sample: Node | None = None) -> Entry:
    """A RangeVar in a reading position: a common table expression in sight, or a relation of the catalog."""
    name, alias = fields["relname"], fields.get("alias", {})
    cte = base.cte(name) if "schemaname" not in fields else None
    if cte is not None:
        return _aliased(cte, alias, name)
    use = reader.relation(fields)
    reader.reads.add(reader.named(fields, use))
    if use is None:
        schema = "" if alias else fields.get("schemaname", "")
        return _aliased(Entry(name, [], schema, more=NOTHING), alias, name)
    use.sample = sample
    entry = entry_of_relation(use, alias.get("aliasname", name), "" if alias else use.relation.schema)
    return renamed(entry, _names(alias))


def _sample(reader: Reader, fields: Node, base: Scope, beside: Item) -> Item:
    relation = fields["relation"]
    if "RangeVar" not in relation:
        reader.fail("TABLESAMPLE of something that is not a table")
        return Item()
    for part in ("args", "repeatable"):
        reader.expression(fields.get(part), base, "predicate")
    method = [part["String"]["sval"] for part in fields.get("method", ())]
    if method[-1:] not in (["bernoulli"], ["system"], ["system_rows"], ["system_time"]):
        reader.call(method, 1)
    return item(read_relation(reader, relation["RangeVar"], base, sample=fields))


def _sub_query(reader: Reader, fields: Node, base: Scope, beside: Item) -> Item:
    scope = Scope(base, beside) if fields.get("lateral") else base
    alias = fields.get("alias", {})
    return item(_aliased(entry_of("", reader.statement_in(fields["subquery"], scope)), alias, alias.get("aliasname", "")))


def _function(reader: Reader, fields: Node, base: Scope, beside: Item) -> Item:
    """Functions see what stands left of them; the columns they yield are known by name at most."""
    scope = Scope(base, beside)
    sources, columns, name = NOTHING, [], ""
    for function in fields.get("functions", ()):
        parts = function["List"]["items"] if "List" in function else [function]
        sources |= reader.expression(parts[0], scope, "value")
        name = name or figure_name(parts[0])
        columns += [definition for part in parts[1:] if part for definition in part["List"]["items"]]
    columns += fields.get("coldeflist", ())
    alias = fields.get("alias", {})
    outs = [Out(column["ColumnDef"]["colname"], sources) for column in columns]
    if not outs and not fields.get("is_rowsfrom"):
        # A scalar function's only column has the name of the item; the real name of a composite's are not known here.
        outs = [Out(alias.get("aliasname", name), sources)]
        return item(renamed(Entry(alias.get("aliasname", name), outs, more=sources), _names(alias)))
    return item(renamed(Entry(alias.get("aliasname", name), outs, more=None if columns else sources), _names(alias)))


def _table_function(reader: Reader, fields: Node, base: Scope, beside: Item) -> Item:
    """XMLTABLE and JSON_TABLE: columns computed from the document; they see what stands left of them."""
    sources = reader.expression([part for key, part in fields.items() if key != "alias"], Scope(base, beside), "value")
    alias = fields.get("alias", {})
    return item(renamed(Entry(alias.get("aliasname", "xmltable"), [], more=sources), _names(alias)))


def _join(reader: Reader, fields: Node, base: Scope, beside: Item) -> Item:
    left = read_item(reader, fields["larg"], base, beside)
    right = read_item(reader, fields["rarg"], base, beside + left)
    both = left + right
    names = [name["String"]["sval"] for name in fields.get("usingClause", ())]
    if fields.get("isNatural"):
        mark_starred(both.columns)
        names = _common(reader, left, right)
    if "quals" in fields:
        reader.expression(fields["quals"], Scope(base, both), "predicate")
    merged = [_merged(reader, name, left, right) for name in names]
    rest = [out for side in (left, right) for out in side.columns if out.name not in names]
    joined = Item(both.entries, [*merged, *rest])
    if "join_using_alias" in fields:
        joined.entries.append(Entry(fields["join_using_alias"]["aliasname"], merged))
    alias = fields.get("alias")
    if alias is None:
        return joined
    # The alias of a join hides the names of what it joins (manual, 7.2.1.2).
    more = [entry.more for entry in both.entries if entry.more is not None]
    return item(renamed(Entry(alias["aliasname"], joined.columns, more=NOTHING.union(*more) if more else None), _names(alias)))


def _common(reader: Reader, left: Item, right: Item) -> list[str]:
    names = {out.name for out in right.columns}
    if any(entry.more is not None for entry in (left + right).entries):
        # Which names both sides share is not known then: every column may decide.
        reader.refer(Found(tuple((left + right).columns)), "predicate")
    return list(dict.fromkeys(out.name for out in left.columns if out.name in names))


def _merged(reader: Reader, name: str, left: Item, right: Item) -> Out:
    outs = [out for side in (left, right) for out in side.columns if out.name == name]
    reader.refer(Found(tuple(outs)), "predicate")
    more = [entry.more for side in (left, right) for entry in side.entries if entry.more]
    return Out(name, NOTHING.union(*(out.sources for out in outs), *more))


_READERS: dict[str, Callable[[Reader, Node, Scope, Item], Item]] = {
    "RangeVar": _relation,
    "RangeTableSample": _sample,
    "RangeSubselect": _sub_query,
    "RangeFunction": _function,
    "RangeTableFunc": _table_function,
    "JsonTable": _table_function,
    "JoinExpr": _join,
}


def item(entry: Entry) -> Item:
    return Item([entry], list(entry.columns))


def item_of(outs: Sequence[Out]) -> Item:
    return item(entry_of("", outs))


def entry_of(name: str, outs: Sequence[Out]) -> Entry:
    """A query as a FROM item: its columns belong to no relation any more. One without a name stands for any number."""
    known = [replace(out, use=None) for out in outs if out.name]
    vague = [out.sources for out in outs if not out.name]
    return Entry(name, known, more=NOTHING.union(*vague) if vague else None)


def renamed_entry(entry: Entry, names: Sequence[str]) -> Entry:
    if names and entry.more is not None:
        # Which columns the list renames is not known then.
        return Entry(entry.name, [Out(name, entry.sources()) for name in names], more=entry.sources())
    return renamed(entry, names)


def _aliased(entry: Entry, alias: Node, name: str) -> Entry:
    named = Entry(alias.get("aliasname", name), list(entry.columns), "" if alias else entry.schema, entry.use, entry.more)
    return renamed_entry(named, _names(alias))


def _names(alias: Node) -> list[str]:
    return [name["String"]["sval"] for name in alias.get("colnames", ())]


_FIXED_NAMES = {
    "CoalesceExpr": "coalesce", "A_ArrayExpr": "array", "RowExpr": "row", "GroupingFunc": "grouping", "CaseExpr": "case",
    "JsonObjectConstructor": "json_object", "JsonArrayConstructor": "json_array", "JsonArrayQueryConstructor": "json_array",
    "JsonParseExpr": "json", "JsonScalarExpr": "json_scalar", "JsonSerializeExpr": "json_serialize", "XmlSerialize": "xmlserialize",
    "MergeSupportFunc": "merge_action",
}  # fmt: skip


def figure_name(node: Node) -> str:
    """The name that PostgreSQL gives an output column without alias, as far as it is plain to see.

    A wrong guess is harmless: a name that nothing visible has is taken to mean everything visible.
    """
    ((kind, fields),) = node.items() if len(node) == 1 else (("", {}),)
    if kind == "FuncCall":
        return str(fields["funcname"][-1]["String"]["sval"])
    if kind in ("TypeCast", "CollateClause"):
        inner = figure_name(fields["arg"]) if fields.get("arg") else ""
        if inner not in ("?column?", "case") or kind == "CollateClause":
            return inner
        return str(fields["typeName"]["names"][-1]["String"]["sval"])
    if kind == "ColumnRef" or kind == "A_Indirection":
        parts = fields["fields"] if kind == "ColumnRef" else [*fields["indirection"]]
        names = [part["String"]["sval"] for part in parts if "String" in part]
        return names[-1] if names else (figure_name(fields["arg"]) if kind == "A_Indirection" else "?column?")
    if kind == "SubLink":
        return _sub_link_name(fields)
    if kind == "MinMaxExpr":
        return "greatest" if fields.get("op") == "IS_GREATEST" else "least"
    if kind == "SQLValueFunction":
        return str(fields.get("op", "")).removeprefix("SVFOP_").lower()
    return _FIXED_NAMES.get(kind, "?column?")


def _sub_link_name(fields: Node) -> str:
    kind = fields.get("subLinkType")
    if kind in ("EXISTS_SUBLINK", "ARRAY_SUBLINK"):
        return "exists" if kind == "EXISTS_SUBLINK" else "array"
    targets = fields.get("subselect", {}).get("SelectStmt", {}).get("targetList", ())
    if kind == "EXPR_SUBLINK" and targets:
        target = targets[0]["ResTarget"]
        return str(target.get("name") or figure_name(target["val"]))
    return "?column?"
