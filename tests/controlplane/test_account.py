"""A person's own account page. What goes by the provider is in oidc/test_views.py."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.test import Client

from audit.models import Entry
from controlplane import sessions
from controlplane.models import User
from tests.authenticator import Authenticator

pytestmark = pytest.mark.django_db


def test_it_shows_who_one_is(approver: Client) -> None:
    page = approver.get("/account").content.decode()
    assert "dana@example.com" in page
    assert "<dd>approver</dd>" in page
    assert Client().get("/account")["Location"] == "/login?next=/account"


def test_without_a_provider_there_is_nothing_to_connect(approver: Client, settings: Any) -> None:
    assert "Connect" not in approver.get("/account").content.decode()
    assert approver.post("/account/connect")["Location"] == "/account"
    assert approver.get("/account/connect").status_code == 405


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    session = client.session
    session[sessions.PROVED] = int(time.time())
    session.save()
    return client


@pytest.fixture
def dana() -> User:
    return User.objects.create(username="dana", email="d@example.com", is_approver=True)


def test_a_token_is_made_shown_once_and_removed(dana: User) -> None:
    client = signed_in(dana)
    made = client.post("/account/tokens", {"name": "nightly", "scopes": ["read", "approve"], "days": "30"})
    text = made.context["text"]
    assert text in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    page = client.get("/account").content.decode()
    assert "nightly" in page
    assert text not in page
    token = dana.access_tokens.get()
    stranger = signed_in(User.objects.create(username="eve"))
    assert stranger.post(f"/account/tokens/{token.pk}/remove").status_code == 404
    assert client.post(f"/account/tokens/{token.pk}/remove")["Location"] == "/account"
    assert not dana.access_tokens.exists()
    assert Entry.objects.filter(kind="admin.changed").count() == 2


def test_what_is_wrong_with_a_token_is_told(dana: User) -> None:
    client = signed_in(dana)
    for form in ({"name": "x", "days": "30"}, {"name": "x", "scopes": "read", "days": "x"}, {"scopes": "read", "days": "30"}):
        assert "No token was made" in client.post("/account/tokens", form, follow=True).content.decode()
    assert not dana.access_tokens.exists()


def test_whoever_finds_a_session_open_leaves_no_key_in_it(approver: Client) -> None:
    assert approver.post("/account/tokens", {"name": "x", "scopes": "read", "days": "30"})["Location"] == "/confirm?next=/account"
    assert approver.post("/account/passkeys")["Location"] == "/confirm?next=/account"
    assert approver.post("/account/passkeys/question").status_code == 403
    assert "Confirm that it is you" in approver.get("/account").content.decode()


def test_passkeys_are_added_renamed_and_removed(dana: User, settings: Any) -> None:
    settings.TIDEGATE_PUBLIC_URL = "http://localhost:8000"
    client, device = signed_in(dana), Authenticator("http://localhost:8000")
    answer = device.create(json.loads(client.post("/account/passkeys/question").content))
    client.post("/account/passkeys", {"name": "laptop", "passkey": answer})
    passkey = dana.passkeys.get()
    client.post(f"/account/passkeys/{passkey.pk}", {"name": "old laptop"})
    passkey.refresh_from_db()
    assert passkey.name == "old laptop"
    assert "Nothing was changed" in client.post(f"/account/passkeys/{passkey.pk}", {"name": ""}, follow=True).content.decode()
    assert "took too long" in client.post("/account/passkeys", {"name": "b", "passkey": answer}, follow=True).content.decode()
    assert signed_in(User.objects.create(username="eve")).post(f"/account/passkeys/{passkey.pk}", {"remove": "1"}).status_code == 404
    client.post(f"/account/passkeys/{passkey.pk}", {"remove": "1"})
    assert not dana.passkeys.exists()
    recorded = [entry.canonical for entry in Entry.objects.filter(kind="admin.changed").order_by("id")]
    assert [action for text in recorded for action in ("create", "change", "remove") if f'"action":"{action}"' in text] == [
        "create", "change", "remove",
    ]  # fmt: skip


def test_where_there_can_be_no_passkeys_the_page_says_why(dana: User, settings: Any) -> None:
    settings.TIDEGATE_PUBLIC_URL = "https://192.0.2.1"
    client = signed_in(dana)
    assert "belong to a name" in client.get("/account").content.decode()
    assert client.post("/account/passkeys/question").status_code == 403
