"""lib/pq's own tests (Go, a protocol implementation of its own), with text and with binary parameters. Needs Go (Debian: golang-go)."""

from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import Outcomes, go_outcomes, go_program, plain_environment

_PACKAGE = ("golang-github-lib-pq", "1.10.7")


class LibPq:
    name = "lib_pq"
    versions = (15, 18)
    databases = ("pqgotest",)

    def prepare(self) -> None:
        cache = downloads.CACHE / "go"
        modules = {"GOCACHE": str(cache), "GOPATH": str(cache / "path"), "GO111MODULE": "on"}
        go_program(downloads.debian_source(*_PACKAGE), self._program(), modules)

    def run(self, side: Side, directory: Path) -> Outcomes:
        side.server.ensure_database("pqgotest")
        outcomes: Outcomes = {}
        for binary in ("no", "yes"):
            environment = plain_environment() | side.libpq("pqgotest") | {"PQTEST_BINARY_PARAMETERS": binary}
            found = go_outcomes(downloads.debian_source(*_PACKAGE), self._program(), environment, directory / f"binary-{binary}.log")
            outcomes |= {f"{test}{' binary' if binary == 'yes' else ''}": outcome for test, outcome in found.items()}
        return outcomes

    def _program(self) -> Path:
        return downloads.CACHE / "lib_pq.test"
