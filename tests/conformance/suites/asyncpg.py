"""asyncpg's own tests (Cython, a protocol implementation of its own: binary formats, pipelined prepares, cursors)."""

import shutil
from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import Outcomes, plain_environment, pytest_outcomes

_SOURCE = ("asyncpg", "0.32.0", "45e64e56714d888330b884aad1dfb363d0bf43fb343e3d1a8968525f3bade478")


class Asyncpg:
    name = "asyncpg"
    versions = (15, 18)
    databases = ("asyncpg_intro_test", "testdb")  # which tests make

    def prepare(self) -> None:
        downloads.sdist(*_SOURCE)
        downloads.drivers()

    def run(self, side: Side, directory: Path) -> Outcomes:
        # Beside its source, the tests would import that instead of what is built and installed.
        tests = directory / "alone"
        shutil.copytree(downloads.sdist(*_SOURCE) / "tests", tests / "tests")
        environment = plain_environment() | side.libpq("postgres")
        return pytest_outcomes(downloads.drivers(), tests, ["tests"], environment, directory)
