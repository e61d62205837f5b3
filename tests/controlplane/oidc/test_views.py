"""To a real provider and back, and every way in which that goes wrong."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.test import Client
from joserfc import jwt
from joserfc.jwk import RSAKey

from audit.models import Entry
from controlplane import attempts, sessions
from controlplane.models import User
from controlplane.oidc import configuration, views
from controlplane.oidc.backend import Backend
from controlplane.oidc.configuration import Provider
from deploy.demo.identity_provider import KEY_ID, WEB_CLIENT, IdentityProvider
from tests.controlplane.oidc.conftest import PASSWORD, Browser, asked_for

pytestmark = pytest.mark.django_db


def kinds() -> list[str]:
    return list(Entry.objects.filter(kind__startswith="admin.sign").order_by("id").values_list("kind", flat=True))


def test_the_first_sign_in_makes_the_account_with_its_groups_and_roles(browser: Browser, provider: Provider) -> None:
    Group.objects.create(name="data-owners")
    answer = browser.sign_in(address="/oidc/begin?next=/approvals/")
    assert (answer.status_code, answer["Location"]) == (302, "/approvals/")
    dana = User.objects.get()
    assert (dana.username, dana.email, dana.oidc_issuer, dana.oidc_subject) == ("dana", "dana@example.com", provider.issuer, "dana")
    assert (dana.roles, [group.name for group in dana.groups.all()]) == (["approver"], ["data-owners"])
    assert not dana.has_usable_password()
    assert browser.get("/approvals/").status_code == 200
    assert kinds() == ["admin.signed_in"]
    assert sessions.recently_proved(browser.get("/").wsgi_request)


def test_what_is_asked_of_the_provider(browser: Browser, provider: Provider) -> None:
    asked = asked_for(browser.get("/oidc/begin")["Location"])
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", provider.client_id, "S256")
    assert len(asked["state"]) >= 32
    assert len(asked["nonce"]) >= 32
    assert "prompt" not in asked
    fresh = asked_for(browser.get("/oidc/begin?fresh=1")["Location"])
    assert (fresh["prompt"], fresh["max_age"]) == ("login", "0")


def test_only_pages_of_our_own_follow(browser: Browser) -> None:
    assert browser.sign_in(address="/oidc/begin?next=https://evil.example/")["Location"] == "/"


def test_roles_follow_the_provider_and_disabled_people_stay_out(browser: Browser, provider: Provider, settings: Any) -> None:
    browser.sign_in()
    User.objects.update(is_auditor=True)  # by hand: the provider does not say so
    browser.sign_in()
    assert User.objects.get().roles == ["approver"]
    User.objects.update(is_active=False)
    assert browser.get("/approvals/").status_code == 302  # at once, with the session that there was
    assert "switched off" in failed(Browser(), 403)
    assert User.objects.get().is_active is False


def failed(browser: Browser, status: int, username: str = "dana", **change: Any) -> str:
    answer = browser.sign_in(username, **change)
    assert answer.status_code == status
    assert "_auth_user_id" not in browser.session
    text: str = answer.content.decode()
    assert "Reference for your administrator" in text
    return text


def test_whoever_has_no_role_gets_no_account(browser: Browser) -> None:
    assert "no access here" in failed(browser, 403, "nobody")
    assert not User.objects.exists()


def test_neither_name_nor_address_lead_into_an_account(browser: Browser) -> None:
    User.objects.create_user("dana", email="dana@example.com", password=PASSWORD, is_approver=True)
    assert "not connected yet" in failed(browser, 403)
    assert User.objects.get().oidc_subject == ""


def test_a_person_connects_the_own_account(browser: Browser, provider: Provider) -> None:
    User.objects.create_user("dana", email="dana@example.com", password=PASSWORD, is_approver=True)
    browser.post("/login", {"username": "dana", "password": PASSWORD})
    onward = browser.post("/account/connect")
    assert onward.context["address"] == "/oidc/begin?connect=1"
    assert browser.sign_in(address=onward.context["address"])["Location"] == "/account"
    assert User.objects.get().oidc_subject == "dana"
    assert "where you are <code>dana</code>" in browser.get("/account").content.decode()
    assert Browser().sign_in()["Location"] == "/"
    # Another account cannot have it too, and an old session must prove itself first.
    User.objects.create_user("dora", password=PASSWORD)
    other = Browser()
    other.post("/login", {"username": "dora", "password": PASSWORD})
    assert "somebody else" in other.sign_in(address=other.post("/account/connect").context["address"]).content.decode()
    session = other.session
    session[sessions.PROVED] -= 301
    session.save()
    assert other.post("/account/connect")["Location"] == "/confirm?next=/account"


def test_a_code_is_good_once_and_in_its_own_browser_only(browser: Browser) -> None:
    back = browser.to_provider()
    stranger = Browser().get(back)
    assert (stranger.status_code, "too old" in stranger.content.decode()) == (400, True)
    assert browser.get(back).status_code == 302
    assert browser.get(back).status_code == 400


def test_a_sign_in_expires(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    back = browser.to_provider()
    monkeypatch.setattr(views, "STATE_SECONDS", -1)
    assert browser.get(back).status_code == 400


def test_the_providers_refusals_are_pages(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    back = browser.to_provider()
    with caplog.at_level(logging.WARNING):
        answer = browser.get(f"/oidc/callback?error=access_denied&error_description=<script>&state={asked_for(back)['state']}")
    assert (answer.status_code, "<script>" in answer.content.decode()) == (403, False)
    [line] = [record for record in caplog.records if record.message == "oidc.failed"]
    assert line.reference in answer.content.decode()
    assert browser.get(back).status_code == 400  # the state was used up by the refusal
    assert browser.get("/oidc/callback?error=server_error").status_code == 502
    assert browser.get("/oidc/callback").status_code == 400
    assert browser.get(browser.to_provider() + "&iss=https://other.example").status_code == 403
    entry = Entry.objects.filter(kind="admin.sign_in_failed").earliest("id")
    assert "access_denied" in entry.canonical


def test_a_code_that_the_provider_does_not_know(browser: Browser) -> None:
    state = asked_for(browser.get("/oidc/begin")["Location"])["state"]
    answer = browser.get(f"/oidc/callback?code=invented&state={state}")
    assert (answer.status_code, "Example ID could not do it" in answer.content.decode()) == (502, True)


def test_a_wrong_nonce_is_found(browser: Browser) -> None:
    back = browser.to_provider()
    session = browser.session
    [state] = session["oidc_states"].values()
    state["nonce"] = "another"
    session.save()
    answer = browser.get(back)
    assert (answer.status_code, "cannot be trusted" in answer.content.decode()) == (403, True)
    assert "its nonce is that of another sign-in" in Entry.objects.get(kind="admin.sign_in_failed").canonical


def test_a_wrong_audience_is_found(browser: Browser, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the provider signed for another client; signed again for this one, the same is good."""
    key, get_token = RSAKey.import_key(idp.private_key.read_text()), Backend.get_token

    def signed_for(audience: str) -> None:
        def changed(self: Backend, payload: dict[str, Any]) -> dict[str, Any]:
            answer = get_token(self, payload)
            claims = jwt.decode(answer["id_token"], key, algorithms=["RS256"]).claims | {"aud": audience}
            return answer | {"id_token": jwt.encode({"alg": "RS256", "kid": KEY_ID}, claims, key)}

        monkeypatch.setattr(Backend, "get_token", changed)

    signed_for("another-client")
    assert "cannot be trusted" in failed(browser, 403)
    assert "its aud is not this client" in Entry.objects.get(kind="admin.sign_in_failed").canonical
    signed_for(WEB_CLIENT)
    assert browser.sign_in().status_code == 302


