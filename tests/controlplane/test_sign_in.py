"""Signing in with a password, and out. Passwords cannot be guessed, and whoever guesses locks nobody out from elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audit.models import Entry
from controlplane import attempts, sessions
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
    SignInAttempt.objects.update(at=timezone.now() - attempts.WINDOW - timedelta(seconds=1))
    assert attempt(PASSWORD) == 302
    assert not SignInAttempt.objects.exists()


def test_a_success_forgets_what_failed_before(dana: User) -> None:
    for _ in range(2):
        for number in range(9):
            assert attempt(f"wrong {number}") == 200
        assert attempt(PASSWORD) == 302


def test_one_account_from_many_addresses_and_many_accounts_from_one(dana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PER_ACCOUNT", 3)
    monkeypatch.setattr(attempts, "PER_ADDRESS", 5)
    assert [attempt("wrong", address=f"10.0.1.{number}") for number in range(4)] == [200, 200, 200, 429]
    assert [attempt("wrong", username=f"u{number}", address="10.0.2.1") for number in range(6)] == [200] * 5 + [429]


def test_a_form_without_a_password_counts_for_nothing() -> None:
    assert attempt("") == 200
    assert attempt("x", username="a\0b") == 200
    assert not SignInAttempt.objects.exists()


def test_the_ledger_hears_of_sign_ins_and_never_of_what_was_typed(dana: User) -> None:
    client = Client(REMOTE_ADDR="10.0.0.1")
    client.post("/login", {"username": "my-password", "password": "typed in the wrong field"})
    client.post("/login", {"username": "dana", "password": PASSWORD})
    client.post("/logout")
    entries = list(Entry.objects.filter(kind__startswith="admin.sign").order_by("id"))
    assert [entry.kind for entry in entries] == ["admin.sign_in_failed", "admin.signed_in", "admin.signed_out"]
    assert "my-password" not in entries[0].canonical  # a commitment only
    assert '"address":"10.0.0.1"' in entries[1].canonical
    assert not any(PASSWORD in entry.canonical + entry.disclosures for entry in entries)


def test_passwords_may_be_the_admins_way_only(dana: User, settings: Any) -> None:
    settings.TIDEGATE_LOCAL_SIGN_IN = "admins"
    User.objects.create_user("root", password=PASSWORD, is_superuser=True)
    right, wrong = (Client().post("/login", {"username": "dana", "password": text}) for text in (PASSWORD, "wrong"))
    assert right.context["form"].non_field_errors() == wrong.context["form"].non_field_errors()
    assert attempt(PASSWORD, username="root") == 302


def test_a_password_given_again_makes_the_session_fresh(dana: User) -> None:
    client = Client()
    client.post("/login", {"username": "dana", "password": PASSWORD})
    session = client.session
    session[sessions.PROVED] -= 1000
    session.save()
    asked = client.get("/confirm?next=/account")
    assert asked.context["next"] == "/account"
    assert client.post("/confirm", {"password": "wrong", "next": "/account"}).status_code == 200
    assert not sessions.recently_proved(client.get("/account").wsgi_request)
    assert client.post("/confirm", {"password": PASSWORD, "next": "https://evil.example/"})["Location"] == "/"
    assert sessions.recently_proved(client.get("/account").wsgi_request)
    for number in range(11):
        answer = client.post("/confirm", {"password": f"wrong {number}"})
    assert answer.status_code == 429
    assert Client().get("/confirm").status_code == 302


def test_where_passwords_are_the_admins_way_nobody_else_confirms_by_one(dana: User, settings: Any) -> None:
    settings.TIDEGATE_LOCAL_SIGN_IN = "admins"
    client = Client()
    client.force_login(dana)
    assert client.post("/confirm", {"password": PASSWORD}).status_code == 200
    assert not sessions.recently_proved(client.get("/account").wsgi_request)


def test_the_old_password_cannot_be_guessed_in_an_open_session(dana: User) -> None:
    client = Client()
    client.force_login(dana)
    form = {"new_password1": "even longer words", "new_password2": "even longer words"}
    for number in range(10):
        assert client.post("/password", {**form, "old_password": f"wrong {number}"}).status_code == 200
    assert client.post("/password", {**form, "old_password": PASSWORD}).status_code == 429
    assert Entry.objects.filter(kind="admin.sign_in_failed").count() == 10


def test_the_log_does_not_hear_what_was_typed(dana: User, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(11):
        attempt("x", username="my-password")
    assert [record.message for record in caplog.records] == ["sign_in.refused"]
    assert "my-password" not in str([vars(record) for record in caplog.records])
