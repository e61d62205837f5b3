"""psycopg 3's own tests (Python on libpq: pipelines, server-side cursors, COPY, two-phase commits), sync and asyncio.

Debian's source package has both tests and driver, of the same version: its sdist at PyPI has no tests.
"""

import os
from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import Outcomes, plain_environment, pytest_outcomes

_SOURCE = ("psycopg3", "3.1.7")
# CockroachDB, mypy's opinion on the types, the pool, whose tests wait by the clock, and what looks for leaks in memory.
_WITHOUT = ("tests/crdb", "tests/test_typing.py", "tests/pool")


class Psycopg3:
    name = "psycopg3"
    versions = (15, 18)
    databases = ("psycopg3_test",)

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments  # files; none: all

    def prepare(self) -> None:
        downloads.debian_source(*_SOURCE)
        downloads.drivers()

    def run(self, side: Side, directory: Path) -> Outcomes:
        side.server.ensure_database("psycopg3_test")
        source, python = downloads.debian_source(*_SOURCE), downloads.drivers()
        dsn = f"host={side.host} port={side.port} user={side.user} password={side.password} dbname=psycopg3_test"
        # The driver beside the tests goes before what is installed, and their proxy is one of its programs.
        paths = {"PYTHONPATH": str(source / "psycopg"), "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
        environment = plain_environment() | paths | {"PSYCOPG_IMPL": "python", "PSYCOPG_TEST_DSN": dsn}
        arguments = [
            *(self._arguments or ["tests"]),
            *(f"--ignore={path}" for path in _WITHOUT),
            "-k",
            "not leak",
            "-o",
            "asyncio_mode=auto",
        ]
        return pytest_outcomes(python, source, arguments, environment, directory)
