"""pg8000's own tests (pure Python, a protocol implementation of its own)."""

import contextlib
from pathlib import Path

import psycopg

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import Outcomes, plain_environment, pytest_outcomes

_SOURCE = ("pg8000", "1.31.6", "553b240256d4b2d8f0ad2af28d07df1f9980247f74ac98d2c2b573762ec1ff1b")
# They want a server set up for one way of authentication each, which a gateway's clients do not use.
_WITHOUT = ("test/dbapi/auth", "test/legacy/auth", "test/native/auth", "test/test_readme.py")


class Pg8000:
    name = "pg8000"
    versions = (15, 18)
    databases = ("pg8000_scram_sha_256",)  # which a test makes

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments  # files or folders; none: all

    def prepare(self) -> None:
        downloads.sdist(*_SOURCE)
        downloads.drivers()

    def run(self, side: Side, directory: Path) -> Outcomes:
        with contextlib.suppress(psycopg.errors.FeatureNotSupported), psycopg.connect(side.server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION hstore")  # which the wheel's servers do not have
        environment = plain_environment() | side.libpq("postgres")
        arguments = [*(self._arguments or ["test"]), *(f"--ignore={path}" for path in _WITHOUT), "--benchmark-disable"]
        return pytest_outcomes(downloads.drivers(), downloads.sdist(*_SOURCE), arguments, environment, directory)
