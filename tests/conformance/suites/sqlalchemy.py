"""SQLAlchemy's suite for dialects, and its own tests of the PostgreSQL dialect, with the driver psycopg."""

from pathlib import Path

import psycopg

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import Outcomes, plain_environment, pytest_outcomes

_SOURCE = ("sqlalchemy", "2.0.58", "2acdcec9836b7c1514a9ad426e7731669a1186d96481a2e82c50bf2aebb49061")


class Sqlalchemy:
    name = "sqlalchemy"
    versions = (15, 18)
    databases = ("test",)

    def prepare(self) -> None:
        downloads.sdist(*_SOURCE)
        downloads.drivers()

    def run(self, side: Side, directory: Path) -> Outcomes:
        side.server.ensure_database("test")
        with psycopg.connect(side.server.dsn("test"), autocommit=True) as connection:
            for statement in (
                "CREATE SCHEMA test_schema",
                "CREATE SCHEMA test_schema_2",
                "CREATE EXTENSION hstore",
                "CREATE EXTENSION citext",
            ):
                connection.execute(statement)
        url = f"postgresql+psycopg://{side.user}:{side.password}@{side.host}:{side.port}/test"
        arguments = ["test/dialect/test_suite.py", "test/dialect/postgresql", "--maxfail=0", "--dburi", url]
        source = downloads.sdist(*_SOURCE)
        settings = source / "pyproject.toml"
        return pytest_outcomes(downloads.drivers(), source, arguments, plain_environment(), directory, settings=settings)
