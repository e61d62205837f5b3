"""What the gateway asks the target on its own account, between real clients and PostgreSQL: nothing of it shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.conftest import Target
from tests.worker.control_plane import ControlPlane
from tests.worker.gateway import Gateway, bundle, cancelling, secrets

SETUP = """
DROP SCHEMA IF EXISTS q CASCADE; CREATE SCHEMA q;
CREATE TABLE q.orders (id int PRIMARY KEY, note text, ssn text);
"""
ROWS = """
TRUNCATE q.orders;
INSERT INTO q.orders SELECT n, 'n' || n, '123-45-' || n FROM generate_series(1, 2000) n;
ANALYZE q.orders;
"""


def rule(name: str, then: str, over: int, **when: Any) -> dict[str, Any]:
    when = {"estimated_rows": {"over": over}, **when}
    return {"name": name, "when": when, "then": then, "workflow": None, "message": None, "shadow": False}


MASKS = [{"name": "ssn", "columns": ["q.orders.ssn"], "method": {"name": "redact"}}]


@pytest.fixture(scope="module")
def running(target15: Target, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """``crm`` denies what is expected to be large, ``large`` allows only that."""
    target15.sql(SETUP)
    rules = [
        rule("small", "deny", 100, connections=["crm"]), rule("large reads", "allow", 1000, connections=["large"], actions=["select"]),
    ]  # fmt: skip
    policy, known = bundle(target15, rules=rules, masking=MASKS), secrets(target15)
    policy["connections"].append({**policy["connections"][0], "name": "large", "default": "deny"})
    known["connections"]["large"] = known["connections"]["crm"]
    plane = ControlPlane()
    gateway = Gateway(plane, tmp_path_factory.mktemp("questions") / "worker", broker)
    try:
        gateway.start(ready=False)
        gateway.until(lambda: plane.called("enrol"))
        plane.publish(policy, known)
        gateway.until(lambda: gateway.health()[0] == 200)
        yield gateway
    finally:
        gateway.close()
        plane.close()


@pytest.fixture
def gateway(running: Gateway, target15: Target) -> Gateway:
    target15.sql(ROWS)
    return running


@contextmanager
def connected(gateway: Gateway, **options: Any) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(gateway.dsn(dbname=options.pop("dbname", "crm")), autocommit=True, **options) as connection:
        yield connection


def estimated(gateway: Gateway, text: str) -> tuple[str, int | None]:
    """Decision and estimate of the last entry of a statement that begins so."""
    def found() -> list[dict[str, Any]]:
        return [e for e in gateway.entries if e["kind"] == "statement.intended" and e["values"]["sql"].startswith(text)]

    gateway.until(found)
    fields = found()[-1]["fields"]
    return fields["decision"], fields.get("estimated_rows")


def refused(connection: psycopg.Connection[Any], query: str, values: tuple[object, ...] | None = None) -> str:
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
        connection.execute(sql.SQL(query), values)
    return str(caught.value)


FEW = (
    "SELECT * FROM q.orders WHERE id = 5", "UPDATE q.orders SET note = 'x' WHERE id < 20", "DELETE FROM q.orders WHERE id = 1",
    "INSERT INTO q.orders VALUES (5000, 'a')", "WITH d AS (DELETE FROM q.orders WHERE id = 2 RETURNING id) SELECT * FROM d", "SELECT 1",
    "COPY (SELECT id FROM q.orders WHERE id = 3) TO STDOUT", "CREATE TEMP TABLE few AS SELECT * FROM q.orders WHERE id < 9",
    "EXPLAIN (COSTS off) SELECT id FROM q.orders WHERE id = 4", "SHOW work_mem", "SET work_mem = '4MB'", "LISTEN news",
    "PREPARE p (int) AS DELETE FROM q.orders WHERE id > $1", "EXECUTE p(4990)", "EXPLAIN ANALYZE SELECT * FROM q.orders WHERE ssn = 'x'",
    "SELECT ssn FROM q.orders WHERE id = 7", "BEGIN",
    "DECLARE c CURSOR FOR SELECT ssn || '' FROM q.orders WHERE id = 9", "FETCH c", "COMMIT",
)  # fmt: skip
MANY = (
    "SELECT * FROM q.orders", "SELECT ssn || 'x' FROM q.orders", "UPDATE q.orders SET note = 'x'", "DELETE FROM q.orders WHERE id > 500",
    "INSERT INTO q.orders (id) SELECT id + 9000 FROM q.orders", "COPY q.orders TO STDOUT", "COPY q.orders (ssn) TO STDOUT",
    "WITH d AS (DELETE FROM q.orders RETURNING id) SELECT count(*) FROM d", "TRUNCATE q.orders", "EXPLAIN SELECT * FROM q.orders",
    "EXPLAIN (ANALYZE) DELETE FROM q.orders", "CREATE TABLE q.copy AS SELECT id FROM q.orders", "DO $$BEGIN NULL; END$$", "EXECUTE p(3)",
    "SELECT 1; SELECT 2", "COPY q.orders (id) FROM STDIN", "SELECT generate_series(1, 5000)", "COPY (SELECT id FROM q.orders) TO STDOUT",
)  # fmt: skip


def test_what_is_expected_decides(gateway: Gateway, target15: Target) -> None:
    with connected(gateway) as client:
        for text in FEW:
            if text.startswith("COPY"):
                with client.cursor().copy(sql.SQL(text)) as copy:
                    assert list(copy)
            else:
                client.execute(sql.SQL(text))
        for text in MANY:
            assert 'rule "small" denies' in refused(client, text) or text == "EXECUTE p(3)"
        # What is denied is not run, and nothing is left behind.
        assert client.execute("SELECT count(*) FROM q.orders WHERE id <= 60").fetchall() == [(58,)]
        assert client.execute("SELECT count(*) FROM pg_prepared_statements WHERE name <> 'p'").fetchall() == [(0,)]
    assert estimated(gateway, "SELECT * FROM q.orders WHERE id = 5") == ("allow", 1)
    assert estimated(gateway, "COPY q.orders (ssn)") == ("deny", 2000)
    assert estimated(gateway, "TRUNCATE") == ("deny", None)
    assert estimated(gateway, "SHOW") == ("allow", None)
    decision, rows = estimated(gateway, "UPDATE q.orders SET note = 'x' WHERE")
    assert decision == "allow"
    assert rows is not None
    assert 15 < rows < 25


def test_parameters_are_those_of_the_statement(gateway: Gateway) -> None:
    with connected(gateway, prepare_threshold=1) as client:
        for binary in (False, True):
            for _ in range(3):  # the third time, psycopg has a statement with a name
                assert len(client.execute("SELECT id FROM q.orders WHERE id <= %s", (50,), binary=binary).fetchall()) == 50
                assert "about 1000 rows" in refused(client, "SELECT id FROM q.orders WHERE id <= %s", (1000,))
        with client.transaction():
            client.execute("UPDATE q.orders SET note = %s WHERE id = %s", ("y", 7))
            client.execute("DELETE FROM q.orders WHERE id = ANY(%s)", ([8, 9],))
        assert client.execute("SELECT note FROM q.orders WHERE id = ANY(%s)", ([7, 8, 9],)).fetchall() == [("y",)]


def test_an_error_of_the_planner_is_the_statements(gateway: Gateway, target15: Target) -> None:
    texts = ("SELECT 1 FROM q.nope", "SELECT nope FROM generate_series(1, 3)", "SELECT 1 / 0", "SELECT 1 +/ 0 FROM q.orders",
             "COPY (SELECT  nope FROM generate_series(1, 3)) TO STDOUT")  # fmt: skip

    def told(connection: psycopg.Connection[Any], text: str) -> tuple[object, ...]:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(sql.SQL(text))
        diagnosis = caught.value.diag
        return diagnosis.sqlstate, diagnosis.message_primary, diagnosis.message_hint, diagnosis.statement_position

    with connected(gateway) as client, psycopg.connect(target15.dsn(), autocommit=True) as direct:
        for text in texts:
            assert told(client, text) == told(direct, text)
        for connection in (client, direct):
            connection.execute("BEGIN")
            told(connection, "SELECT 1 / 0")
            assert told(connection, "SELECT 1")[0] == "25P02"
            connection.execute("ROLLBACK")
            assert connection.execute("SELECT 1").fetchall() == [(1,)]
        # Errors of changes to masked tables quote no value, whoever asked.
        assert told(client, "INSERT INTO q.orders (id) VALUES ('forty-two')") == ("22P02", "invalid text representation", None, None)
        assert "masked column q.orders.ssn" in told(client, "UPDATE q.orders SET note = ssn")[1]  # type: ignore[operator]
    gateway.until(lambda: "SELECT 1 / 0" in gateway.statements())
    [number] = {e["fields"]["statement"] for e in gateway.entries if e["kind"] == "statement.intended" and e["values"]["sql"] == texts[0]}
    [done] = [e["fields"] for e in gateway.entries if e["kind"] == "statement.completed" and e["fields"]["statement"] == number]
    assert (done["outcome"], done["sqlstate"]) == ("error", "42P01")


def test_a_pipeline_is_not_disturbed(gateway: Gateway) -> None:
    with connected(gateway) as client:
        with client.pipeline() as pipeline:
            cursors = [client.execute("SELECT id FROM q.orders WHERE id = %s", (n,)) for n in range(1, 30)]
            client.execute("INSERT INTO q.orders (id) VALUES (%s)", (7000,))
            pipeline.sync()
            assert [cursor.fetchall() for cursor in cursors] == [[(n,)] for n in range(1, 30)]
        # One transaction with what follows: of a batch that is refused or fails nothing stays.
        for delete in ("DELETE FROM q.orders WHERE id > %s", "DELETE FROM q.nope WHERE id > %s"):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)):
                _in_one_batch(client, "INSERT INTO q.orders (id) VALUES (7000 + %s)", delete, "SELECT %s")
        assert client.execute("SELECT id FROM q.orders WHERE id >= 7000").fetchall() == [(7000,)]


def _in_one_batch(client: psycopg.Connection[Any], *queries: str) -> None:
    with client.pipeline():
        for query in queries:
            client.execute(sql.SQL(query), (3,))


def test_a_rule_that_allows_needs_a_number(gateway: Gateway) -> None:
    with connected(gateway, dbname="large") as client:
        assert len(client.execute("SELECT * FROM q.orders").fetchall()) == 2000
        assert "no grant" in refused(client, "SELECT * FROM q.orders WHERE id = 1")
        assert "no grant" in refused(client, "SELECT 1; SELECT 2")


def test_a_cancel_reaches_the_planner_that_waits_for_a_lock(gateway: Gateway, target15: Target) -> None:
    with connected(gateway) as client, psycopg.connect(target15.dsn()) as owner:
        owner.execute("LOCK TABLE q.orders")
        with cancelling(client, target15, "q.orders"), pytest.raises(psycopg.errors.QueryCanceled):
            client.execute("SELECT id FROM q.orders WHERE id = 1")
        owner.rollback()
        assert client.execute("SELECT id FROM q.orders WHERE id = 1").fetchall() == [(1,)]


def test_set_transaction_behind_a_search_path(gateway: Gateway) -> None:
    with connected(gateway) as client:
        for path in ("q", "public"):
            client.execute("BEGIN")
            client.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(path)))
            client.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            if path == "q":
                assert client.execute("SELECT ssn FROM orders WHERE id = 5").fetchall() == [("***",)]
            assert client.execute("SHOW transaction_isolation").fetchall() == [("serializable",)]
            client.execute("COMMIT")
