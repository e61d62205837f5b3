"""What counts the rows that a statement would change. That it counts the right ones: tests/worker/test_previews.py."""

import dataclasses

import pytest

from proxy.sql.analysis import analyse
from proxy.sql.counting import count_of
from proxy.sql.facts import AnalysisRequest, Count
from tests.proxy.sql.example import PATH, catalog

N = "SELECT pg_catalog.count(*) FROM "


def asked(sql: str) -> AnalysisRequest:
    return AnalysisRequest(sql, catalog().digest, PATH, {}, "", counting=True)


def count(sql: str) -> Count:
    return count_of(sql, asked(sql), catalog())


@pytest.mark.parametrize(
    ("sql", "counting"),
    [
        ("DELETE FROM shop.items", f"{N}shop.items "),
        ("delete from only shop.items i where i.id = 1 returning *", f"{N}only shop.items i where i.id = 1 "),
        ("DELETE FROM shop.items * WHERE (SELECT true WHERE 1 = 1) ;", f"{N}shop.items * WHERE (SELECT true WHERE 1 = 1)"),
        ("UPDATE shop.items AS i SET (title, kind) = (SELECT 'WHERE', 'x') WHERE id < 5", f"{N}shop.items AS i WHERE id < 5"),
        ("UPDATE /* SET */ customers SET label = 'a' -- WHERE\nWHERE label = 'SET'", f"{N}customers WHERE label = 'SET'"),
        ("UPDATE shop.items SET cost = 1 RETURNING id, (SELECT 1 WHERE true)", f"{N}shop.items "),
        ("WITH w AS (SELECT 1 AS a) DELETE FROM shop.items WHERE id IN (SELECT a FROM w)",
         f"WITH w AS (SELECT 1 AS a) {N}shop.items WHERE id IN (SELECT a FROM w)"),
        ("INSERT INTO shop.notes SELECT id, title FROM shop.items WHERE id > 3 ON CONFLICT DO NOTHING RETURNING id",
         f"{N}(SELECT id, title FROM shop.items WHERE id > 3 ) AS counted"),
        ("INSERT INTO shop.notes (id, body) (TABLE shop.notes)", f"{N}((TABLE shop.notes)) AS counted"),
        ("INSERT INTO shop.notes VALUES (1, 'a'), (2, 'b')", 2),
        ("INSERT INTO shop.notes DEFAULT VALUES", 1),
        ("DELETE FROM shop.items WHERE title = lower('É') AND id < abs(-5)", f"{N}shop.items WHERE title = lower('É') AND id < abs(-5)"),
        ("DELETE FROM shop.items WHERE id = shop.count_items()", f"{N}shop.items WHERE id = shop.count_items()"),
    ],
)  # fmt: skip
def test_the_rows_of_a_change_are_those_of_its_own_condition(sql: str, counting: str | int) -> None:
    found = count(sql)
    assert found.problem == ""
    if isinstance(counting, int):
        assert (found.rows, found.sql) == (counting, "")
    else:
        assert (found.rows, found.sql.split()) == (None, counting.split())


def test_parameters_that_are_needed() -> None:
    assert count("UPDATE shop.items SET title = $1, kind = $4 WHERE id = $3").parameters == (3,)
    assert count("INSERT INTO shop.notes SELECT $2::int, $1").parameters == (1, 2)
    assert count("DELETE FROM shop.items").parameters == ()


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT 1", "only INSERT"),
        ("DELETE FROM shop.items; DELETE FROM shop.items", "only INSERT"),
        ("DELETE FROM", "cannot be told"),
        ("MERGE INTO shop.items i USING shop.notes n ON i.id = n.id WHEN MATCHED THEN DELETE", "MERGE"),
        ("UPDATE shop.items i SET kind = '' FROM shop.notes n WHERE n.id = i.id", "join"),
        ("DELETE FROM shop.items USING shop.notes n WHERE n.id = items.id", "join"),
        ("WITH d AS (DELETE FROM shop.notes RETURNING id) DELETE FROM shop.items WHERE id IN (SELECT id FROM d)", "WITH changes"),
        ("DELETE FROM shop.items WHERE CURRENT OF c", "cursor"),
        ("DELETE FROM shop.items WHERE random() < 0.5", "random"),
        ("DELETE FROM shop.items WHERE id = nextval('s')", "nextval"),
        ("DELETE FROM shop.items WHERE shop.clear_notes() IS NULL", "clear_notes"),
        ("DELETE FROM shop.items WHERE crm.by_name('1') = '1'", "by_name"),
        ("DELETE FROM shop.items WHERE id = crm.unknown(1)", "unknown"),
        ("DELETE FROM shop.items WHERE id IN (SELECT id FROM shop.notes FOR SHARE)", "lock rows"),
        ("INSERT INTO shop.notes SELECT id FROM shop.items FOR UPDATE", "lock rows"),
        ("INSERT INTO shop.notes VALUES (generate_series(1, 5))", "VALUES with functions"),
        ("DELETE FROM crm.v_plain WHERE id = 1", "not a table"),
        ("DELETE FROM shop.items WHERE id IN (SELECT id FROM crm.v_told)", "not a table"),
        ("INSERT INTO shop.ruled SELECT 1", "rewrite rules"),
        ("DELETE FROM shop.nothing", "not known"),
    ],
)
def test_what_is_not_counted(sql: str, why: str) -> None:
    found = count(sql)
    assert (found.sql, found.rows) == ("", None)
    assert why in found.problem


def test_nothing_is_counted_without_a_catalog() -> None:
    assert "catalog" in count_of("DELETE FROM shop.items", asked(""), None).problem


def test_columns_that_get_new_values() -> None:
    assert count("UPDATE shop.items SET title = kind WHERE id = 1").assigned == {"shop.items.title"}
    assert count("UPDATE shop.items i SET (kind, cost) = ('', 1) FROM shop.notes n").assigned == {"shop.items.kind", "shop.items.cost"}
    assert count("DELETE FROM shop.items WHERE id = 1").assigned == set()
    assert count("DELETE FROM shop.nothing").assigned is None


def test_only_whoever_asks_gets_a_count() -> None:
    request = asked("DELETE FROM shop.items WHERE id = 7")
    counted = analyse(request, catalog())
    plain = analyse(dataclasses.replace(request, counting=False), catalog())
    assert plain.count is None
    assert not plain.constants_matter
    assert counted.count is not None
    assert counted.count.sql.endswith("id = 7")
    assert counted.constants_matter, "its count is of no other text"
    assert request.key != dataclasses.replace(request, counting=False).key
    assert counted.statements == plain.statements
