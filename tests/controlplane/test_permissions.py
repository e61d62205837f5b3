from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.test import APIRequestFactory

from controlplane.models import User, Worker
from controlplane.permissions import AdminWritesAuditorReads, IsWorker


def asked(method: str, user: object):
    request = getattr(APIRequestFactory(), method)("/")
    request.user = user
    return request


@pytest.mark.parametrize(
    ("user", "reads", "writes"),
    [
        (User(is_superuser=True), True, True),
        (User(is_auditor=True), True, False),
        (User(is_approver=True), False, False),
        (User(), False, False),
        (User(is_superuser=True, is_active=False), False, False),
        (AnonymousUser(), False, False),
        (Worker(), False, False),
    ],
)
def test_admins_write_auditors_read(user: object, reads: bool, writes: bool) -> None:
    permission = AdminWritesAuditorReads()
    assert permission.has_permission(asked("get", user), None) is reads
    assert permission.has_permission(asked("post", user), None) is writes
    assert permission.has_permission(asked("delete", user), None) is writes


def test_only_workers_are_workers() -> None:
    assert IsWorker().has_permission(asked("get", Worker()), None)
    assert not IsWorker().has_permission(asked("get", User(is_superuser=True)), None)
