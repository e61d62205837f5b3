"""The whole worker as processes: what survives signals, kills, revocation and the loss of everything around it."""

import select
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from controlplane.stack.tls import self_signed
from tests import engines
from tests.conftest import Target
from tests.worker.conftest import Make
from tests.worker.control_plane import ControlPlane, Reply
from tests.worker.gateway import Gateway, bundle, secrets


def run_in_thread(dsn: str, statement: str, results: list[object]) -> threading.Thread:
    def run() -> object:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    thread = threading.Thread(target=_collect, args=(run, results))
    thread.start()
    return thread


def test_a_drain_lets_a_statement_finish_and_ends_the_idle(make: Make) -> None:
    gateway = make()
    results: list[object] = []
    idle = psycopg.connect(gateway.dsn(), autocommit=True)
    idle.execute("SELECT 'idle'")
    busy = run_in_thread(gateway.dsn(), "SELECT 'busy', pg_sleep(2)", results)
    gateway.until(lambda: any("busy" in sql for sql in gateway.statements()))
    assert gateway.stop() == 0
    busy.join()
    assert isinstance(results[0], list), results
    with pytest.raises(psycopg.OperationalError, match="administrator command"):
        idle.execute("SELECT 1")
    assert gateway.kinds()[-1] == "worker.stopped"
    assert list((gateway.directory / "spool").iterdir()) == [], "everything was shipped"


def test_a_killed_process_is_replaced_and_loses_no_recorded_statement(make: Make, target15: Target) -> None:
    gateway = make()
    target15.sql("CREATE TABLE IF NOT EXISTS kills (n int)")
    target15.sql("TRUNCATE kills")
    gateway.plane.on("POST", "audit", Reply(503))  # nothing leaves before the kill
    first = gateway.workers()[0]

    def insert() -> None:
        with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
            for number in range(10_000):
                connection.execute("INSERT INTO kills VALUES (%s)", (number,))

    threads = [threading.Thread(target=_collect, args=(insert, [])) for _ in range(3)]
    for thread in threads:
        thread.start()
    gateway.until(lambda: target15.sql("SELECT count(*) FROM kills")[0][0] > 20)
    first.kill()
    for thread in threads:
        thread.join()
    time.sleep(0.5)  # what the server had received already, it still executes
    executed = target15.sql("SELECT count(*) FROM kills")[0][0]
    gateway.plane.on("POST", "audit", gateway._audit)
    gateway.until(lambda: gateway.health()[0] == 200)
    gateway.until(lambda: len(list((gateway.directory / "spool").iterdir())) == 1)  # the dead boot's is gone
    assert sum("INSERT INTO kills" in sql for sql in gateway.statements()) >= executed
    assert gateway.workers()[0].pid != first.pid
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert len({entry["boot"] for entry in gateway.entries}) == 2


def test_nothing_outlives_a_killed_parent(make: Make) -> None:
    gateway = make(processes=2)
    gateway.until(lambda: len(gateway.tree()) == 6)  # each with its analysis processes
    tree = gateway.tree()
    assert len(gateway.workers()) == 2
    assert gateway.process is not None
    gateway.process.kill()
    assert psutil.wait_procs(tree, timeout=15)[1] == []


def test_a_cancel_reaches_its_session_in_whichever_process(make: Make, target15: Target) -> None:
    gateway = make(processes=3)
    for turn in range(8):
        with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
            results: list[object] = []
            thread = threading.Thread(target=_collect, args=(lambda: connection.execute("SELECT pg_sleep(20)"), results))
            thread.start()
            gateway.until(lambda: target15.sql("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)' AND state = 'active'"))
            connection.cancel()
            thread.join(10)
            assert not thread.is_alive(), f"cancel {turn} did not arrive"
            assert isinstance(results[0], psycopg.errors.QueryCanceled)


@pytest.mark.parametrize("limit", ["max_sessions", "max_sessions_per_subject"])
def test_a_limit_of_sessions_holds_over_all_processes(make: Make, limit: str) -> None:
    gateway = make(processes=2, connection={limit: 3})
    held = []
    for _ in range(3):
        held.append(psycopg.connect(gateway.dsn()))
        time.sleep(0.7)  # the processes tell each other twice a second
    for _ in range(6):
        with pytest.raises(psycopg.OperationalError, match="has its 3 sessions"):
            psycopg.connect(gateway.dsn())
    for connection in held:
        connection.close()
    gateway.until(lambda: _connects(gateway.dsn()))


def test_an_idle_session_ends_as_the_policy_says_meanwhile(make: Make, target15: Target) -> None:
    gateway = make()
    with psycopg.connect(gateway.dsn(), autocommit=True) as idle, psycopg.connect(gateway.dsn()) as in_transaction:
        idle.execute("SELECT 1")
        in_transaction.execute("SELECT 1")
        gateway.plane.publish(bundle(target15, serial=2, connection={"idle_timeout": 1}), secrets(target15))
        gateway.until(lambda: _has_input(idle) and _has_input(in_transaction))
        with pytest.raises(psycopg.errors.IdleSessionTimeout):
            idle.execute("SELECT 2")
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            in_transaction.execute("SELECT 2")
    with psycopg.connect(gateway.dsn(), autocommit=True) as busy:
        assert busy.execute("SELECT 3 FROM pg_sleep(2.5)").fetchone() == (3,)


