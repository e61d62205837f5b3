"""Start page, health, sign-in, password, and what errors look like."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.test import Client

from audit.models import Entry
from controlplane.models import User

pytestmark = pytest.mark.django_db


def test_health() -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "ok"})
    with patch("controlplane.views.connection.cursor", side_effect=OperationalError("password=secret")):
        ill = Client().get("/healthz")
    assert ill.status_code == 503
    assert "secret" not in ill.content.decode()


def test_the_start_page_leads_by_role(admin: Client, auditor: Client, approver: Client, client_of) -> None:
    def places(client: Client) -> set[str]:
        return {card.name for card in client.get("/").context["cards"]}

    assert places(admin) == {"Administration", "Audit", "API"}
    assert places(auditor) == {"Audit", "API"}
    assert places(approver) == {"Approvals"}
    nobody = client_of(User.objects.create(username="new"))
    assert "Ask an administrator" in nobody.get("/").content.decode()
    assert Client().get("/")["Location"] == "/login?next=/"


def test_signing_in_and_out() -> None:
    User.objects.create_user("dana", password="correct horse battery")
    client = Client()
    wrong = client.post("/login", {"username": "dana", "password": "wrong"})
    assert "correct username and password" in wrong.content.decode()
    assert client.post("/login", {"username": "dana", "password": "correct horse battery", "next": "/audit/"})["Location"] == "/audit/"
    evil = Client().post("/login", {"username": "dana", "password": "correct horse battery", "next": "https://evil.example"})
    assert evil["Location"] == "/"
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 302
    assert client.get("/").status_code == 302


def test_a_person_changes_the_own_password() -> None:
    user = User.objects.create_user("dana", password="correct horse battery")
    client = Client()
    client.force_login(user)
    form = {"old_password": "correct horse battery", "new_password1": "even longer words", "new_password2": "even longer words"}
    assert client.post("/password", {**form, "old_password": "wrong"}).status_code == 200
    assert client.post("/password", form)["Location"] == "/"
    user.refresh_from_db()
    assert user.check_password("even longer words")
    assert Entry.objects.filter(kind="admin.changed").count() == 1


def test_errors_look_like_the_rest(admin: Client) -> None:
    missing = admin.get("/nope")
    assert missing.status_code == 404
    assert "There is no such page" in missing.content.decode()
    forged = Client(enforce_csrf_checks=True).post("/login", {})
    assert forged.status_code == 403
    assert "Please try again" in forged.content.decode()


def test_a_failure_shows_nothing_of_itself(admin: Client) -> None:
    admin.raise_request_exception = False
    with (
        patch("controlplane.views.places_for", side_effect=RuntimeError("secret detail")),
        patch("controlplane.navigation.places_for", return_value=[]),
    ):
        answer = admin.get("/")
    assert answer.status_code == 500
    assert "nothing was changed" in answer.content.decode()
    assert "secret detail" not in answer.content.decode()
