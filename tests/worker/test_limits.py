"""What ends a statement that is running, and detectors in COPY data: real clients, a real worker, a real PostgreSQL."""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors, pq

from tests.conftest import Target
from tests.worker.control_plane import ControlPlane
from tests.worker.gateway import Gateway, bundle, secrets

IDLE, IN_BLOCK, FAILED = pq.TransactionStatus.IDLE, pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR
SERIES = "SELECT n, repeat('x', %s) FROM generate_series(1, %s) AS n"
MANY = 3_000_000  # more than buffers hold
TOO_MANY = r"the result has more than max_rows=10 rows, so it ends here"


@pytest.fixture(scope="module")
def world(target15: Target, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Callable[..., None]]]:
    """A gateway for all tests, and what changes the connection that it serves."""
    plane, serials = ControlPlane(), itertools.count(1)
    gateway = Gateway(plane, tmp_path_factory.mktemp("limits") / "worker", broker)

    def publish(**connection: object) -> None:
        serial = next(serials)
        plane.publish(bundle(target15, serial, connection=connection), secrets(target15))
        gateway.until(lambda: f'"serial": {serial},' in gateway.log.read_text())

    try:
        gateway.start(ready=False)
        gateway.until(lambda: plane.called("enrol"))
        publish()
        gateway.until(lambda: gateway.health()[0] == 200)
        yield gateway, publish
    finally:
        gateway.close()
        plane.close()


@pytest.fixture
def make(world: tuple[Gateway, Callable[..., None]]) -> Callable[..., Gateway]:
    def change(**connection: object) -> Gateway:
        gateway, publish = world
        publish(**connection)
        gateway.entries.clear()
        return gateway

    return change