def test_a_revoked_worker_ends_its_sessions_and_refuses_new_ones(make: Make) -> None:
    gateway = make()
    connection = psycopg.connect(gateway.dsn(), autocommit=True)
    connection.execute("SELECT 1")
    gateway.plane.on("GET", "bundle", Reply(401))
    gateway.until(lambda: gateway.health()[0] == 503, 40)
    time.sleep(0.2)  # it is told in the same moment in which health turns
    with pytest.raises(psycopg.OperationalError, match="administrator command"):
        connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="policy"):
        psycopg.connect(gateway.dsn())
    assert not (gateway.directory / "bundle.json").exists()


def test_a_restart_without_the_control_plane_serves_from_the_cache(make: Make) -> None:
    gateway = make()
    assert gateway.stop() == 0
    for path in ("bundle", "audit", "heartbeat"):
        gateway.plane.on("GET" if path == "bundle" else "POST", path, Reply(503))
    gateway.start()
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        assert connection.execute("SELECT 2").fetchone() == (2,)
    assert gateway.metric("tidegate_spool_entries") > 0


def test_without_a_bundle_it_is_not_healthy_and_says_so(control_plane: ControlPlane, broker: str, tmp_path: Path) -> None:
    gateway = Gateway(control_plane, tmp_path / "worker", broker)
    try:
        gateway.start(ready=False)
        gateway.until(lambda: control_plane.called("bundle"))
        assert gateway.health() == (503, b'{"ready":0,"processes":1}')
        gateway.until(lambda: _refusal(gateway.dsn()) is not None)
        assert "policy" in str(_refusal(gateway.dsn()))
        assert gateway.stop() == 0
    finally:
        gateway.close()


def test_a_full_spool_forwards_nothing(make: Make, target15: Target) -> None:
    gateway = make(variables={"TIDEGATE_SPOOL_BYTES": "20000"})
    target15.sql("CREATE TABLE IF NOT EXISTS full_spool (n int)")
    target15.sql("TRUNCATE full_spool")
    gateway.plane.on("POST", "audit", Reply(503))
    accepted, refusal = 0, None
    while refusal is None and accepted < 200:
        try:
            with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
                connection.execute("INSERT INTO full_spool VALUES (1)")
                accepted += 1
        except psycopg.Error as error:
            refusal = error
    assert "record" in str(refusal)
    assert target15.sql("SELECT count(*) FROM full_spool") == [(accepted,)]
    assert gateway.metric("tidegate_spool_refused_total") > 0
    gateway.plane.on("POST", "audit", gateway._audit)
    gateway.until(lambda: _connects(gateway.dsn()), 60)


def test_tls_on_both_sides(make: Make, target15: Target, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path / "tls")
    gateway = make(variables={"TIDEGATE_TLS_CERT": str(certificate), "TIDEGATE_TLS_KEY": str(key)}, tls="require")
    with psycopg.connect(gateway.dsn(sslmode="verify-ca", sslrootcert=str(certificate)), autocommit=True) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
        assert connection.execute("SELECT repeat('x', 3000000)").fetchone() == ("x" * 3_000_000,)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_of_an_unknown_authority_is_refused(make: Make, mode: str) -> None:
    gateway = make(connection={"tls": {"mode": mode, "ca": None}})
    with pytest.raises(psycopg.OperationalError, match="certificate that is not accepted"):
        psycopg.connect(gateway.dsn())


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_of_the_configured_authority_is_accepted(make: Make, mode: str) -> None:
    authority = (engines.directory() / "tls" / "cert.pem").read_text()
    gateway = make(connection={"tls": {"mode": mode, "ca": authority}, "host": "localhost"})
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)


def test_a_target_without_tls_is_refused_where_tls_is_required(make: Make, target18: Target) -> None:
    gateway = make(connection={"port": target18.port}, tls="require")
    with pytest.raises(psycopg.OperationalError, match="offers no TLS"):
        psycopg.connect(gateway.dsn())


def test_a_killed_analyser_costs_one_statement_at_most(make: Make) -> None:
    gateway = make()
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        for process in gateway.tree():
            if "worker.analysis_process" in process.cmdline():
                process.send_signal(signal.SIGKILL)
        results: list[object] = []
        for number in range(5):
            _collect(lambda: connection.execute(f"SELECT {number} AS column_{number}").fetchone(), results)  # noqa: B023
        refusals = [result for result in results if isinstance(result, psycopg.Error)]
        assert len(refusals) <= 2, "one by each process of the pool"
        assert {refusal.sqlstate for refusal in refusals} <= {"TG003"}
        assert connection.execute("SELECT 'again' AS back").fetchone() == ("again",)


def _connects(dsn: str) -> bool:
    return _refusal(dsn) is None


def _refusal(dsn: str) -> psycopg.Error | None:
    try:
        psycopg.connect(dsn).close()
    except psycopg.Error as error:
        return None if "refused" in str(error) and "FATAL" not in str(error) else error
    return None


def _collect(work: Callable[[], object], results: list[object]) -> None:
    try:
        results.append(work())
    except psycopg.Error as error:
        results.append(error)


def _has_input(connection: psycopg.Connection) -> bool:
    return bool(select.select([connection.fileno()], [], [], 0)[0])
