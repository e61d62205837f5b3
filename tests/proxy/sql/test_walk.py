"""Reading queries: which columns are referred to, and what for."""

from __future__ import annotations

import pytest

from proxy.sql.parser import parse
from proxy.sql.walk import LOOKUP, OUTPUT, PREDICATE, VALUE, Reader
from tests.proxy.sql.example import PATH, catalog


def read(sql: str) -> Reader:
    reader = Reader(catalog(), PATH)
    (statement,) = parse(sql)
    reader.query(statement.node, None, top=True)
    assert reader.problem == ""
    return reader


def contexts(sql: str, name: str = "crm.orders.card") -> set[str]:
    reader = read(sql)
    names = dict(reader.sources_named())
    return {one.context for one in reader.references for source in one.sources if names[source] == name}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT card FROM crm.orders", {OUTPUT}),
        ("SELECT * FROM crm.orders", {OUTPUT}),
        ("SELECT o.* FROM crm.orders o", {OUTPUT}),
        ("SELECT upper(card) FROM crm.orders", {VALUE}),
        ("SELECT o FROM crm.orders o", {VALUE}),
        ("SELECT to_jsonb(o.*) FROM crm.orders o", {VALUE}),
        ("SELECT (o).card FROM crm.orders o", {VALUE}),
        ("SELECT card FROM (SELECT card FROM crm.orders) x", {VALUE, OUTPUT}),
        ("SELECT id FROM crm.orders WHERE card LIKE 'x'", {PREDICATE}),
        ("SELECT id FROM crm.orders WHERE card = 'x'", {LOOKUP}),
        ("SELECT id FROM crm.orders WHERE card = $1 AND id > 1", {LOOKUP}),
        ("SELECT id FROM crm.orders WHERE NOT card = $1", {PREDICATE}),
        ("SELECT id FROM crm.orders WHERE card = remark", {PREDICATE}),
        ("SELECT id FROM crm.orders GROUP BY id, card", {PREDICATE}),
        ("SELECT id FROM crm.orders GROUP BY id HAVING max(card) > ''", {PREDICATE}),
        ("SELECT id FROM crm.orders ORDER BY card", {PREDICATE}),
        ("SELECT card AS c FROM crm.orders ORDER BY c", {OUTPUT, PREDICATE}),
        ("SELECT id, card FROM crm.orders ORDER BY 2", {OUTPUT, PREDICATE}),
        ("SELECT id, card FROM crm.orders ORDER BY 1", {OUTPUT}),
        ("SELECT DISTINCT card FROM crm.orders", {OUTPUT, PREDICATE}),
        ("SELECT a.id FROM crm.orders a JOIN crm.orders b USING (card)", {PREDICATE}),
        ("SELECT a.id FROM crm.orders a NATURAL JOIN crm.orders b", {PREDICATE}),
        ("SELECT a.id FROM crm.orders a JOIN shop.items b ON a.card = b.title", {PREDICATE}),
        ("SELECT id FROM crm.orders LIMIT (SELECT length(card) FROM crm.orders LIMIT 1)", {VALUE, PREDICATE}),
        ("SELECT count(*) FILTER (WHERE card > '') FROM crm.orders", {PREDICATE}),
        ("SELECT rank() OVER (ORDER BY card) FROM crm.orders", {PREDICATE}),
        ("SELECT EXISTS (SELECT card FROM crm.orders)", {VALUE, PREDICATE}),
        ("SELECT id FROM crm.orders", set()),
        ("SELECT count(*) FROM crm.orders", set()),
        ("WITH RECURSIVE r(n, c) AS (SELECT 1, '' UNION ALL SELECT n + 1, (SELECT card FROM crm.orders) FROM r) SELECT c FROM r", {VALUE}),
    ],
)
def test_what_a_column_is_used_for(sql: str, expected: set[str]) -> None:
    assert contexts(sql) == expected


def test_sub_queries_see_what_postgresql_lets_them_see() -> None:
    """Without LATERAL an item does not see its neighbours, but the query around it."""
    beside = "SELECT (SELECT x.v FROM shop.partners c, (SELECT c.email AS v) x LIMIT 1) FROM crm.customers c"
    assert contexts(beside, "crm.customers.email")
    assert not contexts(beside.replace("(SELECT c.email", "LATERAL (SELECT c.email"), "crm.customers.email")


def test_a_join_condition_sees_the_joined_items_and_the_query_around() -> None:
    inner = "SELECT 1 FROM shop.items i JOIN shop.notes n ON c.email <> ''"
    assert contexts(f"SELECT (SELECT 1 FROM shop.partners c, ({inner}) x) FROM crm.customers c", "crm.customers.email")


def test_common_table_expressions_hide_relations_in_their_order() -> None:
    assert read("WITH notes AS (SELECT 1 AS id) SELECT id FROM notes").reads == set()
    assert read("WITH a AS (SELECT * FROM customers), customers AS (SELECT 1) SELECT * FROM a").reads == {"public.customers"}
    assert read("WITH RECURSIVE a AS (SELECT * FROM customers), customers AS (SELECT 1) SELECT * FROM a").reads == set()
    assert read("WITH customers AS (SELECT 1) SELECT * FROM public.customers").reads == {"public.customers"}
    inner = "WITH customers AS (SELECT 1) SELECT 1 FROM customers"
    assert read(f"SELECT ({inner}), (SELECT count(*) FROM customers)").reads == {"public.customers"}


def test_unknown_nodes_are_a_problem() -> None:
    reader = Reader(catalog(), PATH)
    (statement,) = parse("SELECT 1")
    statement.node["whereClause"] = {"FutureExpr": {}}
    reader.query(statement.node, None)
    assert "FutureExpr" in reader.problem
