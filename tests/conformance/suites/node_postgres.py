"""node-postgres' own tests (JavaScript, a protocol implementation of its own), with text and with binary results. Needs Node.js."""

import os
import re
import shutil
from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import FAILED, PASSED, Outcomes, SuiteError, logged, plain_environment

_SOURCE = ("node-postgres", "8.8.0+~cs35.9.20")
# The driver, of the same version, and what its tests import.
_MODULES = ("pg@8.8.0", "async@2.6.4", "bluebird@3.5.2", "co@4.6.0", "pg-copy-streams@0.3.0")
_RESULT = re.compile(r"^  (\S.*?) (✔|FAILED!)$", re.MULTILINE)


class NodePostgres:
    name = "node_postgres"
    versions = (15, 18)
    databases = ("node_pg_test", "template1")

    def prepare(self) -> None:
        if shutil.which("node") is None:
            raise SuiteError("no Node.js to run it with (Debian: apt-get install nodejs)")
        downloads.debian_source(*_SOURCE)
        downloads.npm_modules(*_MODULES)

    def run(self, side: Side, directory: Path) -> Outcomes:
        side.server.ensure_database("node_pg_test")
        # The tests import the driver as their neighbour.
        modules, package = downloads.npm_modules(*_MODULES), directory / "pg"
        shutil.copytree(modules / "pg", package)
        for part in ("test", "script"):
            shutil.copytree(downloads.debian_source(*_SOURCE) / "packages" / "pg" / part, package / part)
        more = {"NODE_PATH": str(modules), **({} if side.tls else {"PGTESTNOSSL": "1"})}
        environment = plain_environment() | side.libpq("node_pg_test") | more
        # Five seconds for five thousand statements are a bet on the machine.
        framework = package / "test" / "suite.js"
        framework.write_text(framework.read_text().replace("this.timeout = 5000", "this.timeout = 15000"))
        if logged(["node", "script/create-test-tables.js"], directory / "tables.log", environment, directory=package):
            raise SuiteError(f"its tables could not be made: see {directory / 'tables.log'}")
        outcomes: Outcomes = {}
        files = sorted(str(file.relative_to(package)) for file in (package / "test" / "integration").rglob("*-tests.js"))
        for mode in ("text", "binary"):
            for file in files:
                name = f"{mode} {file.removeprefix('test/integration/').removesuffix('-tests.js')}"
                command, log = ["node", file, "postgres://", mode], directory / "logs" / f"{name.replace(os.sep, ' ')}.log"
                code = logged(command, log, environment, directory=package, seconds=20)
                found = _RESULT.findall(log.read_text(errors="replace"))
                outcomes |= {f"{name}: {test}": PASSED if said == "✔" else FAILED for test, said in found}
                outcomes[name] = FAILED if code else PASSED  # a file ends at its first failure
        return outcomes
