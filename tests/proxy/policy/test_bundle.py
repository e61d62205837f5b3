"""The bundle: look-ups, secrets that never show, and what is refused (see test_default_deny.py for the rest)."""

from __future__ import annotations

import hashlib
import json

import pytest

from proxy.policy.bundle import Bundle, BundleError
from proxy.policy.payload import ApproveBy
from tests.proxy.policy.example import NOW, SECRETS, bundle, payload


def test_digest_serial_and_staleness() -> None:
    raw = json.dumps(payload()).encode()
    found = Bundle.load(raw, SECRETS)
    assert (found.digest, found.serial, found.max_staleness) == (hashlib.sha256(raw).hexdigest(), 12, 3600)


def test_look_ups_by_name() -> None:
    found = bundle()
    subject = found.subject("bot")
    assert subject is not None
    assert subject.groups == ("agents",)
    assert found.subject("stranger") is None
    assert found.connection("nowhere") is None
    assert found.workflow("owners") is not None
    assert found.workflow("x") is None
    assert found.issuers[0].issuer == "https://id.example.com"


def test_keys_that_have_expired_are_left_out() -> None:
    subject = bundle().subject("bot")
    assert subject is not None
    assert subject.scram is not None
    assert [key.id for key in subject.scram.live_keys(NOW - 1)] == ["k1", "k2"]
    assert [key.id for key in subject.scram.live_keys(NOW)] == ["k1"]


@pytest.mark.parametrize("issuer", ["corp", "https://id.example.com"])
def test_subjects_by_token(issuer: str) -> None:
    found = bundle().subject_by_token(issuer, "client:token-bot")
    assert found is not None
    assert found.name == "token-bot"
    assert bundle().subject_by_token(issuer, "client:other") is None
    assert bundle().subject_by_token("https://evil.example.com", "client:token-bot") is None


@pytest.mark.parametrize(
    ("dbname", "expected"),
    [
        ("crm", ("crm", "crm_live")),
        ("crm/tenant_7", ("crm", "tenant_7")),
        ("crm/other", None),
        ("crm/", None),
        ("crm/tenant_7/x", ("crm", "tenant_7/x")),  # a name that the pattern allows; the server will not have it
        ("crm_live", None),
        ("", None),
        ("open/open", None),
    ],
)
def test_what_a_client_means_by_its_database(dbname: str, expected: tuple[str, str] | None) -> None:
    found = bundle().connection_for(dbname)
    assert (found and (found[0].name, found[1])) == expected


def test_secrets() -> None:
    found = bundle()
    assert (found.password("crm"), found.hash_key("crm")) == ("secret-password", b"k" * 32)
    with pytest.raises(BundleError, match="none for connection 'open'"):
        found.password("open")
    with pytest.raises(BundleError, match="none for connection 'open'"):
        found.hash_key("open")


def test_the_key_of_a_client_certificate() -> None:
    assert bundle().client_key("crm") is None
    assert bundle().client_key("nowhere") is None
    content = payload()
    for connection in content["connections"]:
        connection["tls"] = {"mode": "require", "ca": None, "client_cert": "a certificate"}
    given = {"connections": {"crm": {**SECRETS["connections"]["crm"], "client_key": "a key"}}}
    found = Bundle.load(json.dumps(content).encode(), given)
    assert found.client_key("crm") == "a key"
    assert "a key" not in repr(found._secrets)
    with pytest.raises(BundleError, match="none for connection 'open'"):
        found.client_key("open")
    with pytest.raises(BundleError, match="no key for the client certificate of connection 'crm'"):
        Bundle.load(json.dumps(content).encode(), SECRETS).client_key("crm")


def test_nothing_secret_is_ever_printed() -> None:
    found = bundle()
    subject = found.subject("bot")
    printed = repr((found, found._secrets, subject))
    assert "secret-password" not in printed
    assert "kkkk" not in printed
    assert "stored_key" not in printed


@pytest.mark.parametrize(
    "secrets",
    [
        {"connections": {"crm": {"password": "p-4711"}}},
        {"connections": {"crm": {"password": "p-4711", "hash_key": "c2hvcnQ="}}},
        {"connections": {"crm": {"password": 4711, "hash_key": "x"}}},
        {"surprise": 4711},
    ],
)
def test_malformed_secrets_are_refused_without_showing_them(secrets: dict[str, object]) -> None:
    with pytest.raises(BundleError) as caught:
        Bundle.load(json.dumps(payload()).encode(), secrets)
    assert "4711" not in str(caught.value)


def test_settings_that_ask_for_approval() -> None:
    found = bundle(connection={"unanalyzable": {"approve": "owners"}}).connection("crm")
    assert found is not None
    assert found.unanalyzable == ApproveBy("owners")


def test_missing_members_are_named() -> None:
    content = payload()
    del content["subjects"][0]["kind"]
    with pytest.raises(BundleError, match=r"`kind`.*subjects\[0\]|subjects\[0\]"):
        Bundle.load(json.dumps(content).encode(), {})


def test_two_subjects_with_one_token_identity_are_refused() -> None:
    content = payload()
    content["subjects"].append({**content["subjects"][1], "name": "twin"})
    with pytest.raises(BundleError, match=r"subjects\[2\]\.oidc"):
        Bundle.load(json.dumps(content).encode(), {})


def test_an_unknown_issuer_is_refused() -> None:
    content = payload(issuers=[])
    with pytest.raises(BundleError, match=r"subjects\[1\]\.oidc\.issuer"):
        Bundle.load(json.dumps(content).encode(), {})


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"null"])
def test_what_is_no_bundle(raw: bytes) -> None:
    with pytest.raises(BundleError):
        Bundle.load(raw, {})
