"""A token may do what its scopes and its owner's roles both allow, until its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from audit.models import Entry
from controlplane import access_tokens
from controlplane.models import AccessToken, User

pytestmark = pytest.mark.django_db


def token_of(user: User, *scopes: str) -> str:
    return access_tokens.create(user, name="a script", scopes=scopes, days=30)[1]


def call(text: str, method: str = "get", path: str = "groups", body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {text}"}
    if method == "get":
        return Client().get(f"/api/v1/{path}", headers=headers)
    return getattr(Client(enforce_csrf_checks=True), method)(f"/api/v1/{path}", body, content_type="application/json", headers=headers)


def test_scopes_bound_what_the_owner_may(admin_user: User) -> None:
    reading, changing, auditing = token_of(admin_user, "read"), token_of(admin_user, "admin"), token_of(admin_user, "audit")
    assert call(reading).status_code == 200
    refused = call(reading, "post", body={"name": "x"})
    assert (refused.status_code, refused["Content-Type"]) == (403, "application/problem+json")
    assert refused.json()["detail"] == "This needs a token with the scope admin; this one has read."
    assert call(changing, "post", body={"name": "x"}).status_code == 201
    assert call(changing).status_code == 403
    assert call(reading, path="audit/entries").status_code == 403
    assert call(auditing, path="audit/entries").status_code == 200
    assert call(auditing).status_code == 403
    assert call(auditing, "post", "audit/exports", {}).status_code == 202
    assert call(reading, path="schema").status_code == 200


def test_answering_requests_takes_the_scope_approve(admin_user: User) -> None:
    path = "approvals/0b7a3f4e-9a5c-4f27-8d7f-0c5b1d3f7a10/approve"
    assert call(token_of(admin_user, "read", "admin"), "post", path, {}).status_code == 403
    assert call(token_of(admin_user, "approve"), "post", path, {}).status_code == 404


def test_scopes_add_nothing_to_roles() -> None:
    auditor = User.objects.create(username="ari", is_auditor=True)
    everything = token_of(auditor, *AccessToken.SCOPES)
    assert call(everything).status_code == 200
    assert call(everything, "post", body={"name": "x"}).status_code == 403


def test_what_ends_a_token(admin_user: User) -> None:
    text = token_of(admin_user, "read")
    assert call(text[:-1]).status_code == 401
    assert call("").status_code == 401
    assert Client().get("/api/v1/groups", headers={"Authorization": f"Basic {text}"}).status_code == 401
    User.objects.update(is_active=False)
    assert call(text).status_code == 401
    User.objects.update(is_active=True)
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert call(text).status_code == 401


def test_only_a_digest_is_kept_and_its_making_is_recorded(admin_user: User) -> None:
    text = token_of(admin_user, "read")
    entry = Entry.objects.filter(kind="admin.changed").latest("id")
    row = AccessToken.objects.get()
    kept = entry.canonical + entry.disclosures + str(AccessToken.objects.values().get())
    assert text not in kept
    assert row.digest not in entry.disclosures
    assert row.last_used_at is None
    call(text)
    row.refresh_from_db()
    assert row.last_used_at is not None


def test_what_cannot_be_made(admin_user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ({"scopes": []}, {"scopes": ["root"]}, {"days": 0}, {"days": 10_000}, {"name": " "}, {"name": "x" * 61}):
        with pytest.raises(ValidationError):
            access_tokens.create(admin_user, **({"name": "a", "scopes": ["read"], "days": 30} | wrong))
    monkeypatch.setattr(access_tokens, "AT_MOST", 0)
    with pytest.raises(ValidationError, match="remove one first"):
        token_of(admin_user, "read")


def test_a_session_still_works_and_needs_its_csrf_token(admin_user: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    assert browser.get("/api/v1/groups").status_code == 200
    refused = browser.post("/api/v1/groups", {"name": "x"}, content_type="application/json")
    assert (refused.status_code, "CSRF" in refused.json()["detail"]) == (403, True)
    browser.get("/account")  # which sets the cookie
    token = browser.cookies["csrftoken"].value
    sent = browser.post("/api/v1/groups", {"name": "x"}, content_type="application/json", headers={"X-CSRFToken": token})
    assert sent.status_code == 201
