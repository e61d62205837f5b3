from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from controlplane import idempotency, tasks
from controlplane.models import IdempotentAnswer, User


@pytest.mark.django_db
def test_what_is_over_is_forgotten() -> None:
    now, user = timezone.now(), User.objects.create(username="dana")
    for name, ends in (("over", now - timedelta(hours=1)), ("on", now + timedelta(hours=1))):
        Session.objects.create(session_key=name, session_data="", expire_date=ends)
        IdempotentAnswer.objects.create(user=user, key=name, request="", at=ends - idempotency.KEPT)
    tasks.forget()
    assert [session.session_key for session in Session.objects.all()] == ["on"]
    assert [answer.key for answer in IdempotentAnswer.objects.all()] == ["on"]
