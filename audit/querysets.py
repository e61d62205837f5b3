"""Who sees which part of the ledger, and the searches that pages, REST and commands share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Left

if TYPE_CHECKING:
    from controlplane.models import User

STATEMENTS = "statement.intended"
CHANGES = "admin.changed"
ALARMS = ("worker.gap",)


def may_read(user: User) -> bool:
    """Auditors and admins read the ledger; nobody else does."""
    return bool(user.is_authenticated and user.is_active and (user.has_role("auditor") or user.has_role("admin")))


def may_look(user: User) -> bool:
    """Who answers for a subject sees what it did, and nothing else of the ledger."""
    return may_read(user) or bool(user.is_authenticated and user.is_active and user.owned_subjects.exists())


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

    def about_statement(self, statement: str) -> EntryQuerySet:
        """A statement's entries, and those of the approval that it was held for."""
        same = self.model._default_manager.filter(statement=statement)
        requests = list(same.exclude(projected__approval="").values_list("projected__approval", flat=True).exclude(projected=None))
        steps = self.model._default_manager.filter(approval_step__request__in=requests).values_list("pk", flat=True)
        return self.filter(Q(statement=statement) | Q(pk__in=list(steps))) if requests else self.filter(statement=statement)

    def selected(self, selection: Mapping[str, Any]) -> EntryQuerySet:
        """What an export or a search selects: ``since``, ``until``, ``subject``, ``connection``, ``session``,
        ``statement``, all optional.

        Entries that name only a session (completions, the session's end) belong to its subject and connection too.
        """
        found = self.between(selection.get("since"), selection.get("until"))
        if selection.get("statement"):
            found = found.about_statement(selection["statement"])
        for name in ("subject", "connection"):
            if selection.get(name):
                sessions = self.model._default_manager.filter(**{name: selection[name]}).exclude(session="").values("session")
                found = found.filter(Q(**{name: selection[name]}) | Q(session__in=sessions))
        return found.filter(session=selection["session"]) if selection.get("session") else found


class OwnQuerySet(models.QuerySet):
    """Rows that name a subject: readers of the ledger see all, a subject's owner those of that subject."""

    def visible_to(self, user: User) -> Self:
        if may_read(user):
            return self
        return self.filter(subject__in=list(user.owned_subjects.values_list("name", flat=True))) if may_look(user) else self.none()


class StatementQuerySet(OwnQuerySet):
    def between(self, since: datetime | None, until: datetime | None) -> StatementQuerySet:
        found = self if since is None else self.filter(time__gte=since)
        return found if until is None else found.filter(time__lt=until)

    def listed(self) -> StatementQuerySet:
        """Without what lists do not show: texts may have megabytes."""
        return self.defer("sql", "words").annotate(beginning=Left("sql", 400))


class SessionQuerySet(OwnQuerySet):
    pass


class ApprovalEventQuerySet(OwnQuerySet):
    pass


class CheckpointQuerySet(LedgerQuerySet):
    def latest_or_none(self):
        return self.order_by("-size").first()


class ExportQuerySet(LedgerQuerySet):
    pass


class SavedReportQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """A person's own, and those that others share."""
        return self.filter(Q(owner=user) | Q(shared=True)) if may_read(user) else self.none()

    def changeable_by(self, user: User) -> Self:
        return self.filter(owner=user) if may_read(user) else self.none()
