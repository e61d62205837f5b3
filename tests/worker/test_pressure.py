"""Large values and slow peers: what passes unseen is never held whole, and who does not read holds little memory."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.conftest import Target
from tests.worker.control_plane import ControlPlane
from tests.worker.gateway import Gateway, bundle, secrets

LARGE = 200 << 20
BOUND = 32 << 20  # bytes by which a worker process may grow
NO_DROP = {"name": "no drop", "when": {"actions": ["drop"]}, "then": "deny", "workflow": None, "message": None, "shadow": False}


@pytest.fixture
def gateway(control_plane: ControlPlane, target15: Target, broker: str, tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(control_plane, tmp_path / "worker", broker)
    made.start(ready=False)
    made.until(lambda: control_plane.called("enrol"))
    control_plane.publish(bundle(target15), secrets(target15))
    made.until(lambda: made.health()[0] == 200)
    yield made
    made.close()


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


def test_large_rows_and_copies_pass_without_being_held(gateway: Gateway) -> None:
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE pages (page text)")
        growth = Growth(gateway)
        row = connection.execute("SELECT repeat('x', %s)", (LARGE,)).fetchone()
        assert row is not None
        assert len(row[0]) == LARGE
        del row
        with connection.cursor().copy("COPY pages FROM STDIN") as copy:
            for _ in range(4):
                copy.write("y" * (LARGE // 4))
        with connection.cursor().copy("COPY pages TO STDOUT") as copy:
            assert sum(len(data) for data in copy) == LARGE + 1
        assert growth.bytes() < BOUND


def test_a_client_that_stops_reading_holds_little(gateway: Gateway) -> None:
    with contextlib.closing(psycopg.connect(gateway.dsn(), autocommit=True)) as connection:
        growth = Growth(gateway)
        connection.pgconn.send_query(b"SELECT repeat('x', 1000) FROM generate_series(1, 500000)")
        connection.pgconn.flush()
        time.sleep(3)  # not a synchronisation: for so long nobody reads
        assert growth.bytes() < BOUND


def test_a_server_that_stops_reading_holds_little(gateway: Gateway, target15: Target) -> None:
    target15.sql("CREATE TABLE IF NOT EXISTS slow (page text)")
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        growth = Growth(gateway)
        cursor = connection.cursor()
        with cursor.copy("COPY slow FROM STDIN"):
            backend = psutil.Process(connection.info.backend_pid)
            backend.suspend()
            connection.pgconn.nonblocking = 1
            line, deadline, sent = b"z" * 65_535 + b"\n", time.monotonic() + 3, 0
            while time.monotonic() < deadline and sent < LARGE:
                if connection.pgconn.flush():
                    time.sleep(0.01)
                    continue
                connection.pgconn.put_copy_data(line)
                sent += len(line)
            backend.resume()
            assert sent < LARGE, "the gateway took what the server had not"
            assert growth.bytes() < BOUND
            while connection.pgconn.flush():
                time.sleep(0.01)
            connection.pgconn.nonblocking = 0
        assert target15.sql("SELECT count(*) FROM slow") == [(sent // len(line),)]
    target15.sql("DROP TABLE slow")


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
