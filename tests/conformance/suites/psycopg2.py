"""psycopg2's own tests (C, libpq)."""

from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import Outcomes, plain_environment, pytest_outcomes

_SOURCE = ("psycopg2", "2.9.13", "d36784fc2dae69523ba4b79c7d1d1b4d6e83e87836874f111262f4db940b16a6")


class Psycopg2:
    name = "psycopg2"
    versions = (15, 18)
    databases = ("psycopg2_test",)

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments  # files; none: all

    def prepare(self) -> None:
        downloads.sdist(*_SOURCE)
        downloads.drivers()

    def run(self, side: Side, directory: Path) -> Outcomes:
        side.server.ensure_database("psycopg2_test")
        environment = plain_environment() | {"PSYCOPG2_TESTDB": "psycopg2_test"} | side.libpq("psycopg2_test")
        return pytest_outcomes(downloads.drivers(), downloads.sdist(*_SOURCE), [*(self._arguments or ["tests"])], environment, directory)
