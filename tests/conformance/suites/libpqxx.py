"""libpqxx's own tests (C++, libpq). Needs g++."""

import re
import shutil
from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import FAILED, PASSED, Outcomes, SuiteError, logged, plain_environment

_PACKAGE = ("libpqxx", "6.4.5")
_RUNNERS = ("test", "test/unit")


class Libpqxx:
    name = "libpqxx"
    versions = (15, 18)
    databases = ()

    def prepare(self) -> None:
        source = downloads.debian_source(*_PACKAGE)
        if all((source / folder / "runner").exists() for folder in _RUNNERS):
            return
        if shutil.which("g++") is None:
            raise SuiteError("no C++ compiler to compile it with (Debian: apt-get install g++ make)")
        root = downloads.debian_packages("libpq-dev", "libpq5") / "usr"
        [library] = (root / "lib").glob("*/libpq.so")
        postgres = [f"--with-postgres-include={root / 'include' / 'postgresql'}", f"--with-postgres-lib={library.parent}"]
        # What libpq itself needs is on a machine that has a server.
        flags = ["CXXFLAGS=-O0 -w", "LDFLAGS=-Wl,--allow-shlib-undefined"]
        commands = [["./configure", "-q", "--disable-shared", "--disable-documentation", *postgres, *flags], ["make", "-s", "-C", "src"]]
        commands += [["make", "-s", "-C", folder, "runner"] for folder in _RUNNERS]
        for command in commands:
            if logged(command, source / "build.log", plain_environment(), directory=source):
                raise SuiteError(f"{' '.join(command)} failed: see {source / 'build.log'}")

    def run(self, side: Side, directory: Path) -> Outcomes:
        environment = plain_environment() | side.libpq("postgres")
        outcomes: Outcomes = {}
        for folder in _RUNNERS:
            log = directory / f"{Path(folder).name}.log"
            # They write files where they are.
            code = logged([str(downloads.debian_source(*_PACKAGE) / folder / "runner")], log, environment, directory=directory)
            said = log.read_text(errors="replace")
            started, failed = (re.findall(rf"^{word}: (\w+)$", said, re.MULTILINE) for word in ("Running", "FAILED"))
            outcomes |= {test: FAILED if test in failed else PASSED for test in started}
            outcomes[f"{folder}/runner"] = FAILED if code else PASSED
        return outcomes
