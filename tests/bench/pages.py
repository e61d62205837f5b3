"""How long each of the auditor's pages takes the server with a million statements in the ledger: `make bench-pages`.

The ledger is filled once into the directory given by BENCH_DIR (minutes), then every address is asked for a few times and the slowest
answer counts. Fails where one takes 300 ms or more.
"""

import os
import sys
import time
from collections.abc import Iterator
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
            TIDEGATE_DATABASE_URL=server.url("bench"),
            TIDEGATE_BROKER_URL="redis://127.0.0.1:1/0",
            TIDEGATE_PUBLIC_URL="http://localhost:8000",
            TIDEGATE_ALLOWED_HOSTS="testserver",
            DJANGO_SETTINGS_MODULE="controlplane.settings",
            TIDEGATE_LOG_LEVEL="WARNING",
            TIDEGATE_EMAIL_URL=f"file://{DIRECTORY}",
        )
        import django

        django.setup()
        return _run()
    finally:
        server.stop()


def _run() -> int:
    from django.core.management import call_command
    from django.db import connection

    from audit import sealing
    from audit.models import Statement
    from tests.bench import seeding

    call_command("migrate", verbosity=0)
    if not Statement.objects.exists():
        started, told = time.monotonic(), 0
        for done in seeding.seed(STATEMENTS, seeding.now()):
            if done >= told + 50_000:
                told = done
                print(f"{done} statements, {done / (time.monotonic() - started):.0f} a second", flush=True)
        sealing.seal()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    slow = [what for what, seconds, queries in (*_measured(), *_counted()) if _tell(what, seconds, queries) >= LIMIT]
    print(f"{len(slow)} pages are too slow" if slow else f"every page takes less than {LIMIT * 1000:.0f} ms")
    return len(slow)


def _tell(address: str, seconds: float, queries: int) -> float:
    print(f"{'!' if seconds >= LIMIT else ' '} {seconds * 1000:7.1f} ms  {queries:2} queries  {address}", flush=True)
    return seconds


