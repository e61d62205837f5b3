"""Large values and slow peers: what passes unseen is never held whole, and who does not read holds little memory."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
import pytest

from controlplane.stack.tls import self_signed
from tests.conftest import Target
from tests.worker.control_plane import ControlPlane
from tests.worker.gateway import Gateway, bundle, secrets

LARGE = 64 << 20
BOUND = 8 << 20  # bytes by which a worker process may grow while something passes or is in the way
NO_DROP = {"name": "no drop", "when": {"actions": ["drop"]}, "then": "deny", "workflow": None, "message": None, "shadow": False}
MASKS = [{"name": "ssn", "columns": ["people.*.ssn"], "method": {"name": "redact"}}]
TABLES = f"""
    DROP SCHEMA IF EXISTS people CASCADE; CREATE SCHEMA people;
    CREATE TABLE people.pages (page text);
    CREATE TABLE people.all (ssn text, photo text);
    ALTER TABLE people.all ALTER photo SET STORAGE EXTERNAL;
    CREATE FUNCTION people.shout(times int, size int) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN FOR n IN 1..times LOOP RAISE NOTICE '%', repeat('x', size); END LOOP; END $$;
    INSERT INTO people.all VALUES ('123-45-6789', repeat('x', {LARGE}));
"""


@pytest.fixture
def gateway(control_plane: ControlPlane, target15: Target, broker: str, tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(control_plane, tmp_path / "worker", broker)
    made.start(ready=False)
    made.until(lambda: control_plane.called("enrol"))
    control_plane.publish(bundle(target15), secrets(target15))
    made.until(lambda: made.health()[0] == 200)
    yield made
    made.close()


class Way(NamedTuple):
    """From a client through a gateway to a server, which everything passes unseen that the tests with it send."""

    gateway: Gateway
    dsn: str
    target: Target

    def until_server_waits(self, connection: psycopg.Connection) -> None:
        """Until the server has wanted to write for a second, and could not."""
        waits, pid = 0, connection.info.backend_pid
        with psycopg.connect(self.target.dsn(), autocommit=True) as other:

            def is_waiting() -> bool:
                nonlocal waits
                found = other.execute("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
                waits = waits + 1 if found == ("ClientWrite",) else 0
                return waits == 20

            self.gateway.until(is_waiting)


@pytest.fixture(scope="module", params=["plain", "TLS and masks"])
def way(request: pytest.FixtureRequest, target15: Target, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    directory, plane = tmp_path_factory.mktemp("way"), ControlPlane()
    certificate, key = map(str, self_signed(directory / "tls"))
    target15.sql(TABLES)
    if request.param == "plain":
        gateway, policy = Gateway(plane, directory / "worker", broker), bundle(target15)
    else:
        gateway = Gateway(plane, directory / "worker", broker, TIDEGATE_TLS_CERT=certificate, TIDEGATE_TLS_KEY=key)
        policy = bundle(target15, tls="require", masking=MASKS)
    gateway.start(ready=False)
    gateway.until(lambda: plane.called("enrol"))
    plane.publish(policy, secrets(target15))
    gateway.until(lambda: gateway.health()[0] == 200)
    yield Way(gateway, gateway.dsn(sslmode="disable" if request.param == "plain" else "require"), target15)
    gateway.close()
    plane.close()
    target15.sql("DROP SCHEMA people CASCADE")


class Growth:
    """How much the largest of the worker processes has grown at most since this was made (the kernel keeps the peak)."""

    def __init__(self, gateway: Gateway) -> None:
        self._processes = gateway.workers()
        for process in self._processes:
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        self._before = [process.memory_info().rss for process in self._processes]

    def bytes(self) -> int:
        return max(_peak(process) - before for process, before in zip(self._processes, self._before, strict=True))


def _peak(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_large_rows_and_copies_pass_without_being_held(way: Way) -> None:
    with psycopg.connect(way.dsn, autocommit=True) as connection:
        growth = Growth(way.gateway)
        beside_a_masked_column = "SELECT photo FROM people.all WHERE length(photo) = %s"
        for statement in ("SELECT repeat('x', %s)", beside_a_masked_column):
            row = connection.execute(statement, (LARGE,)).fetchone()
            assert row is not None
            assert len(row[0]) == LARGE
            del row
        with connection.cursor().copy("COPY people.pages FROM STDIN") as copy:
            for _ in range(4):
                copy.write("y" * (LARGE // 4))
        with connection.cursor().copy("COPY people.pages TO STDOUT") as copy:
            assert sum(len(data) for data in copy) == LARGE + 1
        assert growth.bytes() < BOUND


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT repeat('x', 1000) FROM generate_series(1, {LARGE // 1000})",
        f"SELECT repeat('x', {LARGE})",
        f"SELECT people.shout({LARGE // 1000}, 1000)",
        f"SELECT people.shout(1, {LARGE})",
    ],
    ids=["rows", "a wide row", "notices", "a long notice"],
)
def test_a_client_that_stops_reading_holds_little(way: Way, sql: str) -> None:
    with contextlib.closing(psycopg.connect(way.dsn, autocommit=True)) as connection:
        growth = Growth(way.gateway)
        connection.pgconn.send_query(sql.encode())
        connection.pgconn.flush()
        way.until_server_waits(connection)
        assert growth.bytes() < BOUND


def test_a_server_that_stops_reading_holds_little(way: Way) -> None:
    way.target.sql("TRUNCATE people.pages")
    with psycopg.connect(way.dsn, autocommit=True) as connection:
        growth = Growth(way.gateway)
        cursor = connection.cursor()
        with cursor.copy("COPY people.pages FROM STDIN"):
            backend = psutil.Process(connection.info.backend_pid)
            backend.suspend()
            connection.pgconn.nonblocking = 1
            line, stuck, sent = b"z" * 65_535 + b"\n", 0, 0
            while stuck < 100 and sent < LARGE:
                if connection.pgconn.flush():
                    stuck += 1
                    time.sleep(0.01)
                    continue
                stuck = 0
                connection.pgconn.put_copy_data(line)
                sent += len(line)
            backend.resume()
            assert sent < LARGE, "the gateway took what the server had not"
            assert growth.bytes() < BOUND
            while connection.pgconn.flush():
                time.sleep(0.01)
            connection.pgconn.nonblocking = 0
        assert way.target.sql("SELECT count(*) FROM people.pages") == [(sent // len(line),)]


def test_a_large_parameter_passes_without_being_held_and_is_recorded_by_its_beginning_and_digest(gateway: Gateway) -> None:
    value = "v" * LARGE
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        growth = Growth(gateway)
        assert connection.execute("SELECT length(%s::text)", (value,)).fetchone() == (len(value),)
        assert growth.bytes() < BOUND
    gateway.until(lambda: "session.closed" in gateway.kinds())
    (recorded,) = next(entry["values"]["parameters"] for entry in gateway.entries if "length" in entry.get("values", {}).get("sql", ""))
    assert len(recorded) < 70_000
    assert recorded.endswith(f"(+{len(value) - 65_536} bytes, sha256 {hashlib.sha256(value.encode()).hexdigest()})")


def test_a_text_that_nobody_reads_may_be_long_and_is_recorded_by_its_beginning_and_digest(gateway: Gateway) -> None:
    text = "SELECT length('" + "t" * (50 << 20) + "')"
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        assert connection.execute(text).fetchone() == (50 << 20,)
    digest = hashlib.sha256(text.encode()).hexdigest()
    gateway.until(lambda: any(sql.endswith(f"(+{len(text) - 65_536} bytes, sha256 {digest})") for sql in gateway.statements()))


def test_a_text_too_long_to_be_recorded_is_refused_and_nothing_else_suffers(gateway: Gateway, target15: Target) -> None:
    """Where a rule reads what is sent."""
    gateway.plane.publish(bundle(target15, 2, rules=[NO_DROP]), secrets(target15))
    gateway.until(lambda: gateway.metric("tidegate_bundle_serial") == 2)
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        growth = Growth(gateway)
        for parameters in (None, (1,)):  # in a Query, and in a Parse
            with pytest.raises(psycopg.OperationalError, match="longer than 16777216 bytes") as refused:
                connection.execute("SELECT '" + "t" * (100 << 20) + "'" + (", %s" if parameters else ""), parameters)
            assert refused.value.sqlstate == "54000"
        assert growth.bytes() < BOUND
        assert connection.execute("SELECT 1").fetchone() == (1,)
    gateway.until(lambda: "SELECT 1" in gateway.statements())
