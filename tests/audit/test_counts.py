"""How much happened when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from audit import services
from audit.counts import DAY, HOUR

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


@pytest.fixture
def three_hours(process):
    process.ship(process.session("SELECT 1", "SELECT 2", time_us=at(NOON), masked_cells=5))
    process.ship(
        process.session(
            "DROP TABLE t", time_us=at(NOON + timedelta(hours=2, minutes=59)), decision="deny", outcome="refused", rules=["no ddl", "x"]
        )
    )
    process.ship(
        process.session(
            "DROP TABLE u", time_us=at(NOON + timedelta(hours=26)), decision="deny", subject="b", connection="erp", rules=["no ddl"]
        )
    )
    process.ship(process.session("DELETE FROM t", time_us=at(NOON), decision="approve", outcome="error"))


def test_hours(three_hours):
    found = services.activity(NOON, NOON + timedelta(hours=3), bucket=HOUR)
    assert [(b.start, b.statements, b.denied, b.held, b.failed, b.rows, b.masked_cells) for b in found] == [
        (NOON, 3, 0, 1, 1, 9, 10), (NOON + timedelta(hours=1), 0, 0, 0, 0, 0, 0), (NOON + timedelta(hours=2), 1, 1, 0, 0, 3, 0)
    ]  # fmt: skip


def test_days(three_hours):
    found = services.activity(NOON, NOON + timedelta(days=2), bucket=DAY)
    assert [(b.start.day, b.statements, b.denied) for b in found] == [(1, 4, 1), (2, 1, 1), (3, 0, 0)]
    assert [b.statements for b in services.activity(NOON, NOON + timedelta(days=1), bucket=DAY, connection="erp")] == [0, 1]
    assert [b.statements for b in services.activity(NOON, NOON + timedelta(days=1), bucket=DAY, subject="support-bot")] == [4, 0]


def test_no_time_no_buckets(three_hours):
    assert services.activity(NOON, NOON - timedelta(hours=1)) == []


def test_approvals_are_counted_where_they_were_asked_and_answered():
    now = datetime.now(UTC)
    for kind, request in (("requested", "a"), ("requested", "b"), ("approved", "a"), ("consumed", "a"), ("rejected", "b")):
        services.record(
            f"approval.{kind}", {"request": request, "by": "dana", "subject": "bot", "connection": "crm", "binding": "ab", "comment": ""}
        )
    found = services.activity(now - timedelta(hours=1), now + timedelta(hours=1))
    assert [sum(getattr(b, name) for b in found) for name in ("requests", "approved", "rejected")] == [2, 1, 1]


def test_the_top(three_hours):
    span = (NOON, NOON + timedelta(days=3))
    assert services.top_subjects(*span) == [
        {"subject": "support-bot", "statements": 4, "denied": 1, "masked_cells": 10},
        {"subject": "b", "statements": 1, "denied": 1, "masked_cells": 0},
    ]  # fmt: skip
    assert services.top_refusing_rules(*span) == [("no ddl", 2), ("x", 1)]
    assert services.top_refusing_rules(*span, limit=1) == [("no ddl", 2)]
    assert services.top_refusing_rules(NOON - timedelta(days=1), NOON) == []
