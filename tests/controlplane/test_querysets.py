from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from controlplane.models import ApiKey, EnrolmentToken, Grant, Subject, Worker

pytestmark = pytest.mark.django_db


def test_usable_keys() -> None:
    now = timezone.now()
    subject = Subject.objects.create(name="bot")
    for number, (expires, revoked) in enumerate([(None, None), (now + timedelta(1), None), (now - timedelta(1), None), (None, now)]):
        ApiKey.objects.create(subject=subject, key_id=str(number), stored_key=b"", server_key=b"", expires_at=expires, revoked_at=revoked)
    assert sorted(ApiKey.objects.usable(now).values_list("key_id", flat=True)) == ["0", "1"]


def test_grants_that_are_not_over() -> None:
    now = timezone.now()
    kept = [Grant.objects.create(actions=["select"], valid_until=until).pk for until in (None, now + timedelta(1))]
    Grant.objects.create(actions=["select"], valid_until=now)
    future = Grant.objects.create(actions=["select"], valid_from=now + timedelta(1)).pk
    assert set(Grant.objects.not_over(now).values_list("pk", flat=True)) == {*kept, future}


def test_tokens_workers_and_subjects() -> None:
    now = timezone.now()
    EnrolmentToken.objects.create(name="good", digest="1", expires_at=now + timedelta(1))
    EnrolmentToken.objects.create(name="used", digest="2", expires_at=now + timedelta(1), used_at=now)
    EnrolmentToken.objects.create(name="old", digest="3", expires_at=now)
    assert [token.name for token in EnrolmentToken.objects.redeemable(now)] == ["good"]
    Worker.objects.create(name="on", public_key="1", sealing_key="")
    Worker.objects.create(name="off", public_key="2", sealing_key="", revoked_at=now)
    assert [worker.name for worker in Worker.objects.active()] == ["on"]
    Subject.objects.create(name="off", enabled=False)
    assert not Subject.objects.enabled().exists()
