"""`make regress-analysis`: every statement of PostgreSQL's own regression suite through the analysis, under masks on three columns.

    run.py [TEST]…

The suite runs as it always does, by psql on a server of its own, and each text is analysed on its way; where that holds for all texts
of its shape, another one is, too. Ends with 1 if the analysis crashed, took a statement for a syntax error that is none, or was another
one with other constants, or if 1 % or more of the SELECTs that call no unknown function would be refused. Those, with the reasons, are
in `build/regress-analysis/refused.txt`.
"""

import shutil
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from controlplane.stack.postgres import SUPERUSER, Postgres  # noqa: E402
from tests import engines  # noqa: E402
from tests.conformance import downloads  # noqa: E402
from tests.conformance.suite import logged, plain_environment  # noqa: E402
from tests.regress.analyst import Analyst  # noqa: E402
from tests.regress.observer import Observer  # noqa: E402

DIRECTORY = ROOT / "build" / "regress-analysis"
DATABASE = "regression"
GOAL = 0.01


def suite(observer: Observer, password: str, tests: list[str]) -> None:
    source = downloads.postgresql_source() / "src" / "test" / "regress"
    command = [
        str(source / "pg_regress"), f"--inputdir={source}", f"--outputdir={DIRECTORY}", f"--dlpath={source}",
        f"--bindir={engines.DEBIAN15}", "--host=127.0.0.1", f"--port={observer.port}", f"--user={SUPERUSER}", f"--dbname={DATABASE}",
        "--encoding=UTF8", "--no-locale", "--max-connections=1",
    ]  # fmt: skip
    command += tests or [f"--schedule={source / 'parallel_schedule'}"]
    (DIRECTORY / "testtablespace").mkdir()
    logged(command, DIRECTORY / "pg_regress.log", plain_environment() | {"PGPASSWORD": password}, seconds=3 * 3600)


def report(analyst: Analyst) -> int:
    reasons = Counter(reason for reason, _ in analyst.refused)
    lines = [f"{count:6} {reason}" for reason, count in reasons.most_common()]
    lines += [f"\n-- {reason}\n{text};" for reason, text in analyst.refused]
    (DIRECTORY / "refused.txt").write_text("\n".join(lines) + "\n")
    for what, count in sorted(analyst.seen.items()):
        print(f"{count:7}  {what}")
    print(f"{analyst.rate:7.2%}  of the SELECTs without unknown functions refused (goal: under {GOAL:.0%})")
    for what, text in analyst.faults:
        print(f"FAULT: {what}\n{text[:500]}")
    return 1 if analyst.faults or analyst.rate >= GOAL else 0


def main() -> int:
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)
    settings = {"max_prepared_transactions": "10"}
    server = Postgres(DIRECTORY / "server", name="server", bindir=engines.DEBIAN15, durable=False, settings=settings)
    server.start()
    try:
        analyst = Analyst(server.dsn(DATABASE))
        observer = Observer(server.port, DATABASE, analyst)
        suite(observer, server.password, sys.argv[1:])
        observer.close()
    finally:
        server.stop()
    return report(analyst)


if __name__ == "__main__":
    sys.exit(main())
