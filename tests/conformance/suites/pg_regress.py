"""PostgreSQL's own regression suite (`make installcheck-parallel` of its source tree), with psql as the client."""

import hashlib
import re
from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side, programs
from tests.conformance.suite import FAILED, PASSED, Outcomes, SuiteError, logged, plain_environment

# `     boolean                      ... ok          102 ms`, or `test tablespace  ... FAILED (test process exited …)`
_RESULT = re.compile(r"^(?:test|   )\s+(\S+)\s+\.\.\. (ok|FAILED|failed)", re.MULTILINE)


class PgRegress:
    name = "pg_regress"
    versions = (15,)
    databases = ("regression",)

    def __init__(self, tests: tuple[str, ...] = ()) -> None:
        self._tests = tests  # of the schedule; none: all

    def prepare(self) -> None:
        downloads.postgresql_source()

    def run(self, side: Side, directory: Path) -> Outcomes:
        source = downloads.postgresql_source() / "src" / "test" / "regress"
        results = directory / "results"
        command = [
            str(source / "pg_regress"), f"--inputdir={source}", f"--outputdir={directory}", f"--dlpath={source}",
            f"--bindir={programs(side.version)}", f"--host={side.host}", f"--port={side.port}", f"--user={side.user}",
            "--dbname=regression", "--encoding=UTF8", "--no-locale", "--max-concurrent-tests=20",
        ]  # fmt: skip
        command += self._tests or [f"--schedule={source / 'parallel_schedule'}"]
        environment = plain_environment() | {"PGPASSWORD": side.password}
        # The server writes files there, too: tablespaces and what COPY puts out.
        (directory / "testtablespace").mkdir(parents=True, exist_ok=True)
        logged(command, directory / "pg_regress.log", environment)
        found = _RESULT.findall((directory / "pg_regress.log").read_text())
        if not found:
            raise SuiteError(f"pg_regress ran no test; see {directory / 'pg_regress.log'}")
        return {test: PASSED if said == "ok" else f"{FAILED} ({_digest(results / f'{test}.out', directory)})" for test, said in found}


def _digest(output: Path, directory: Path) -> str:
    """What a failed test put out, in short: a test that fails on both sides must fail alike."""
    text = output.read_bytes().replace(str(directory).encode(), b"") if output.exists() else b""
    return hashlib.sha256(text).hexdigest()[:8]
