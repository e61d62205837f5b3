"""Facts of whole texts: actions, what is read and written, what may change, and several statements in one text."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from proxy.sql.analysis import analyse
from proxy.sql.facts import ACTIONS, AnalysisRequest, Facts
from tests.proxy.sql.example import PATH, analysed, catalog, fixtures


def facts_of(sql: str, **more: object) -> Facts:
    (facts,) = analysed(sql, rules={}, **more).statements  # type: ignore[arg-type]
    return facts


ACTIONS_OF = [
    ("SELECT 1", "select", {"select"}),
    ("VALUES (1)", "select", {"select"}),
    ("TABLE shop.items", "select", {"select"}),
    ("SELECT 1 INTO shop.x", "select", {"select", "create"}),
    ("INSERT INTO shop.notes VALUES (1)", "insert", {"insert", "select"}),
    ("INSERT INTO shop.notes VALUES (1) ON CONFLICT (id) DO UPDATE SET body = ''", "insert", {"insert", "update", "select"}),
    ("WITH d AS (DELETE FROM shop.notes RETURNING 1) SELECT count(*) FROM d", "select", {"select", "delete"}),
    ("EXPLAIN DELETE FROM shop.notes", "explain", {"explain"}),
    ("EXPLAIN (ANALYZE false) DELETE FROM shop.notes", "explain", {"explain"}),
    ("EXPLAIN (ANALYZE 0) DELETE FROM shop.notes", "explain", {"explain"}),
    ("EXPLAIN (ANALYZE) DELETE FROM shop.notes", "explain", {"explain", "delete"}),
    ("EXPLAIN ANALYZE VERBOSE DELETE FROM shop.notes", "explain", {"explain", "delete"}),
    ("PREPARE z AS DELETE FROM shop.notes", "prepare", {"prepare", "delete"}),
    ("EXECUTE z", "prepare", {"prepare"}),
    ("DECLARE c CURSOR FOR SELECT 1", "cursor", {"cursor", "select"}),
    ("COPY shop.notes TO STDOUT", "copy_to", {"copy_to"}),
    ("COPY (DELETE FROM shop.notes RETURNING 1) TO STDOUT", "copy_to", {"copy_to", "delete"}),
    ("COPY shop.notes FROM STDIN", "copy_from", {"copy_from"}),
    ("COPY shop.notes TO '/tmp/x'", "copy_file", {"copy_file"}),
    ("COPY shop.notes FROM PROGRAM 'id'", "copy_program", {"copy_program"}),
    ("CREATE TABLE shop.t AS SELECT 1", "create", {"create", "select"}),
    ("MERGE INTO shop.notes n USING shop.items i ON n.id = i.id WHEN MATCHED THEN DELETE", "merge", {"merge", "delete"}),
    ("DO 'BEGIN DELETE FROM shop.notes; END'", "do", {"do", "delete"}),
    ("DO LANGUAGE plpython3u 'x'", "do", {"do"}),
    ("SELECT shop.clear_notes()", "select", {"select", "delete"}),
    ("SELECT crm.by_name('1')", "select", {"select", "function"}),
    ("SELECT pg_sleep(1)", "select", {"select", "function"}),
    ("SELECT pg_advisory_lock(1)", "select", {"select", "lock"}),
    ("SELECT set_config('a.b', 'c', false)", "select", {"select", "set"}),
    ("SELECT 1 FROM shop.items, lateral pg_read_file('x')", "select", {"select", "function"}),
    ("SELECT (0.1::float8).pg_sleep", "select", {"select", "function"}),
    ("CREATE SCHEMA s CREATE TABLE t (id int)", "create", {"create"}),
    ("TRUNCATE shop.notes", "truncate", {"truncate"}),
    ("GRANT SELECT ON shop.notes TO PUBLIC", "grant", {"grant"}),
    ("REFRESH MATERIALIZED VIEW crm.m_copy", "maintenance", {"maintenance"}),
    ("LISTEN x", "listen", {"listen"}),
    ("SHOW ALL", "set", {"set"}),
]


@pytest.mark.parametrize(("sql", "action", "actions"), ACTIONS_OF)
def test_actions(sql: str, action: str, actions: set[str]) -> None:
    facts = facts_of(sql)
    assert (facts.problem, facts.action, set(facts.actions)) == ("", action, actions)
    assert facts.actions <= ACTIONS


@pytest.mark.parametrize(
    ("sql", "without"),
    [
        ("DELETE FROM shop.notes", True),
        ("DELETE FROM shop.notes WHERE true", True),
        ("DELETE FROM shop.notes WHERE 1 = 1", True),
        ("DELETE FROM shop.notes WHERE id = id", True),
        ("DELETE FROM shop.notes WHERE id = 1 OR true", True),
        ("DELETE FROM shop.notes WHERE $1", True),
        ("DELETE FROM shop.notes WHERE id = 1", False),
        ("DELETE FROM shop.notes WHERE CURRENT OF c", False),
        ("UPDATE shop.notes SET body = ''", True),
        ("UPDATE shop.notes SET body = '' WHERE id > 3", False),
        ("WITH d AS (DELETE FROM shop.notes RETURNING 1) SELECT 1", True),
        ("EXPLAIN DELETE FROM shop.notes", False),
        ("EXPLAIN ANALYZE DELETE FROM shop.notes", True),
        ("SELECT shop.clear_notes()", True),
    ],
)
def test_changes_of_all_rows_are_seen(sql: str, without: bool) -> None:
    assert facts_of(sql).without_where is without


def test_names_are_resolved_through_the_search_path() -> None:
    assert facts_of("SELECT label FROM customers").reads == {"public.customers"}
    assert facts_of("SELECT name FROM customers", path=("pg_catalog", "crm", "public")).reads == {"crm.customers"}
    assert facts_of("SELECT 1 FROM pg_class").reads == {"pg_catalog.pg_class"}


def test_reads_writes_and_columns() -> None:
    facts = facts_of("INSERT INTO shop.notes (id) SELECT o.id FROM crm.orders o JOIN shop.items i USING (id) WHERE i.title <> ''")
    assert facts.reads == {"crm.orders", "shop.items"}
    assert facts.writes == {"shop.notes"}
    assert facts.columns == {"shop.notes.id", "crm.orders.id", "shop.items.id", "shop.items.title"}
    assert facts_of("SELECT * FROM shop.notes").columns == {"shop.notes.id", "shop.notes.body"}
    assert facts_of("DROP TABLE shop.notes, customers").writes == {"shop.notes", "public.customers"}
    assert facts_of("GRANT SELECT ON ALL TABLES IN SCHEMA shop TO PUBLIC").writes >= {"shop.notes", "shop.items"}
    assert "crm.orders" in facts_of("CREATE TABLE shop.x (o int REFERENCES crm.orders)").reads
    assert facts_of("CREATE TABLE shop.x (o int REFERENCES crm.orders)").writes == {"shop.x"}


def test_functions_are_named_where_they_live() -> None:
    facts = facts_of("SELECT upper(crm.by_name('x')), nosuch(1)")
    assert facts.functions == {"pg_catalog.upper", "crm.by_name", "nosuch"}
    assert facts.opaque_functions == {"crm.by_name", "nosuch"}
    assert facts_of("SELECT crm.by_name('x')", trusted=frozenset({"crm.by_name"})).opaque_functions == frozenset()


def test_relations_that_the_catalog_does_not_know() -> None:
    analysis = analysed("SELECT * FROM nosuch, crm.nothing, shop.items")
    assert analysis.unknown_relations == {"nosuch", "crm.nothing"}
    assert analysis.statements[0].reads == {"nosuch", "crm.nothing", "shop.items"}
    assert analysed("CREATE TABLE fresh (id int); INSERT INTO fresh VALUES (1)", rules={}).unknown_relations == frozenset()


@pytest.mark.parametrize(
    "sql",
    [
        "SET search_path TO crm", "SET LOCAL ROLE x", "RESET ALL", "DISCARD ALL", "SET SESSION AUTHORIZATION x", "SET SCHEMA 'x'",
        "RESET search_path", "SELECT set_config('search_path', 'crm', true)", "SELECT set_config($1, 'crm', true)",
        "CREATE TEMP TABLE t (id int)", "CREATE SCHEMA s",
        "DROP TABLE shop.notes", "ROLLBACK", "ROLLBACK TO s", "COMMIT", "SELECT crm.by_name('x')", "SELECT 1 INTO TEMP x",
    ],
)  # fmt: skip
def test_statements_after_which_names_may_mean_something_else(sql: str) -> None:
    assert facts_of(sql).names_change


@pytest.mark.parametrize("sql", ["SELECT 1", "SET work_mem = '7MB'", "BEGIN", "SELECT set_config('work_mem', '7MB', false)", "SAVEPOINT s"])
def test_statements_after_which_names_mean_the_same(sql: str) -> None:
    assert not facts_of(sql).names_change


@pytest.mark.parametrize(
    ("sql", "kind"),
    [("BEGIN", "begin"), ("END", "commit"), ("ABORT", "rollback"), ("SAVEPOINT s", "savepoint"), ("RELEASE s", "release"),
     ("ROLLBACK TO s", "rollback_to"), ("PREPARE TRANSACTION 'x'", "prepare"), ("SELECT 1", "")],
)  # fmt: skip
def test_transactions(sql: str, kind: str) -> None:
    assert facts_of(sql).transaction == kind


def test_each_statement_of_a_text_is_read() -> None:
    first, second = analysed("SELECT 'é' ; DELETE FROM shop.notes WHERE id = 7;").statements
    assert (first.normalised.strip(), second.normalised) == ("SELECT $1", "DELETE FROM shop.notes WHERE id = $1")
    assert analysed(" ; -- nothing").statements == ()


def test_later_statements_are_read_under_the_path_that_earlier_ones_set() -> None:
    _, second = analysed("SET search_path TO crm; DELETE FROM customers WHERE id = 1", rules={}).statements
    assert second.writes == {"crm.customers"}
    for unknown in ("SET search_path TO \"$user\"", "RESET search_path", "SELECT set_config('search_path', 'crm', false)", "SET ROLE x"):
        _, second = analysed(f"{unknown}; DELETE FROM customers WHERE id = 1", rules={}).statements
        assert second.action == "unanalyzable", unknown


def test_syntax_errors_are_postgresqls_own() -> None:
    syntax = analysed("SELECT 'é' FROM FROM").syntax
    assert syntax is not None
    assert (syntax.message, syntax.position) == ('syntax error at or near "FROM"', 17)


HARMFUL = ["SELECT 1\0", "SELECT " + "(" * 5000 + "1" + ")" * 5000, "SELECT '" + "x" * 1_000_001 + "'", "SELECT 1" + "+1" * 50_000]


@pytest.mark.parametrize("sql", HARMFUL, ids=["nul", "nesting", "length", "chain"])
def test_what_could_harm_the_parser_is_not_parsed(sql: str) -> None:
    analysis = analysed(sql)
    assert analysis.problem
    assert analysis.plan.kind == "refuse"
    assert analysed(sql, rules={}).problem


def test_without_a_catalog_names_stay_as_they_are_written() -> None:
    request = AnalysisRequest("SELECT * FROM Customers, a.b WHERE pg_sleep(1) IS NULL AND now() > x", "", PATH, {}, "")
    analysis = analyse(request, None)
    (facts,) = analysis.statements
    assert facts.reads == {"customers", "a.b"}
    assert facts.functions == {"pg_catalog.pg_sleep", "now"}
    assert facts.opaque_functions == {"now"}


def test_importing_the_package_loads_no_parser_and_no_socket() -> None:
    code = "import sys, proxy.sql.analysis; print({'socket', 'asyncio', 'sqlglot', 'postgast', 'django'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_equal_requests_give_equal_analyses() -> None:
    for name in ("none", "result", "refuse", "scan"):
        for sql, _ in fixtures(name):
            assert analysed(sql) == analysed(sql)


def test_a_cold_statement_is_analysed_in_milliseconds() -> None:
    sql = (
        "SELECT i.id, n.body, p.phone FROM shop.items i JOIN shop.notes n ON n.id = i.id LEFT JOIN shop.partners p ON p.id = n.id"
        " JOIN crm.orders o ON o.id = i.id JOIN crm.visits v ON v.id = o.id WHERE i.cost > 1 ORDER BY i.id LIMIT 10"
    )
    known = catalog()
    request = AnalysisRequest(sql, known.digest, PATH, {}, "")
    analyse(request, known)
    took = []
    for _ in range(20):
        start = time.perf_counter()
        analyse(request, known)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.01  # some 1 ms on an idle machine
