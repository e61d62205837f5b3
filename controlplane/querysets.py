"""Reads, by what is asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import UserManager
from django.db.models import Exists, OuterRef, Q, QuerySet


class UserQuerySet(QuerySet[Any]):
    def approvers(self) -> UserQuerySet:
        """People who may decide at all: active, with the role and an address."""
        return self.filter(is_active=True, is_approver=True).exclude(email="")


class Users(UserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    pass


class Subjects(QuerySet[Any]):
    def enabled(self) -> Subjects:
        return self.filter(enabled=True)


class ApiKeys(QuerySet[Any]):
    def usable(self, now: datetime) -> ApiKeys:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)


class Grants(QuerySet[Any]):
    def not_over(self, now: datetime) -> Grants:
        """Those that apply now or will."""
        return self.filter(Q(valid_until=None) | Q(valid_until__gt=now))


class EnrolmentTokens(QuerySet[Any]):
    def redeemable(self, now: datetime) -> EnrolmentTokens:
        return self.filter(used_at=None, expires_at__gt=now)


class Workers(QuerySet[Any]):
    def active(self) -> Workers:
        return self.filter(revoked_at=None)

    def seen_since(self, when: datetime) -> Workers:
        boots = self.model._meta.get_field("boots").related_model
        return self.active().filter(Exists(boots.objects.filter(worker=OuterRef("pk"), seen_at__gte=when)))
