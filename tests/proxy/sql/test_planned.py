import pytest

from proxy.sql.analysis import analyse
from proxy.sql.facts import AnalysisRequest
from proxy.sql.planned import planned_text


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        ("COPY (SELECT 1) TO STDOUT", "SELECT 1"),
        ("copy/* ( */( SELECT (1) FROM t ) to stdout (format csv)", " SELECT (1) FROM t "),
        ("COPY (DELETE FROM t RETURNING ')') TO STDOUT", "DELETE FROM t RETURNING ')'"),
        ("EXPLAIN SELECT 1;", "SELECT 1"),
        ("EXPLAIN ANALYZE VERBOSE DELETE FROM t", "DELETE FROM t"),
        ("EXPLAIN (ANALYZE, BUFFERS off) SELECT 'é'", "SELECT 'é'"),
        ("EXPLAIN (SELECT 1)", "(SELECT 1)"),
        ("EXPLAIN ((VALUES (1)))", "((VALUES (1)))"),
        ("/* é */ EXPLAIN EXECUTE p(1)", "EXECUTE p(1)"),
        ("EXPLAIN DECLARE c CURSOR FOR SELECT 1", "DECLARE c CURSOR FOR SELECT 1"),
    ],
)
def test_the_query_inside_keeps_its_place(sql: str, asked: str) -> None:
    text = planned_text(sql)
    assert text.lstrip(" ") == asked.lstrip(" ")
    assert sql[len(text) - len(asked) :].startswith(asked)


def test_a_copied_table_is_read_alone() -> None:
    assert planned_text('COPY "A b".t TO STDOUT') == 'SELECT * FROM ONLY "A b".t'
    assert planned_text("COPY t (a, \"B\") TO STDOUT WITH (FORMAT csv)") == 'SELECT a, "B" FROM ONLY t'
    assert planned_text("COPY BINARY t TO STDOUT") == "SELECT * FROM ONLY t"


@pytest.mark.parametrize("sql", ["SELECT 1", "COPY", "EXPLAIN SELECT 1; SELECT 2", "", "\0"])
def test_there_is_no_telling(sql: str) -> None:
    assert planned_text(sql) == ""


@pytest.mark.parametrize(
    ("sql", "planned"),
    [
        ("SELECT 1", True),
        ("SELECT 1 INTO t", True),
        ("VALUES (1)", True),
        ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", True),
        ("EXECUTE p(1)", True),
        ("CREATE TABLE a AS EXECUTE p", True),
        ("DECLARE c CURSOR FOR SELECT 1", True),
        ("COPY t TO STDOUT", True),
        ("EXPLAIN ANALYZE SELECT 1", True),
        ("SELECT unknown_function()", False),
        ("COPY t FROM STDIN", False),
        ("PREPARE p AS SELECT 1", False),
        ("CREATE TABLE a (b int)", False),
        ("TRUNCATE t", False),
        ("DO $$BEGIN END$$", False),
        ("BEGIN", False),
    ],
)
def test_what_can_be_planned(sql: str, planned: bool) -> None:
    analysis = analyse(AnalysisRequest(sql, "", ("pg_catalog", "public"), {}, ""), None)
    assert [facts.planned for facts in analysis.statements] == [planned]
    assert bool(analysis.planned) == (planned and sql.startswith(("COPY", "EXPLAIN")))
