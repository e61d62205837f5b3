"""What is missing from the ledger: holes in chains, refused batches, boots that never said goodbye, statements without an end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef

from audit.models import Boot, Entry

SILENT = timedelta(minutes=5)  # a boot that was not heard of for so long has probably died
OPEN_ENDED = timedelta(minutes=5)  # a statement may take its time


@dataclass(frozen=True, slots=True)
class Gap:
    """``kind``: ``hole`` and ``alarm`` mean lost or refused evidence; ``open boot`` and ``open statement`` may be innocent."""

    kind: str
    where: str
    what: str

    @property
    def serious(self) -> bool:
        return self.kind in ("hole", "alarm")


def find(now: datetime) -> list[Gap]:
    return [*_holes(), *_alarms(), *_open_boots(now), *_open_statements(now)]


def _holes() -> list[Gap]:
    """Sequence numbers that a boot's chain must have and the table has not; none, unless rows were removed by force."""
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT boot.worker || '/' || boot.id, before.seq + 1, before.next - 1 FROM audit_boot AS boot JOIN (
                SELECT boot_id, seq, lead(seq) OVER (PARTITION BY boot_id ORDER BY seq) AS next FROM (
                    SELECT boot_id, seq FROM audit_entry
                    UNION ALL SELECT id, 0 FROM audit_boot
                    UNION ALL SELECT id, last_seq + 1 FROM audit_boot
                ) AS numbers
            ) AS before ON before.boot_id = boot.id
            WHERE before.next > before.seq + 1 ORDER BY 1, 2
        """)
        return [Gap("hole", where, f"entries {first} to {last} are missing") for where, first, last in cursor.fetchall()]


def _alarms() -> list[Gap]:
    return [Gap("alarm", str(boot), f"its last batch was refused: {boot.alarm}") for boot in Boot.objects.alarmed()]


def _open_boots(now: datetime) -> list[Gap]:
    silent = Boot.objects.filter(closed_at=None, last_seen__lt=now - SILENT).exclude(worker="control")
    return [Gap("open boot", str(boot), f"last heard of {boot.last_seen:%Y-%m-%d %H:%M:%SZ}, never stopped") for boot in silent]


def _open_statements(now: datetime) -> list[Gap]:
    completed = Entry.objects.filter(kind="statement.completed", statement=OuterRef("statement"))
    intended = Entry.objects.statements().filter(~Exists(completed), time__lt=now - OPEN_ENDED).order_by("time")
    return [
        Gap("open statement", f"session {row.session}", f"{row.statement} of {row.subject} on {row.connection} has no completion")
        for row in intended[:1000]
    ]