def test_an_unreachable_provider_is_a_page_and_passwords_still_work(browser: Browser, idp: Any, settings: Any) -> None:
    settings.TIDEGATE_OIDC = configuration.read(idp.environment() | {"TIDEGATE_OIDC_ISSUER": "http://127.0.0.1:9"})
    answer = browser.get("/oidc/begin")
    assert (answer.status_code, "cannot be reached" in answer.content.decode()) == (503, True)
    User.objects.create_user("root", password=PASSWORD, is_superuser=True)
    assert browser.post("/login", {"username": "root", "password": PASSWORD}).status_code == 302


def test_without_a_provider_there_is_a_page_too(settings: Any) -> None:
    settings.TIDEGATE_OIDC = None
    assert Client().get("/oidc/begin").status_code == 502
    assert Client().get("/oidc/callback?code=x&state=y").status_code == 502


def test_strangers_do_not_fill_the_ledger(browser: Browser) -> None:
    answers = [browser.get("/oidc/callback?error=x").status_code for _ in range(attempts.PER_ACCOUNT_AND_ADDRESS + 2)]
    assert answers == [502] * attempts.PER_ACCOUNT_AND_ADDRESS + [429, 429]
    assert kinds() == ["admin.sign_in_failed"] * attempts.PER_ACCOUNT_AND_ADDRESS


def test_a_fresh_sign_in_must_be_fresh(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    browser.sign_in()
    assert browser.get("/confirm?next=/account")["Location"] == "/oidc/begin?fresh=1&next=%2Faccount"
    assert browser.sign_in(address="/oidc/begin?fresh=1&next=/account")["Location"] == "/account"
    monkeypatch.setattr(sessions, "RECENT", -1)
    assert "not asked to sign in again" in browser.sign_in(address="/oidc/begin?fresh=1").content.decode()
    elsewhere = type(browser)()
    elsewhere.sign_in(address="/oidc/begin?fresh=1")
    assert "_auth_user_id" not in elsewhere.session  # refused is refused
    assert kinds().count("admin.signed_in") == 2


def test_whoever_signed_in_at_the_provider_confirms_there(browser: Browser) -> None:
    browser.sign_in()
    user = User.objects.get()
    user.set_password("left over from before")
    user.save()
    session = browser.session
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session[sessions.PROVED] = 1
    session.save()
    assert browser.post("/confirm", {"password": "left over from before"})["Location"].startswith("/oidc/begin?fresh=1")
    assert browser.session[sessions.PROVED] == 1


def test_signing_out_leads_out_of_the_provider_too(browser: Browser, provider: Provider) -> None:
    browser.sign_in()
    page = browser.post("/logout")
    asked = asked_for(page.context["address"])
    assert page.context["address"].startswith(f"{provider.issuer}/logout?")
    assert asked["id_token_hint"].count(".") == 2
    assert asked["post_logout_redirect_uri"].endswith("/login")
    assert browser.get("/")["Location"] == "/login?next=/"
    assert kinds() == ["admin.signed_in", "admin.signed_out"]
    cache.clear()
    local = Client()
    local.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
    assert local.post("/logout")["Location"] == "/login"
