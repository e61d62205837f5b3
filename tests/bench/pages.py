"""How long each of the auditor's pages takes the server with a million statements in the ledger: `make bench-pages`.

The ledger is filled once into the directory given by BENCH_DIR (minutes), then every address is asked for a few times and the slowest
answer counts. Fails where one takes 300 ms or more.
"""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from controlplane.stack import secrets as stack_secrets  # noqa: E402
from controlplane.stack.postgres import Postgres  # noqa: E402

STATEMENTS = int(os.environ.get("BENCH_STATEMENTS", "1000000"))
DIRECTORY = Path(os.environ.get("BENCH_DIR", ROOT / "build" / "bench-pages"))
LIMIT = 0.3  # seconds


def main() -> int:
    server = Postgres(DIRECTORY / "control", durable=False)
    server.start()
    try:
        server.ensure_database("bench")
        os.environ.update(stack_secrets.generate())
        os.environ.update(
            TIDEGATE_DATABASE_URL=server.url("bench"), TIDEGATE_BROKER_URL="redis://127.0.0.1:1/0", TIDEGATE_PUBLIC_URL="http://localhost:8000",
            TIDEGATE_ALLOWED_HOSTS="testserver", DJANGO_SETTINGS_MODULE="controlplane.settings", TIDEGATE_LOG_LEVEL="WARNING",
            TIDEGATE_EMAIL_URL=f"file://{DIRECTORY}",
        )  # fmt: skip
        import django

        django.setup()
        return _run()
    finally:
        server.stop()


def _run() -> int:
    from django.core.management import call_command
    from django.db import connection

    from audit.models import Statement
    from tests.bench import seeding

    call_command("migrate", verbosity=0)
    if not Statement.objects.exists():
        started, told = time.monotonic(), 0
        for done in seeding.seed(STATEMENTS, seeding.now()):
            if done >= told + 50_000:
                told = done
                print(f"{done} statements, {done / (time.monotonic() - started):.0f} a second", flush=True)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    return 0


if __name__ == "__main__":
    sys.exit(main())
