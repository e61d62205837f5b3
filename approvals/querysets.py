"""Who sees which workflow and which request. Every page and endpoint starts from ``visible_to``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import BooleanField, DurationField, ExpressionWrapper, F, Q, Value

from approvals.states import State

if TYPE_CHECKING:
    from controlplane.models import User


def _names(user: User, users: str, groups: str) -> Q:
    """Those whose field ``users`` names this person, or whose field ``groups`` does."""
    return Q(**{users: user}) | Q(**{f"{groups}__user": user})


class WorkflowQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> WorkflowQuerySet:
        """Admins and auditors see all, approvers those they answer for, others none."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.has_role("admin") or user.has_role("auditor"):
            return self
        return self.filter(pk__in=self.model._default_manager.filter(_names(user, "approvers", "approver_groups")).values("pk"))


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

        Whom a request is escalated to sees it from then on. Being named is not enough: without the role approver nobody
        is shown statements.
        """
        if not user.has_role("approver"):
            return self.none()
        workflows = self.model._meta.get_field("workflow").related_model.objects
        asked = _names(user, "approvers", "approver_groups") | _names(user, "break_glass_users", "break_glass_groups")
        later = workflows.filter(_names(user, "escalate_users", "escalate_groups"))
        return self.filter(Q(workflow__in=workflows.filter(asked)) | Q(workflow__in=later, escalated_at__isnull=False))

    def waiting(self, now: datetime) -> RequestQuerySet:
        return self.filter(state=State.PENDING, expires_at__gt=now)

    def due(self, now: datetime) -> RequestQuerySet:
        """Open requests and unused approvals whose time is over."""
        return self.filter(state__in=[State.PENDING, State.APPROVED], expires_at__lte=now)

    def to_escalate(self, now: datetime) -> RequestQuerySet:
        """Requests that have waited for as long as their workflow lets them before more people are asked."""
        patience = ExpressionWrapper(F("workflow__escalate_after") * timedelta(seconds=1), output_field=DurationField())
        waiting = self.waiting(now).filter(escalated_at__isnull=True, workflow__escalate_after__isnull=False)
        return waiting.filter(requested_at__lte=Value(now) - patience)

    def like(self, *, subject: str, connection: str, normalised: str) -> RequestQuerySet:
        """What this subject asked for before that differs in values only."""
        return self.filter(subject=subject, connection=connection, normalised=normalised).exclude(normalised="")

    def for_statement(self, *, binding: str, subject: str, connection: str, workflow: str) -> RequestQuerySet:
        """Requests that cover exactly this statement of this subject on this connection, oldest first; of another workflow none does."""
        found = self.filter(binding=binding, subject=subject, connection=connection, workflow_name=workflow)
        return found.order_by("requested_at", "id")


class _OfRequests(models.QuerySet):
    """What belongs to a request is seen by those who see the request."""

    def visible_to(self, user: User) -> _OfRequests:
        requests = self.model._meta.get_field("request").related_model.objects.visible_to(user)
        return self.filter(request__in=requests)


class BreakGlassQuerySet(_OfRequests):
    def unreviewed(self) -> BreakGlassQuerySet:
        return self.filter(reviewed_at__isnull=True)


class ShapeQuerySet(_OfRequests):
    def in_force(self, now: datetime) -> ShapeQuerySet:
        """Those that still let something through: a workflow that no longer allows them ends them."""
        return self.filter(_in_force(now))

    def with_standing(self, now: datetime) -> ShapeQuerySet:
        """All of them, each with ``active``: whether it is in force."""
        return self.annotate(active=ExpressionWrapper(_in_force(now), output_field=BooleanField()))


def _in_force(now: datetime) -> Q:
    return Q(expires_at__gt=now, revoked_at__isnull=True, uses__lt=F("limit"), workflow__shapes=True)
