"""Reads, by what is asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet


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
