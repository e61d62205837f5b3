"""`libpq_pipeline` of PostgreSQL's source tree: pipelines, errors inside them, row by row, and the messages as libpq traces them."""

import subprocess
from pathlib import Path

from tests.conformance import downloads
from tests.conformance.sides import Side
from tests.conformance.suite import FAILED, PASSED, Outcomes, logged, plain_environment

_TRACED = frozenset(
    "simple_pipeline nosync multi_pipelines prepared singlerow pipeline_abort pipeline_idle transaction disallowed_in_pipeline".split()
)


class LibpqPipeline:
    name = "libpq_pipeline"
    versions = (15,)  # it sets force_parallel_mode, which 16 renamed
    databases = ()

    def __init__(self, without: tuple[str, ...] = ()) -> None:
        self._without = without

    def prepare(self) -> None:
        downloads.postgresql_source()

    def run(self, side: Side, directory: Path) -> Outcomes:
        """As `t/001_libpq_pipeline.pl` there does it."""
        tree = downloads.postgresql_source() / "src"
        program = tree / "test" / "modules" / "libpq_pipeline" / "libpq_pipeline"
        environment = plain_environment() | {"LD_LIBRARY_PATH": str(tree / "interfaces" / "libpq")}
        conninfo = f"host={side.host} port={side.port} user={side.user} password={side.password} dbname=postgres"
        tests = subprocess.run([program, "tests"], env=environment, capture_output=True, text=True, check=True).stdout.split()
        outcomes: Outcomes = {}
        for test in [test for test in tests if test not in self._without]:
            trace = directory / f"{test}.trace"
            options = ["-t", str(trace)] if test in _TRACED else []
            code = logged([str(program), "-r", "700", *options, test, conninfo], directory / f"{test}.log", environment, seconds=60)
            outcomes[test] = FAILED if code else PASSED
            expected = program.parent / "traces" / trace.name
            if test in _TRACED and expected.exists():
                same = trace.exists() and trace.read_bytes() == expected.read_bytes()
                outcomes[f"{test} trace"] = PASSED if same else FAILED
        return outcomes
