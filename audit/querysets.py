"""Who sees which part of the ledger, and the searches that pages, REST and commands share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Q

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

    def selected(self, selection: Mapping[str, Any]) -> EntryQuerySet:
        """What an export or a search selects: ``since``, ``until``, ``subject``, ``connection``, ``session``, all optional.

        Entries that name only a session (completions, the session's end) belong to its subject and connection too.
        """
        found = self.between(selection.get("since"), selection.get("until"))
        for name in ("subject", "connection"):
            if selection.get(name):
                sessions = self.model._default_manager.filter(**{name: selection[name]}).exclude(session="").values("session")
                found = found.filter(Q(**{name: selection[name]}) | Q(session__in=sessions))
        return found.filter(session=selection["session"]) if selection.get("session") else found


class StatementQuerySet(LedgerQuerySet):
    def between(self, since: datetime | None, until: datetime | None) -> StatementQuerySet:
        found = self if since is None else self.filter(time__gte=since)
        return found if until is None else found.filter(time__lt=until)


class SessionQuerySet(LedgerQuerySet):
    pass


class ApprovalEventQuerySet(LedgerQuerySet):
    pass


class CheckpointQuerySet(LedgerQuerySet):
    def latest_or_none(self):
        return self.order_by("-size").first()


class ExportQuerySet(LedgerQuerySet):
    pass