@pytest.fixture
def gateway(make: Callable[..., Gateway], target15: Target) -> Iterator[Gateway]:
    with psycopg.connect(target15.dsn(), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS limited")
        connection.execute("CREATE TABLE limited AS SELECT n, 'note' AS note FROM generate_series(1, 50) AS n")
        yield make(max_rows=10)
        connection.execute("DROP TABLE limited")


def connect(gateway: Gateway, **given: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(gateway.dsn(**given), autocommit=True)


def refused(gateway: Gateway) -> list[dict[str, Any]]:
    return [e["fields"] for e in gateway.entries if e["kind"] == "statement.completed" and e["fields"]["outcome"] == "refused"]


def test_no_row_above_the_limit_and_the_statement_is_ended(gateway: Gateway) -> None:
    with connect(gateway) as connection:
        assert len(connection.execute("SELECT generate_series(1, 10)").fetchall()) == 10
        for binary in (False, True):
            for parameters in ([], [11]):  # simple and extended
                sql = "SELECT generate_series(1, %s)" if parameters else "SELECT generate_series(1, 11)"
                with pytest.raises(errors.ProgramLimitExceeded, match=TOO_MANY) as raised:
                    connection.execute(sql, parameters or None, binary=binary)
                assert "LIMIT" in (raised.value.diag.message_hint or "")
                assert connection.info.transaction_status == IDLE
        connection.execute("CREATE TEMP SEQUENCE made")
        with pytest.raises(errors.ProgramLimitExceeded):
            connection.execute(f"SELECT nextval('made'), repeat('x', 1000) FROM generate_series(1, {MANY})")
        [(made,)] = connection.execute("SELECT last_value FROM made").fetchall()
        assert made < MANY, "the server was told to stop"
    gateway.until(lambda: len(refused(gateway)) == 5)
    assert {(f["rows"], f["sqlstate"]) for f in refused(gateway)} == {(10, "54000")}


def test_the_first_rows_arrive_and_nothing_behind_them(gateway: Gateway) -> None:
    with connect(gateway) as connection:
        pgconn = connection.pgconn
        pgconn.send_query(b"SELECT generate_series(1, 40)")
        pgconn.set_single_row_mode()
        rows, last = [], None
        while (result := pgconn.get_result()) is not None:
            last = result
            rows += [result.get_value(0, 0)] if result.status == pq.ExecStatus.SINGLE_TUPLE else []
        assert rows == [str(n).encode() for n in range(1, 11)]
        assert last is not None
        assert last.error_field(pq.DiagnosticField.SQLSTATE) == b"54000"


def test_an_open_transaction_fails_and_all_results_of_a_query_count(gateway: Gateway) -> None:
    with connect(gateway) as connection:
        for sql, parameters in (("SELECT generate_series(1, 11)", None), ("SELECT generate_series(1, %s)", [11])):
            connection.execute("BEGIN")
            connection.execute("INSERT INTO limited VALUES (99)")
            with pytest.raises(errors.ProgramLimitExceeded):
                connection.execute(sql, parameters)
            assert connection.info.transaction_status == FAILED
            with pytest.raises(errors.InFailedSqlTransaction):
                connection.execute("SELECT 1")
            connection.execute("COMMIT")
            assert connection.execute("SELECT count(*) FROM limited WHERE n = 99").fetchone() == (0,)
        with pytest.raises(errors.ProgramLimitExceeded):
            connection.execute("SELECT generate_series(1, 6); SELECT generate_series(1, 6)")
        assert connection.execute("SELECT generate_series(1, 10)").rowcount == 10


def test_a_change_whose_rows_are_too_many_is_undone_or_told(gateway: Gateway) -> None:
    with connect(gateway) as connection:
        with pytest.raises(errors.ProgramLimitExceeded):
            connection.execute("UPDATE limited SET note = %s RETURNING n", ["changed"])
        assert connection.execute("SELECT count(*) FROM limited WHERE note = 'changed'").fetchone() == (0,)
        with pytest.raises(errors.ProgramLimitExceeded) as raised:
            connection.execute("UPDATE limited SET note = 'changed' RETURNING n")
        [changed] = connection.execute("SELECT count(*) FROM limited WHERE note = 'changed'").fetchall()
        assert (changed[0] > 0) == ("stands" in (raised.value.diag.message_detail or ""))
        assert connection.execute("UPDATE limited SET note = %s", ["all"]).rowcount == 50


def test_portals_and_cursors(gateway: Gateway) -> None:
    with connect(gateway) as connection:
        connection.execute("BEGIN")
        connection.execute("DECLARE c CURSOR FOR SELECT generate_series(1, 100)")
        assert len(connection.execute("FETCH 10 FROM c").fetchall()) == 10
        assert len(connection.execute("FETCH 10 FROM c").fetchall()) == 10, "each FETCH is a statement"
        with pytest.raises(errors.ProgramLimitExceeded):
            connection.execute("FETCH 11 FROM c")
        connection.execute("ROLLBACK")


def test_pipelines(gateway: Gateway) -> None:
    with connect(gateway) as connection:
        def changes_around_too_many_rows() -> None:
            with connection.pipeline():
                connection.execute("INSERT INTO limited VALUES (%s)", [77])
                connection.execute("SELECT generate_series(1, %s)", [11])
                connection.execute("INSERT INTO limited VALUES (%s)", [78])

        with pytest.raises(errors.ProgramLimitExceeded):
            changes_around_too_many_rows()
        assert connection.execute("SELECT n FROM limited WHERE n IN (77, 78)").fetchall() == []
        with connection.pipeline():
            made = [connection.execute("SELECT generate_series(1, %s)", [size]) for size in (1, 10, 3)]
            done = connection.execute("INSERT INTO limited VALUES (%s) RETURNING n", [79])
        assert [len(one.fetchall()) for one in made] == [1, 10, 3]
        assert done.fetchall() == [(79,)]
        def too_many_rows_among_others() -> None:
            with connection.pipeline():
                for size in (1, 11, 3):
                    connection.execute("SELECT generate_series(1, %s)", [size])

        with pytest.raises(errors.ProgramLimitExceeded):
            too_many_rows_among_others()
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("form", ["text", "csv", "csv, header", "binary"])
def test_copy(gateway: Gateway, form: str) -> None:
    with connect(gateway) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT generate_series(1, 10)) TO STDOUT (FORMAT {form})") as copy:
            rows = [bytes(data) for data in copy]
        assert len(rows) == 10 + (form in ("csv, header", "binary"))

        def take(size: int) -> None:
            sql = f"COPY (SELECT n, repeat('x', 100) FROM generate_series(1, {size}) AS n) TO STDOUT (FORMAT {form})"
            with cursor.copy(sql) as copy:
                for data in copy:
                    rows.append(bytes(data))

        for size in (11, MANY):
            rows.clear()
            with pytest.raises(errors.ProgramLimitExceeded, match=TOO_MANY):
                take(size)
            assert len(rows) == 10 + (form == "csv, header")
            assert connection.info.transaction_status == IDLE
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_timeout_that_no_setting_lifts(make: Callable[..., Gateway]) -> None:
    gateway = make(statement_timeout_ms=500)
    with connect(gateway) as connection:
        with pytest.raises(errors.QueryCanceled, match="statement timeout"):
            connection.execute("SELECT pg_sleep(10)")
        connection.execute("SET statement_timeout = 0")
        for sql, parameters in (("SELECT pg_sleep(60)", None), ("SELECT pg_sleep(%s)", [60])):
            began = time.monotonic()
            with pytest.raises(errors.QueryCanceled, match="statement timeout"):
                connection.execute(sql, parameters)
            assert 1 < time.monotonic() - began < 50
        assert connection.execute("SELECT 1").fetchone() == (1,)


SHOWN = ["***@*******.***", "a,\"b\"\n\\ **** **** **** ****", None, "plain"]


@pytest.mark.parametrize(
    "form",
    [
        "text", "csv", "binary", "csv, header", "csv, delimiter '@'", "csv, quote '1', escape '~'", "text, delimiter '@', null 'nil'",
        "csv, null 'x'",
    ],
)
def test_detectors_look_into_copy_data(make: Callable[..., Gateway], form: str) -> None:
    gateway = make(detectors="mask")
    values = "(VALUES (1, $$ann@example.com$$::text), (2, E'a,\"b\"\\n\\\\ 4111 1111 1111 1111'), (3, NULL), (4, 'plain')) AS v (n, t)"
    with connect(gateway) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT n, t FROM {values}) TO STDOUT (FORMAT {form})") as copy:
            data = b"".join(bytes(part) for part in copy)
        assert b"ann@" not in data
        assert b"4111" not in data
        cursor.execute("CREATE TEMP TABLE back (n int, t text)")
        with cursor.copy(f"COPY back FROM STDIN (FORMAT {form})") as copy:
            copy.write(data)
        assert connection.execute("SELECT t FROM back ORDER BY n").fetchall() == [(text,) for text in SHOWN]
    gateway.until(lambda: any(e["fields"].get("detected") for e in gateway.entries))
    [found] = [e["fields"]["detected"] for e in gateway.entries if e["fields"].get("detected")]
    assert found == {"email": 1, "card": 1}
