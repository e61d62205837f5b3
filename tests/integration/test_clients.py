"""Ordinary clients through real worker processes: an agent should not be able to tell that Tidegate is there."""

import psycopg
import pytest
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from tests.integration.harness import Agent

SYNC = b""


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_psycopg_gets_what_the_server_gives(free: Agent, binary: bool) -> None:
    statement = "SELECT %s::int8, %s::text, %s::numeric, NULL::date, ARRAY[1, 2], '{\"a\": 1}'::jsonb"
    [row] = free.rows(statement, (7, "žluťoučký", "1.50"), binary=binary)
    assert (row[0], row[1], str(row[2]), *row[3:]) == (7, "žluťoučký", "1.50", None, [1, 2], {"a": 1})


def test_the_same_prepared_statement_many_times(free: Agent) -> None:
    with free.connect() as connection:
        connection.prepare_threshold = 1
        assert [connection.execute("SELECT %s::int * 2", (n,)).fetchone() for n in range(20)] == [(n * 2,) for n in range(20)]


def test_pipeline_mode_keeps_answers_in_order_and_skips_after_an_error(free: Agent) -> None:
    sent = (b"SELECT 1", SYNC, b"SELECT 1/0", b"SELECT 2", SYNC, b"SELECT 3", SYNC)
    with free.connect() as connection:
        server = connection.pgconn  # psycopg's own pipelines tell of an error whenever they happen to read it
        server.enter_pipeline_mode()
        for text in sent:
            if text == SYNC:
                server.pipeline_sync()
            else:
                server.send_query_params(text, None)
        found: list[str] = []
        while found.count("sync") < sent.count(SYNC):
            result = server.get_result()
            if result is not None:
                found.append(_told(result))
        server.exit_pipeline_mode()
    assert found == ["1", "sync", "22012", "skipped", "sync", "3", "sync"]


def _told(result: PGresult) -> str:
    match result.status:
        case ExecStatus.TUPLES_OK:
            return (result.get_value(0, 0) or b"").decode()
        case ExecStatus.PIPELINE_SYNC:
            return "sync"
        case ExecStatus.PIPELINE_ABORTED:
            return "skipped"
        case _:
            return (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()


def test_transactions_savepoints_and_copy(free: Agent) -> None:
    with psycopg.connect(free.dsn()) as connection:
        connection.execute("CREATE TEMP TABLE t (n int, note text)")
        with connection.cursor().copy("COPY t FROM STDIN") as copy:
            for n in range(1000):
                copy.write_row((n, "x" * 50))
        with connection.transaction(force_rollback=True):
            connection.execute("DELETE FROM t")
        with connection.cursor().copy("COPY (SELECT n FROM t ORDER BY n) TO STDOUT") as copy:
            assert [int(row[0]) for row in copy.rows()] == list(range(1000))


def test_a_large_result_arrives_whole(free: Agent) -> None:
    rows = free.rows("SELECT n, repeat('x', 100) FROM generate_series(1, 50000) n", binary=True)
    assert len(rows) == 50_000
    assert rows[-1] == (50_000, "x" * 100)


def test_an_error_is_the_servers_own(free: Agent) -> None:
    refused = free.refusal("SELECT no_such_column FROM pg_class")
    assert refused.sqlstate == "42703"
    assert "no_such_column" in (refused.message_primary or "")


def test_cancel_reaches_the_server(free: Agent) -> None:
    with free.connect() as connection:
        running = free.start("SELECT pg_sleep(60)")
        while running.connection.info.transaction_status != psycopg.pq.TransactionStatus.ACTIVE:
            connection.execute("SELECT 1")
        running.connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            running.result()


def test_psql_and_its_backslash_commands(free: Agent) -> None:
    made = free.psql("DROP TABLE IF EXISTS by_psql", "CREATE TABLE by_psql (n int PRIMARY KEY)", "INSERT INTO by_psql VALUES (1), (2)")
    assert made.returncode == 0, made.stderr
    assert free.psql("SELECT sum(n) FROM by_psql").stdout == "3\n"
    assert "by_psql_pkey" in free.psql("\\di").stdout


def test_psql_reads_masked(reader: Agent) -> None:
    result = reader.psql("SELECT ssn, card FROM crm.customers WHERE id = 7")
    assert result.returncode == 0, result.stderr
    assert "900-55-0007" not in result.stdout
    assert result.stdout.rstrip().endswith("0007")


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench(free: Agent, protocol: str) -> None:
    made = free.pgbench("--initialize", "--scale=1", "--quiet")
    assert made.returncode == 0, made.stderr
    result = free.pgbench("--client=4", "--jobs=2", "--transactions=25", "--no-vacuum", f"--protocol={protocol}")
    assert result.returncode == 0, result.stderr
    assert "number of transactions actually processed: 100/100" in result.stdout
    assert "number of failed transactions: 0" in result.stdout
