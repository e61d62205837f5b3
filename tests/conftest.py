"""Engines for the tests: started once per session and only if a test asks; see engines.py."""

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db.backends.postgresql.operations import DatabaseOperations

from controlplane.stack.postgres import Postgres
from tests import engines


class Target:
    """A server that agents want to reach, and a superuser's way into it."""

    def __init__(self, server: Postgres, version: int) -> None:
        self.server = server
        self.version = version
        self.host, self.port, self.user, self.password = "127.0.0.1", server.port, "postgres", server.password

    def dsn(self, dbname: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        return self.server.dsn(dbname, user, password)

    def sql(self, statement: str, parameters: tuple[object, ...] | None = None, dbname: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as superuser, outside a transaction; rows if it yields any."""
        with psycopg.connect(self.dsn(dbname), autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """URL of a running broker."""
    server = engines.broker()
    if server is not None:
        server.start()
    yield engines.environment()["TIDEGATE_BROKER_URL"]
    if server is not None:
        server.stop()


@pytest.fixture(scope="session")
def control_database() -> Iterator[str]:
    """URL of a running control database server."""
    server = engines.control_database()
    if server is not None:
        server.start()
    yield engines.environment()["TIDEGATE_DATABASE_URL"]
    if server is not None:
        server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(control_database: str, broker: str) -> None:
    """pytest-django's hook before it makes its database: the engines must run by then."""


@pytest.fixture(scope="session")
def target15() -> Iterator[Target]:
    """Debian's PostgreSQL 15 with TLS."""
    if not (engines.DEBIAN15 / "initdb").exists():
        unavailable(f"no PostgreSQL 15 in {engines.DEBIAN15} (Debian: apt-get install postgresql-15)")
    yield from running(engines.target15, 15)


@pytest.fixture(scope="session")
def target18() -> Iterator[Target]:
    """The wheel's PostgreSQL 18, without TLS."""
    yield from running(engines.target18, 18)


@pytest.fixture(scope="session", params=[15, 18], ids=["pg15", "pg18"])
def target(request: pytest.FixtureRequest) -> Target:
    """Each supported server in turn."""
    found: Target = request.getfixturevalue(f"target{request.param}")
    return found


@pytest.fixture(scope="session", autouse=True)
def _target_named_by_the_environment(request: pytest.FixtureRequest) -> None:
    """Unit tests that read TIDEGATE_TEST_TARGET_DSN find a server there."""
    if "TIDEGATE_TEST_TARGET_DSN" in engines.GIVEN:
        return
    modules = {item.path for item in request.session.items}
    if any("TIDEGATE_TEST_TARGET_DSN" in path.read_text(encoding="utf-8") for path in modules):
        request.getfixturevalue("target15")


@pytest.fixture(scope="session", autouse=True)
def _tables_can_be_emptied_between_tests() -> Iterator[None]:
    """The ledger's triggers refuse TRUNCATE; only Django's flush between transactional tests does without them."""
    emptying = DatabaseOperations.execute_sql_flush

    def without_triggers(self: DatabaseOperations, sql_list: list[str]) -> None:
        emptying(self, ["SET LOCAL session_replication_role = replica", *sql_list])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", without_triggers)
        yield


def running(make: Callable[[], Postgres], version: int) -> Iterator[Target]:
    server = make()
    server.start()
    yield Target(server, version)
    server.stop()


def unavailable(what: str) -> None:
    """On CI nothing may be left out silently; elsewhere a test that the machine cannot run is skipped with the reason."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run every test, but there is {what}")
    pytest.skip(what)
