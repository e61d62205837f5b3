"""How much happened when, from the sums by the hour: fast however many statements there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Trunc

from audit.projected import Activity, ApprovalEvent, Refusals

HOUR, DAY = "hour", "day"
_STEPS = {HOUR: timedelta(hours=1), DAY: timedelta(days=1)}


@dataclass(slots=True)
class Bucket:
    """What happened in the hour or day (UTC) that begins at ``start``. Numbers of statements, unless the name says otherwise."""

    start: datetime
    statements: int = 0
    denied: int = 0
    held: int = 0
    failed: int = 0
    rows: int = 0
    masked_cells: int = 0
    requests: int = 0  # approval requests that were opened …
    approved: int = 0  # … and votes that ended them
    rejected: int = 0


def activity(since: datetime, until: datetime, *, bucket: str = HOUR, subject: str = "", connection: str = "") -> list[Bucket]:
    """Buckets of an ``hour`` or a ``day`` without holes, the oldest first; the first and the last are whole ones."""
    buckets = {start: Bucket(start) for start in _starts(since, until, bucket)}
    if not buckets:
        return []
    first, last = min(buckets), max(buckets) + _STEPS[bucket]
    for found in _sums(first, last, bucket, subject, connection):
        at = buckets[found["start"]]
        at.statements += found["statements_sum"]
        at.denied += found["statements_sum"] if found["decision"] == "deny" else 0
        at.held += found["statements_sum"] if found["decision"] == "approve" else 0
        at.failed += found["failed_sum"]
        at.rows += found["rows_sum"]
        at.masked_cells += found["masked_sum"]
    for start, event, count in _approvals(first, last, bucket, subject, connection):
        name = {"requested": "requests"}.get(event, event)
        setattr(buckets[start], name, getattr(buckets[start], name) + count)
    return list(buckets.values())


def top_subjects(since: datetime, until: datetime, *, limit: int = 10) -> list[dict[str, Any]]:
    """Who asked most: ``subject``, ``statements``, ``denied``, ``masked_cells``."""
    found = _within(since, until).values("subject").annotate(
        asked=Sum("statements"), refused=Sum("statements", filter=Q(decision="deny"), default=0), masked=Sum("masked_cells")
    )  # fmt: skip
    return [
        {"subject": row["subject"], "statements": row["asked"], "denied": row["refused"], "masked_cells": row["masked"]}
        for row in found.order_by("-asked", "subject")[:limit]
    ]


def top_refusing_rules(since: datetime, until: datetime, *, limit: int = 10) -> list[tuple[str, int]]:
    """(rule, how many statements it refused), the most first. What no rule refused (no grant, say) is not here."""
    found = Refusals.objects.filter(hour__gte=_hour(since), hour__lt=until).values_list("rule").annotate(refused=Sum("statements"))
    return list(found.order_by("-refused", "rule")[:limit])


def _starts(since: datetime, until: datetime, bucket: str) -> Iterator[datetime]:
    start = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    start = start.replace(hour=0) if bucket == DAY else start
    while start < until:
        yield start
        start += _STEPS[bucket]


def _hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _within(since: datetime, until: datetime) -> QuerySet:
    return Activity.objects.filter(hour__gte=_hour(since), hour__lt=until)


def _sums(first: datetime, last: datetime, bucket: str, subject: str, on: str) -> QuerySet:
    found = _of(_within(first, last), subject, on).annotate(start=Trunc("hour", bucket, tzinfo=UTC)).values("start", "decision")
    return found.order_by().annotate(
        statements_sum=Sum("statements"), failed_sum=Sum("failed"), rows_sum=Sum("rows"), masked_sum=Sum("masked_cells")
    )  # fmt: skip


def _approvals(first: datetime, last: datetime, bucket: str, subject: str, on: str) -> QuerySet:
    found = _of(ApprovalEvent.objects.filter(event__in=("requested", "approved", "rejected"), time__gte=first, time__lt=last), subject, on)
    counted = found.annotate(start=Trunc("time", bucket, tzinfo=UTC)).values("start", "event").order_by().annotate(times=Count("pk"))
    return counted.values_list("start", "event", "times")


def _of(found: QuerySet, subject: str, on: str) -> QuerySet:
    wanted = {"subject": subject, "connection": on}
    return found.filter(**{name: value for name, value in wanted.items() if value})
