"""A few statements of every kind through psql's way: observed, analysed with the catalog of the moment, and counted."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import Target
from tests.regress.analyst import Analyst
from tests.regress.observer import Observer

STATEMENTS = """
    CREATE TABLE onek (unique1 int PRIMARY KEY, stringu1 name);
    INSERT INTO onek SELECT n, 'a' || n FROM generate_series(1, 9) n;
    SELECT unique1 FROM onek WHERE stringu1 > 'a3' ORDER BY unique1 USING >;
    SELECT stringu1, count(*) FROM onek GROUP BY stringu1 ORDER BY stringu1;
    SELECT * FROM onek;
    SELECT onek.*, row_number() OVER w FROM onek WINDOW w AS (ORDER BY stringu1);
    SELECT ctid, onek.*, stringu1 || '' FROM onek;
    BEGIN;
    DECLARE c SCROLL CURSOR FOR SELECT * FROM onek;
    FETCH LAST c;
    ROLLBACK;
    CREATE VIEW v AS SELECT unique1, stringu1 AS s FROM onek;
    SELECT s FROM v;
    WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t;
    SELECT nonsense FROM onek;
    SELECT FROM FROM;
    SELECT 1 AS "a", $$x$$ || 'y' COLLATE "C", '{1,2}'::int[] @> ARRAY[1], (ROW(1, 2)).f1;
    VALUES (1, 2), (3, 4 + 4);
    DROP TABLE onek CASCADE;
"""


@pytest.fixture
def analyst(target15: Target) -> Iterator[Analyst]:
    target15.sql("CREATE DATABASE regress_analysis")
    made = Analyst(target15.dsn("regress_analysis"))
    observer = Observer(target15.port, "regress_analysis", made)
    dsn = psycopg.conninfo.make_conninfo(target15.dsn("regress_analysis"), port=observer.port, sslmode="disable")
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in STATEMENTS.split(";\n"):
            connection.pgconn.exec_(statement.strip().encode())
    observer.close()
    yield made
    made.close()
    target15.sql("DROP DATABASE regress_analysis WITH (FORCE)")


def test_every_statement_gets_facts_and_refusals_are_counted(analyst: Analyst) -> None:
    seen = analyst.seen
    assert analyst.faults == []
    assert seen["texts"] == 20  # with the empty one at the end
    assert seen["syntax errors"] == 1
    assert seen["unanalyzable"] == 0
    assert seen["SELECTs that the server ran"] == 10 - 1
    assert [reason for reason, _ in analyst.refused] == [
        "public.onek.stringu1 cannot be masked in this statement: public.onek is read with * and system columns together",
    ]
