"""What an admin sees first: what happened, what runs, what waits, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.models import Max
from django.urls import reverse

from controlplane.charts import line_chart
from controlplane.models import ApiKey, BundleVersion, Worker

PERIODS = {"24h": timedelta(hours=24), "7d": timedelta(days=7)}
ALIVE = timedelta(minutes=2)  # heartbeats come every ten seconds
ALARMING = timedelta(days=7)
_TOP = 8


@dataclass(frozen=True)
class Host:
    """A worker host as its processes tell. ``behind``: how many bundles behind the newest; None where one has none that is known."""

    worker: Worker
    processes: int
    sessions: int
    spool: int
    seen: datetime | None
    behind: int | None

    @property
    def silent(self) -> bool:
        return self.processes == 0


@dataclass(frozen=True)
class Alarm:
    text: str
    address: str


def dashboard(period: str, now: datetime) -> dict[str, Any]:
    """The context of the page; ``period`` is one of PERIODS."""
    from audit import services as audit  # the ledger's services use this app's models

    since = now - PERIODS[period]
    buckets = audit.activity(since, now)
    starts = [bucket.start for bucket in buckets]
    hosts = worker_hosts(now)
    statements = [
        ("statements", "all", [bucket.statements for bucket in buckets]),
        ("denied", "no", [bucket.denied for bucket in buckets]),
        ("held for approval", "ask", [bucket.held for bucket in buckets]),
    ]
    masked = [("masked cells", "mask", [bucket.masked_cells for bucket in buckets])]
    waiting = apps.get_model("approvals", "ApprovalRequest").objects.waiting(now)
    return {
        "period": period,
        "periods": list(PERIODS),
        "numbers": [
            ("statements", sum(bucket.statements for bucket in buckets)),
            ("denied", sum(bucket.denied for bucket in buckets)),
            ("approved by people", sum(bucket.approved for bucket in buckets)),
            ("masked cells", sum(bucket.masked_cells for bucket in buckets)),
            ("sessions now", sum(host.sessions for host in hosts)),
            ("entries in spools", sum(host.spool for host in hosts)),
        ],
        "charts": [line_chart("Statements by the hour", starts, statements), line_chart("Masked cells by the hour", starts, masked)],
        "hosts": hosts,
        "bundle": BundleVersion.objects.first(),
        "subjects": audit.top_subjects(since, now, limit=_TOP),
        "rules": audit.top_refusing_rules(since, now, limit=_TOP),
        "waiting": list(waiting.order_by("expires_at")[:5]),
        "waiting_count": waiting.count(),
        "alarms": list(_alarms(now, hosts)),
    }


def worker_hosts(now: datetime) -> list[Host]:
    workers = list(Worker.objects.active().prefetch_related("boots"))
    held = {boot.bundle_digest for worker in workers for boot in worker.boots.all()}
    serials = dict(BundleVersion.objects.filter(digest__in=held).values_list("digest", "serial"))
    newest = BundleVersion.objects.aggregate(newest=Max("serial"))["newest"] or 0
    return [_host(worker, now, serials, newest) for worker in workers]


def _host(worker: Worker, now: datetime, serials: dict[str, int], newest: int) -> Host:
    boots = list(worker.boots.all())
    alive = [boot for boot in boots if boot.seen_at > now - ALIVE]
    held = [serials.get(boot.bundle_digest) for boot in alive]
    return Host(
        worker=worker,
        processes=len(alive),
        sessions=sum(boot.sessions for boot in alive),
        spool=sum(boot.spool_entries for boot in alive),
        seen=max((boot.seen_at for boot in boots), default=None),
        behind=None if None in held else max((newest - serial for serial in held if serial is not None), default=0),
    )


def _alarms(now: datetime, hosts: list[Host]) -> list[Alarm]:
    boots, entries = apps.get_model("audit", "Boot").objects, apps.get_model("audit", "Entry").objects
    exports, deliveries = apps.get_model("audit", "Export").objects, apps.get_model("approvals", "Delivery").objects
    ending = ApiKey.objects.usable(now).filter(expires_at__lt=now + ALARMING, subject__enabled=True)
    found = [
        (
            boots.alarmed().count(),
            "chain of audit entries broken: a worker's batches are refused",
            f"{reverse('audit:entries')}?kind=worker.gap",
        ),
        (
            entries.alarms().filter(time__gte=now - ALARMING).count(),
            "refused batch of audit entries in the last week",
            f"{reverse('audit:entries')}?kind=worker.gap",
        ),
        (exports.filter(state="FAILED", created__gte=now - ALARMING).count(), "export failed in the last week", reverse("audit:exports")),
        (
            deliveries.filter(state="FAILED", request__requested_at__gte=now - ALARMING).count(),
            "notice to approvers given up",
            f"{reverse('admin:approvals_delivery_changelist')}?state__exact=FAILED",
        ),
        (
            sum(host.silent for host in hosts),
            "worker has not been heard of for two minutes",
            reverse("admin:controlplane_worker_changelist"),
        ),
        (ending.count(), "API key ends within a week", reverse("admin:controlplane_apikey_changelist")),
    ]
    return [Alarm(f"{count} × {text}", address) for count, text, address in found if count]


def period_of(asked: str | None) -> str:
    return asked if asked in PERIODS else "24h"