def _measured() -> Iterator[tuple[str, float, int]]:
    """Each address with the slowest of three answers (behind a first one that fills caches) and its number of queries."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from controlplane.models import User

    user, _ = User.objects.get_or_create(username="auditor", defaults={"is_auditor": True})
    client = Client()
    client.force_login(user)
    only = os.environ.get("ONLY", "")
    for address in (address for address in _addresses() if only in address):
        client.get(address)
        took = []
        for _ in range(3):
            with CaptureQueriesContext(connection) as queries:
                started = time.perf_counter()
                answer = client.get(address)
                took.append(time.perf_counter() - started)
            assert answer.status_code == 200, (address, answer.status_code)
        yield address, max(took), len(queries)
        if os.environ.get("EXPLAIN"):
            for query in queries:
                print(f"      {float(query['time']) * 1000:7.1f} ms  {query['sql'][:1500]}")


def _counted() -> Iterator[tuple[str, float, int]]:
    """The same of what the dashboard asks of the whole month."""
    from datetime import timedelta

    from audit import services
    from tests.bench import seeding

    until = seeding.now()
    since = until - timedelta(days=seeding.DAYS)
    for name, ask in (
        ("activity by the hour", lambda: services.activity(since, until)),
        ("activity by the day", lambda: services.activity(since, until, bucket="day")),
        ("top subjects", lambda: services.top_subjects(since, until)),
        ("top refusing rules", lambda: services.top_refusing_rules(since, until)),
    ):
        took = []
        for _ in range(4):
            started = time.perf_counter()
            assert ask()
            took.append(time.perf_counter() - started)
        yield name, max(took[1:]), 1


def _addresses() -> Iterator[str]:
    from audit.models import Entry, Session, Statement

    first, last = Statement.objects.order_by("time")[0], Statement.objects.order_by("-time")[0]
    middle = Statement.objects.filter(time__gt=first.time + (last.time - first.time) / 2).order_by("time")[0]
    longest = Session.objects.order_by("-statements")[0]
    far = f"before={int(middle.time.timestamp() * 1_000_000)}.{middle.pk}"
    held = Statement.objects.exclude(approval="").order_by("time")[100]
    texts = (
        "q=quetzalcoatl",
        "q=select",
        "q=nothing-like-it",
        "q=customers+orders",
        "q=crm.orders",
        "q=user4*",
        "q=%22WHERE+id+%3D+4711%22",
        "q=-select",
        "q=drop",
        "q=pg_read_file",
        "q=select&decision=deny",
        "q=orders&subject=etl-bot-3",
        f"q=customers&{far}",
        "q=archive&connection=crm",
    )
    narrowed = (
        "",
        far,
        f"after={far[7:]}",
        "subject=etl-bot-3",
        "subject=nobody",
        "connection=crm",
        "connection=crm&subject=etl-bot-3",
        "action=drop",
        "action=select",
        "table=orders",
        "table=people&connection=hr",
        "column=ssn",
        "column=hr.people.salary&decision=deny",
        "decision=deny",
        "decision=approve",
        "outcome=error",
        "outcome=lost",
        "outcome=none",
        "outcome=held&subject=etl-bot-1",
        "masked=yes",
        "masked=no",
        "masked=yes&subject=etl-bot-3",
        "rule=no+drop",
        f"since={middle.time:%Y-%m-%dT%H:%M}&until={middle.time:%Y-%m-%dT%H:59}",
        f"until={first.time:%Y-%m-%dT%H:%M}&action=drop",
        f"session={longest.session}",
        "table=orders&masked=yes",
        f"decision=deny&{far}",
        "decision=allow&outcome=refused",
        "action=delete&outcome=ok&decision=approve",
    )
    for query in (*texts, *narrowed):
        yield f"/audit/?{query}"
    for statement in (first, middle, last, held):
        yield f"/audit/statements/{statement.pk}/"
    opened = f"before={int(middle.time.timestamp() * 1_000_000)}.{longest.pk}"
    for query in (
        "",
        opened,
        "subject=etl-bot-3",
        "connection=crm",
        "client=10.3.4",
        "client=10.",
        "client=9",
        "run=run-77",
        "run=none",
        "state=open",
        "state=closed",
        "application=psycopg",
        "application=none",
        "application=psycopg&subject=etl-bot-3",
        "subject=nobody",
    ):
        yield f"/audit/sessions/?{query}"
    yield f"/audit/sessions/{longest.session}/"
    yield f"/audit/sessions/{held.session}/"
    for query in (
        "",
        f"kind=statement.completed&{far}",
        "kind=session.opened",
        "kind=worker.gap",
        "kind=export.made",
        "subject=etl-bot-3",
        "decision=deny",
        f"session={longest.session}",
        "connection=crm&kind=statement.intended",
    ):
        yield f"/audit/entries/?{query}"
    yield f"/audit/entries/{Entry.objects.filter(statement=middle.statement)[0].pk}/"
    yield from ("/audit/reports/", "/audit/exports/")
    for kind, query in (
        ("access", ""),
        ("access", "subject=etl-bot-3&period=7d"),
        ("access", "table=people"),
        ("column", "column=ssn"),
        ("column", "column=ssn&masked=no"),
        ("column", "column=none"),
        ("refusals", ""),
        ("refusals", "subject=etl-bot-3"),
        ("refusals", "rule=no+drop&period=24h"),
        ("approvals", ""),
        ("approvals", "subject=etl-bot-1&period=30d"),
        ("changes", ""),
    ):
        yield f"/audit/reports/{kind}/?{query}"
    for path in (
        "statements/?q=quetzalcoatl",
        "statements/?subject=etl-bot-3",
        f"statements/{middle.pk}/",
        "sessions/",
        "entries/?kind=statement.completed",
        "reports/access/?subject=etl-bot-3",
        "reports/approvals/",
        "exports/",
        "saved-reports/",
        "checkpoints/latest",
    ):
        yield f"/api/v1/audit/{path}"


if __name__ == "__main__":
    sys.exit(min(main(), 1))
