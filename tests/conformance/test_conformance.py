"""The quick selection of other people's suites: each ends through a worker as it does directly. All of them: `make conformance`."""

from pathlib import Path

import pytest

from tests import engines
from tests.conformance.run import compare
from tests.conformance.suite import PASSED, DownloadError, Suite
from tests.conformance.suites.dump import Dump
from tests.conformance.suites.libpq_pipeline import LibpqPipeline
from tests.conformance.suites.pg_regress import PgRegress
from tests.conformance.suites.pgbench import Pgbench
from tests.conformance.suites.psycopg2 import Psycopg2
from tests.conftest import unavailable

# What touches the protocol, the session or psql most; each needs no other but the first.
_REGRESS = (
    "test_setup", "copy", "copydml", "copyselect", "async", "guc", "portals", "prepare", "prepared_xacts", "plancache", "errors", "temp",
    "transactions", "largeobject", "psql", "xml", "unicode", "strings", "namespace",
)  # fmt: skip


@pytest.mark.parametrize(
    ("suite", "version"),
    [
        (Pgbench(transactions=5), 15),
        (Dump(), 15),
        (Dump(), 18),
        (LibpqPipeline(without=("uniqviol",)), 15),  # which writes until every buffer on the way is full
        (PgRegress(_REGRESS), 15),
        (Psycopg2("tests/test_async.py", "tests/test_notify.py", "tests/test_cancel.py"), 18),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else str(value),
)
def test_a_suite_cannot_tell_the_gateway_from_the_server(suite: Suite, version: int, tmp_path: Path) -> None:
    if version == 15 and not (engines.DEBIAN15 / "initdb").exists():
        unavailable(f"no PostgreSQL 15 in {engines.DEBIAN15} (Debian: apt-get install postgresql-15)")
    tmp_path.chmod(0o755)  # the server may run under another account
    try:
        suite.prepare()
    except DownloadError as error:
        pytest.skip(f"the suite's source cannot be downloaded: {error}")  # an archive that is away is no fault of the gateway
    first = compare(suite, version, tmp_path / "first")
    assert first.problem == ""
    assert PASSED in first.through.values()
    if first.unexpected:
        # Other people's tests measure time too: a difference is what comes again.
        again = compare(suite, version, tmp_path / "again")
        assert {test: what for test, what in first.unexpected.items() if test in again.unexpected} == {}
