"""`make conformance`: other people's suites, directly and through a worker whose policy allows everything, and what differs.

    run.py [--only SUITE]… [--server 15|18]… [--list]

Ends with a table and with 1 if a difference is not in `expected.py`. Logs and results of each run stay in `build/conformance/runs`.
"""

import argparse
import shutil
import sys
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.conformance.downloads import CACHE  # noqa: E402
from tests.conformance.expected import EXPECTED  # noqa: E402
from tests.conformance.sides import DIRECT, THROUGH, side  # noqa: E402
from tests.conformance.suite import PASSED, Outcomes, Suite, SuiteError, differences  # noqa: E402
from tests.conformance.suites import ALL  # noqa: E402


@dataclass(slots=True)
class Line:
    """One line of the table."""

    suite: str
    version: int
    direct: Outcomes = field(default_factory=dict)
    through: Outcomes = field(default_factory=dict)
    problem: str = ""

    @property
    def differences(self) -> dict[str, str]:
        return differences(self.direct, self.through)

    @property
    def unexpected(self) -> dict[str, str]:
        return {test: what for test, what in self.differences.items() if reason(self.suite, test) is None}


def reason(suite: str, test: str) -> str | None:
    return next((why for pattern, why in EXPECTED.get(suite, {}).items() if fnmatchcase(test, pattern)), None)


def step(text: str) -> None:
    print(f"==> {time.strftime('%H:%M:%S')} {text}", flush=True)


def compare(suite: Suite, version: int, directory: Path) -> Line:
    """Both runs of a suite, one after the other, on a new server each."""
    line = Line(suite.name, version)
    try:
        suite.prepare()
        for name, outcomes in ((DIRECT, line.direct), (THROUGH, line.through)):
            work = directory / f"{suite.name}-{version}" / name
            shutil.rmtree(work, ignore_errors=True)
            (work / "suite").mkdir(parents=True)
            step(f"{suite.name}, PostgreSQL {version}, {name}")
            with side(name, version, suite.databases, work) as where:
                outcomes.update(suite.run(where, work / "suite"))
    except SuiteError as error:
        line.problem = str(error)
    return line


def table(lines: list[Line]) -> str:
    rows = [("suite", "server", "tests", "pass direct", "pass through", "differences", "of these expected")]
    for line in lines:
        passed = [str(sum(outcome == PASSED for outcome in outcomes.values())) for outcomes in (line.direct, line.through)]
        differ, unexpected = len(line.differences), len(line.unexpected)
        numbers = (str(len({*line.direct, *line.through})), *passed, str(differ), str(differ - unexpected))
        rows.append((line.suite, str(line.version), *numbers))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for line in lines:
        text += [f"{line.suite} {line.version}: could not be run: {line.problem}"] if line.problem else []
        for test, what in line.differences.items():
            text.append(f"{line.suite} {line.version}: {test}: {what} ({reason(line.suite, test) or 'not expected'})")
    return "\n".join(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[suite.name for suite in ALL], help="this suite; may be given more than once")
    parser.add_argument("--server", action="append", type=int, choices=(15, 18), help="this major version; may be given more than once")
    parser.add_argument("--list", action="store_true", help="list the suites and end")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{suite.name:20}{(sys.modules[type(suite).__module__].__doc__ or '').strip()}" for suite in ALL))
        return 0
    chosen = [suite for suite in ALL if not arguments.only or suite.name in arguments.only]
    runs = [(suite, version) for suite in chosen for version in suite.versions if not arguments.server or version in arguments.server]
    lines = [compare(suite, version, CACHE / "runs") for suite, version in runs]
    print(table(lines))
    return 1 if any(line.problem or line.unexpected for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
