"""What a suite is, and how the outcomes of its two runs are compared."""

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Protocol

from tests.conformance.sides import Side

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_GO_RESULT = re.compile(r"^ *--- (PASS|FAIL|SKIP): (\S+)", re.MULTILINE)
# By the test's name. What follows `failed` may tell two failures apart.
Outcomes = dict[str, str]


class SuiteError(RuntimeError):
    """A suite that could not be run at all; says why."""


class DownloadError(SuiteError):
    """Its source, or a package that it needs, could not be had."""


class Suite(Protocol):
    """One suite. `run` is called once for each side, each time with a server of its own."""

    name: str
    versions: tuple[int, ...]  # of the servers that it is written for
    databases: tuple[str, ...]  # names by which it connects, besides `postgres`

    def prepare(self) -> None:
        """Download and build what it needs, unless that is there already. Raises SuiteError."""

    def run(self, side: Side, directory: Path) -> Outcomes:
        """Run it; logs and results go to `directory`. Raises SuiteError."""


def differences(direct: Outcomes, through: Outcomes) -> dict[str, str]:
    """Every test that does not end alike, with both outcomes, unless it only passes through. One that is missing on a side counts."""
    return {
        name: f"{direct.get(name, 'missing')} directly, {through.get(name, 'missing')} through"
        for name in sorted({*direct, *through})
        if through.get(name) not in (PASSED, direct.get(name))
    }


def logged(command: list[str], log: Path, environment: dict[str, str], *, directory: Path | None = None, seconds: float = 1800) -> int:
    """Run a command with its output in a file; the exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            return subprocess.run(command, cwd=directory, env=environment, timeout=seconds, check=False, **streams).returncode
        except subprocess.TimeoutExpired:
            output.write(f"\nstopped after {seconds:g} s\n".encode())
            return -1


def pytest_outcomes(
    python: Path, tests: Path, arguments: list[str], environment: dict[str, str], directory: Path, *, settings: Path | None = None
) -> Outcomes:
    """Run a suite made for pytest or unittest in its own folder, and read what became of each test.

    `settings`: the file with the project's own ones for pytest, where its tests cannot do without.
    """
    report = directory / "report.xml"
    if settings is None:  # pytest would look for some in the folders above, and find ours
        settings = directory / "pytest.ini"
        settings.write_text("[pytest]\n")
    # The folder stays as it is.
    options = ["-q", "-c", str(settings), f"--rootdir={tests}", "-o", f"cache_dir={directory / 'cache'}"]
    options += ["--timeout=60", f"--junitxml={report}"]
    command = [str(python), "-m", "pytest", *options, *arguments]
    code = logged(command, directory / "pytest.log", environment, directory=tests)
    if not report.exists():
        raise SuiteError(f"pytest ended with {code} and no report; see {directory / 'pytest.log'}")
    return reported(report)


def reported(report: Path) -> Outcomes:
    """What a report in JUnit's form says of each test."""
    outcomes: Outcomes = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        kinds = {child.tag for child in case}
        found = FAILED if kinds & {"failure", "error"} else SKIPPED if "skipped" in kinds else PASSED
        # A test whose tear-down fails is reported twice: it failed.
        outcomes[name] = FAILED if outcomes.get(name) == FAILED else found
    return outcomes


def go_program(package: Path, program: Path, environment: dict[str, str]) -> None:
    """Compile the tests of a Go package, unless that was done before; nothing is downloaded. Raises SuiteError."""
    if program.exists():
        return
    go = shutil.which("go")
    if go is None:
        raise SuiteError("no Go to compile it with (Debian: apt-get install golang-go)")
    log = program.with_suffix(".build.log")
    offline = {"GOPROXY": "off", "HOME": os.environ["HOME"]}
    if logged([go, "test", "-c", "-o", str(program), "."], log, plain_environment() | offline | environment, directory=package):
        raise SuiteError(f"Go could not compile it: see {log}")


def go_outcomes(package: Path, program: Path, environment: dict[str, str], log: Path) -> Outcomes:
    """Run such tests in the folder of their package."""
    logged([str(program), "-test.v", "-test.timeout=600s"], log, environment, directory=package)
    found = _GO_RESULT.findall(log.read_text(errors="replace"))
    if not found:
        raise SuiteError(f"it ran no test: see {log}")
    return {test: {"PASS": PASSED, "FAIL": FAILED, "SKIP": SKIPPED}[said] for said, test in found}


def plain_environment() -> dict[str, str]:
    """The caller's environment without what would lead libpq, or a driver, to another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PSYCOPG", "TIDEGATE_", "DJANGO_", "PYTEST"))}
