"""Who sees which part of the ledger, and the searches that pages, REST and commands share."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from controlplane.models import User

STATEMENTS = "statement.intended"
ALARMS = ("worker.gap",)


def may_read(user: User) -> bool:
    """Auditors and admins read the ledger; nobody else does."""
    return bool(user.is_authenticated and user.is_active and (user.has_role("auditor") or user.has_role("admin")))


class LedgerQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        return self if may_read(user) else self.none()


class BootQuerySet(LedgerQuerySet):
    def alarmed(self) -> BootQuerySet:
        return self.exclude(alarm="")


class EntryQuerySet(LedgerQuerySet):
    def statements(self) -> EntryQuerySet:
        return self.filter(kind=STATEMENTS)

    def alarms(self) -> EntryQuerySet:
        return self.filter(kind__in=ALARMS)

    def sealed(self) -> EntryQuerySet:
        return self.filter(leaf_index__isnull=False)

    def unsealed(self) -> EntryQuerySet:
        return self.filter(leaf_index__isnull=True).order_by("id")

    def between(self, since: datetime | None, until: datetime | None) -> EntryQuerySet:
        """Entries made at or after ``since`` and before ``until``."""
        found = self if since is None else self.filter(time__gte=since)
        return found if until is None else found.filter(time__lt=until)


class CheckpointQuerySet(LedgerQuerySet):
    def latest_or_none(self):
        return self.order_by("-size").first()


class ExportQuerySet(LedgerQuerySet):
    pass
