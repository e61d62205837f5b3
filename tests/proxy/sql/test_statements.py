"""Statements around queries, and those of the data definition language: what they name."""

from __future__ import annotations

import pytest

from proxy.sql.parser import parse
from proxy.sql.statements import read_statement
from proxy.sql.walk import Reader
from tests.proxy.sql.example import PATH, catalog


def read(sql: str) -> Reader:
    reader = Reader(catalog(), PATH)
    (statement,) = parse(sql)
    read_statement(reader, statement.kind, statement.node)
    return reader


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("DROP TABLE shop.notes, customers", {"shop.notes", "public.customers"}),
        ("DROP TRIGGER keep ON crm.customers", {"crm.customers"}),
        ("TRUNCATE customers", {"public.customers"}),
        ("ALTER TABLE shop.notes ADD x int", {"shop.notes"}),
        ("ALTER TABLE crm.visits ATTACH PARTITION shop.notes DEFAULT", {"crm.visits", "shop.notes"}),
        ("ALTER TABLE shop.notes RENAME body TO b", {"shop.notes"}),
        ("CREATE INDEX ON shop.notes (body)", {"shop.notes"}),
        ("CREATE POLICY p ON shop.notes USING (true)", {"shop.notes"}),
        ("CREATE TRIGGER t BEFORE INSERT ON shop.notes EXECUTE FUNCTION crm.keep()", {"shop.notes"}),
        ("VACUUM shop.notes", {"shop.notes"}),
        ("LOCK shop.notes", {"shop.notes"}),
        ("GRANT SELECT ON shop.notes TO PUBLIC", {"shop.notes"}),
        ("COMMENT ON SCHEMA shop IS ''", set()),
        ("CREATE VIEW shop.fresh AS SELECT 1", {"shop.fresh"}),
        ("COPY shop.notes FROM STDIN", {"shop.notes"}),
    ],
)
def test_what_statements_change(sql: str, names: set[str]) -> None:
    assert read(sql).writes == names


def test_dropping_a_schema_drops_what_is_in_it() -> None:
    assert {"shop.notes", "shop.items"} <= read("DROP SCHEMA shop CASCADE").writes


def test_functions_in_definitions_are_seen() -> None:
    calls = {verdict.name for verdict in read("ALTER TABLE shop.notes ALTER body TYPE text USING crm.by_name(body)").calls}
    assert calls == {"crm.by_name"}
    assert {verdict.name for verdict in read("CREATE TABLE shop.x (a text DEFAULT crm.by_name(''))").calls} == {"crm.by_name"}


def test_execute_is_told_wherever_it_stands() -> None:
    for sql in ("EXECUTE x", "EXPLAIN ANALYZE EXECUTE x", "CREATE TABLE shop.t AS EXECUTE x"):
        assert read(sql).runs_prepared


def test_unknown_statements_are_a_problem() -> None:
    reader = Reader(catalog(), PATH)
    assert read_statement(reader, "FutureStmt", {}) == "unanalyzable"
    assert "FutureStmt" in reader.problem
    assert "unanalyzable" in reader.actions


def test_bodies_that_are_stored_parsed_are_read() -> None:
    reader = read("CREATE FUNCTION shop.f(a int) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT email FROM crm.customers WHERE id = a; END")
    assert {name for _, name in reader.sources_named()} == {"crm.customers.email", "crm.customers.id"}
    assert reader.actions == {"create"}
