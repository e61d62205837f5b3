"""Who sees which workflow and which request. Every page and endpoint starts from ``visible_to``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from approvals.states import State

if TYPE_CHECKING:
    from controlplane.models import User


def _names(user: User, prefix: str = "") -> Q:
    """Workflows (reached through ``prefix``) in which this person may answer: named themselves or by a group."""
    return Q(**{f"{prefix}approvers": user}) | Q(**{f"{prefix}approver_groups__user": user})


class WorkflowQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> WorkflowQuerySet:
        """Admins and auditors see all, approvers those they answer for, others none."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.has_role("admin") or user.has_role("auditor"):
            return self
        return self.filter(pk__in=self.model._default_manager.filter(_names(user)).values("pk"))


class RequestQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> RequestQuerySet:
        """Admins and auditors see all, approvers those of their workflows, others none."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.has_role("admin") or user.has_role("auditor"):
            return self
        return self.of_approver(user)

    def of_approver(self, user: User) -> RequestQuerySet:
        """Requests of the workflows that name this person (whether or not they asked for it themselves).

        Being named is not enough: without the role approver nobody is shown statements.
        """
        if not user.has_role("approver"):
            return self.none()
        mine = self.model._default_manager.filter(_names(user, "workflow__")).values("pk")
        return self.filter(pk__in=mine)

    def waiting(self, now: datetime) -> RequestQuerySet:
        return self.filter(state=State.PENDING, expires_at__gt=now)

    def due(self, now: datetime) -> RequestQuerySet:
        """Open requests and unused approvals whose time is over."""
        return self.filter(state__in=[State.PENDING, State.APPROVED], expires_at__lte=now)

    def for_statement(self, *, binding: str, subject: str, connection: str) -> RequestQuerySet:
        """Requests that cover exactly this statement of this subject on this connection, oldest first."""
        return self.filter(binding=binding, subject=subject, connection=connection).order_by("requested_at", "id")
