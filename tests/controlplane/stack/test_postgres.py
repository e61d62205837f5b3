"""The embedded server: real starts, crashes and restarts."""

import os
import signal
from pathlib import Path

import psycopg
import pytest

from controlplane.stack.account import AccountError, real_nobody
from controlplane.stack.postgres import EngineMissing, Postgres, default_bindir
from controlplane.stack.process import StartError


@pytest.fixture
def server(tmp_path: Path):
    made = Postgres(tmp_path / "pg", durable=False)
    yield made
    made.stop()


def postmaster(server: Postgres) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


def test_listens_on_loopback_with_a_password_and_keeps_utf8(server: Postgres) -> None:
    server.start()
    with psycopg.connect(server.dsn()) as connection:
        names = ("server_encoding", "listen_addresses", "unix_socket_directories")
        settings = [connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in names]
        upper = connection.execute("SELECT upper('é')").fetchone()
    assert settings == [("UTF8",), ("127.0.0.1",), ("",)]
    assert upper == ("É",)


def test_the_password_is_stored_as_scram_and_a_wrong_one_is_refused(server: Postgres) -> None:
    server.start()
    with psycopg.connect(server.dsn()) as connection:
        stored = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'").fetchone()
    assert stored is not None
    assert stored[0].startswith("SCRAM-SHA-256$")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn(password="wrong"))


def test_what_was_committed_survives_a_crash_of_the_server(server: Postgres) -> None:
    server.start()
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    os.kill(postmaster(server), signal.SIGKILL)
    server.process.wait_ended()
    assert not server.alive
    server.start()
    with psycopg.connect(server.dsn()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_second_object_on_the_same_directory_has_the_same_password_and_data(tmp_path: Path, server: Postgres) -> None:
    server.start()
    server.ensure_database("twice")
    server.stop()
    again = Postgres(tmp_path / "pg", durable=False)
    again.start()
    try:
        with psycopg.connect(again.dsn("twice")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        again.stop()


def test_a_bad_setting_is_reported_with_the_end_of_the_log(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "pg", durable=False, settings={"no_such_setting": "1"})
    with pytest.raises(StartError, match="no_such_setting"):
        server.start()


def test_programs_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEGATE_PG_BINDIR", str(tmp_path))
    with pytest.raises(EngineMissing, match=str(tmp_path)):
        default_bindir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_nobody_must_be_able_to_reach_the_data(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(AccountError, match="cannot enter"):
        Postgres(closed / "pg", account=real_nobody(), durable=False).start()
