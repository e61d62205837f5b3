"""lib/pq's own tests (Go, a protocol implementation of its own), with text and with binary parameters. Needs Go (Debian: golang-go)."""

import os
import re
import shutil
from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import FAILED, PASSED, SKIPPED, Outcomes, SuiteError, logged, plain_environment

_PACKAGE = ("golang-github-lib-pq", "1.10.7")
_RESULT = re.compile(r"^ *--- (PASS|FAIL|SKIP): (\S+)", re.MULTILINE)
_OUTCOMES = {"PASS": PASSED, "FAIL": FAILED, "SKIP": SKIPPED}


class LibPq:
    name = "lib_pq"
    versions = (15, 18)
    databases = ("pqgotest",)

    def prepare(self) -> None:
        if self._program().exists():
            return
        go = shutil.which("go")
        if go is None:
            raise SuiteError("no Go to compile it with (Debian: apt-get install golang-go)")
        source, cache = downloads.debian_source(*_PACKAGE), downloads.CACHE / "go"
        offline = {"GOCACHE": str(cache), "GOPATH": str(cache / "path"), "GOPROXY": "off", "GO111MODULE": "on", "HOME": os.environ["HOME"]}
        command = [go, "test", "-c", "-o", str(self._program()), "."]
        if logged(command, source / "build.log", plain_environment() | offline, directory=source):
            raise SuiteError(f"Go could not compile it: see {source / 'build.log'}")

    def run(self, side: Side, directory: Path) -> Outcomes:
        side.server.ensure_database("pqgotest")
        outcomes: Outcomes = {}
        for binary in ("no", "yes"):
            environment = plain_environment() | side.libpq("pqgotest") | {"PQTEST_BINARY_PARAMETERS": binary}
            log = directory / f"binary-{binary}.log"
            logged([str(self._program()), "-test.v", "-test.timeout=300s"], log, environment, directory=downloads.debian_source(*_PACKAGE))
            found = _RESULT.findall(log.read_text(errors="replace"))
            if not found:
                raise SuiteError(f"it ran no test: see {log}")
            outcomes |= {f"{test}{' binary' if binary == 'yes' else ''}": _OUTCOMES[said] for said, test in found}
        return outcomes

    def _program(self) -> Path:
        return downloads.CACHE / "lib_pq.test"
