"""Passwords cannot be guessed, and whoever guesses locks nobody out from elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from controlplane import sign_in
from controlplane.models import SignInAttempt, User

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def dana() -> User:
    return User.objects.create_user("dana", password=PASSWORD)


def attempt(password: str, *, address: str = "10.0.0.1", username: str = "dana") -> int:
    return Client(REMOTE_ADDR=address).post("/login", {"username": username, "password": password}).status_code


def test_after_ten_failures_even_the_right_password_waits(dana: User) -> None:
    assert [attempt(f"wrong {number}") for number in range(10)] == [200] * 10
    answer = Client(REMOTE_ADDR="10.0.0.1").post("/login", {"username": "Dana", "password": PASSWORD})
    assert answer.status_code == 429
    assert "Too many failed attempts" in answer.content.decode()
    assert attempt(PASSWORD, address="10.0.0.2") == 302  # the person, from elsewhere


def test_the_limit_ends_and_hammering_does_not_prolong_it(dana: User) -> None:
    for number in range(15):
        attempt(f"wrong {number}")
    assert SignInAttempt.objects.count() == 10
    SignInAttempt.objects.update(at=timezone.now() - sign_in.WINDOW - timedelta(seconds=1))
    assert attempt(PASSWORD) == 302
    assert not SignInAttempt.objects.exists()


def test_a_success_forgets_what_failed_before(dana: User) -> None:
    for _ in range(2):
        for number in range(9):
            assert attempt(f"wrong {number}") == 200
        assert attempt(PASSWORD) == 302


def test_one_account_from_many_addresses_and_many_accounts_from_one(dana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "PER_ACCOUNT", 3)
    monkeypatch.setattr(sign_in, "PER_ADDRESS", 5)
    assert [attempt("wrong", address=f"10.0.1.{number}") for number in range(4)] == [200, 200, 200, 429]
    assert [attempt("wrong", username=f"u{number}", address="10.0.2.1") for number in range(6)] == [200] * 5 + [429]


def test_a_form_without_a_password_counts_for_nothing() -> None:
    assert attempt("") == 200
    assert attempt("x", username="a\0b") == 200
    assert not SignInAttempt.objects.exists()
