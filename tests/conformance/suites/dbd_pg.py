"""DBD::Pg's own tests (Perl, libpq), each assertion by itself."""

import re
import shutil
from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import FAILED, PASSED, SKIPPED, Outcomes, SuiteError, logged, plain_environment

_PACKAGE = ("libdbd-pg-perl", "3.16.0")
_MODULES = ("libdbi-perl", "libdbd-pg-perl", "libtest-warn-perl", "libsub-uplevel-perl", "libtest-output-perl", "libcapture-tiny-perl")
# `ok 12 - name`, `not ok 12 - name`, `ok 12 # skip why`, `not ok 12 - name # TODO why`
_ASSERTION = re.compile(r"^(not )?ok (\d+)\b.*?(# (?:skip|TODO)\b.*)?$", re.MULTILINE)


class DbdPg:
    name = "dbd_pg"
    versions = (15, 18)
    databases = ("dbd_pg_test",)

    def prepare(self) -> None:
        downloads.debian_source(*_PACKAGE)
        self._modules()

    def run(self, side: Side, directory: Path) -> Outcomes:
        side.server.ensure_database("dbd_pg_test")
        source = directory / "source"
        shutil.copytree(downloads.debian_source(*_PACKAGE), source)  # the tests keep notes in their folder
        dsn = f"dbi:Pg:host={side.host};port={side.port};dbname=dbd_pg_test"
        environment = plain_environment() | {"DBI_DSN": dsn, "DBI_USER": side.user, "DBI_PASS": side.password, "PERL5LIB": self._modules()}
        outcomes: Outcomes = {}
        for test in sorted((source / "t").glob("[0-9]*.t")):
            log = directory / f"{test.stem}.log"
            code = logged(["perl", f"t/{test.name}"], log, environment, directory=source, seconds=120)
            outcomes[test.stem] = FAILED if code else PASSED
            for wrong, number, kind in _ASSERTION.findall(log.read_text(errors="replace")):
                outcomes[f"{test.stem} {number}"] = SKIPPED if kind else FAILED if wrong else PASSED
        if "01connect 1" not in outcomes:
            raise SuiteError(f"it could not connect: see {directory / '01connect.log'}")
        return outcomes

    def _modules(self) -> str:
        root = downloads.debian_packages(*_MODULES) / "usr"
        return ":".join(str(folder) for folder in (*root.glob("lib/*/perl5/*"), root / "share" / "perl5"))
