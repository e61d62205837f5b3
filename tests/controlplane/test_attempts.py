"""The limit itself; how sign-in uses it is in test_sign_in.py."""

from __future__ import annotations

import pytest

from controlplane import attempts
from controlplane.models import SignInAttempt

pytestmark = pytest.mark.django_db


def test_what_is_forgotten_does_not_count() -> None:
    for _ in range(3 * attempts.PER_ACCOUNT_AND_ADDRESS):
        assert attempts.begin("dana", "10.0.0.1")
        attempts.forget("dana", "10.0.0.1")
    assert not SignInAttempt.objects.exists()


def test_one_too_many_leaves_no_trace() -> None:
    answers = [attempts.begin("dana", "10.0.0.1") for _ in range(attempts.PER_ACCOUNT_AND_ADDRESS + 5)]
    assert answers == [True] * attempts.PER_ACCOUNT_AND_ADDRESS + [False] * 5
    assert SignInAttempt.objects.count() == attempts.PER_ACCOUNT_AND_ADDRESS
    assert attempts.begin("dana", "10.0.0.2")
    assert attempts.begin("dora", "10.0.0.1")
