"""FROM: the columns that items contribute, in PostgreSQL's order."""

from __future__ import annotations

import pytest

from proxy.sql import from_clause
from proxy.sql.parser import parse
from proxy.sql.scope import Item, Scope
from proxy.sql.walk import Reader
from tests.proxy.sql.example import PATH, catalog


def item(clause: str) -> tuple[Item, Reader]:
    reader = Reader(catalog(), PATH)
    (statement,) = parse(f"SELECT 1 FROM {clause}")
    return from_clause.read(reader, statement.node["fromClause"], Scope()), reader


@pytest.mark.parametrize(
    ("clause", "columns"),
    [
        ("shop.notes", ["id", "body"]),
        ("shop.notes AS n(a)", ["a", "body"]),
        ("shop.notes, customers", ["id", "body", "id", "label"]),
        ("shop.notes JOIN customers ON true", ["id", "body", "id", "label"]),
        ("shop.notes JOIN customers USING (id)", ["id", "body", "label"]),
        ("shop.notes NATURAL JOIN customers", ["id", "body", "label"]),
        ("(shop.notes JOIN customers USING (id)) AS j(x, y)", ["x", "y", "label"]),
        ("(SELECT id AS a, body || '' FROM shop.notes) x", ["a", "?column?"]),
        ("(VALUES (1, 2)) v(a)", ["a", "column2"]),
        ("generate_series(1, 2) g", ["g"]),
        ("json_to_recordset('[]') AS r(a int, b text)", ["a", "b"]),
        ("ROWS FROM (json_to_recordset('[]') AS (a int), generate_series(1, 2)) x", ["a"]),
    ],
)
def test_columns_in_their_order(clause: str, columns: list[str]) -> None:
    assert [out.name for out in item(clause)[0].columns] == columns


def test_the_alias_of_a_join_hides_what_it_joins() -> None:
    found, _ = item("(shop.notes n JOIN customers c USING (id)) AS j")
    assert [entry.name for entry in found.entries] == ["j"]
    found, _ = item("shop.notes n JOIN customers c USING (id) AS u")
    assert [entry.name for entry in found.entries] == ["n", "c", "u"]


def test_columns_of_functions_come_from_their_arguments() -> None:
    found, reader = item("crm.orders o, unnest(ARRAY[o.card]) x")
    names = dict(reader.sources_named())
    assert {names[source] for out in found.columns if out.name == "x" for source in out.sources} == {"crm.orders.card"}


def test_unknown_items_are_a_problem() -> None:
    reader = Reader(catalog(), PATH)
    from_clause.read(reader, [{"RangeFuture": {}}], Scope())
    assert "RangeFuture" in reader.problem
