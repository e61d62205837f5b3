"""Agents with access tokens of a real provider; every kind of bad token is refused with 28000 and one clear line."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from deploy.demo.identity_provider import KEY_ID, OTHER_AUDIENCE, IdentityProvider
from tests.conftest import Target
from tests.integration.harness import Agent, Stack, bearer_sign_in, cleartext_sign_in, eventually


@pytest.fixture
def with_token(stack: Stack, target: Target) -> Callable[[str], Agent]:
    return lambda token: Agent(stack, "oidc", token, f"crm{target.version}")


def claims(provider: IdentityProvider, **changed: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": provider.issuer, "sub": "token-bot", "aud": "tidegate", "iat": now, "nbf": now, "exp": now + 300}
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(provider: IdentityProvider, kid: str = KEY_ID, **changed: Any) -> str:
    """A token that the provider's own key signed."""
    key = RSAKey.import_key(provider.private_key.read_text())
    return jwt.encode({"alg": "RS256", "kid": kid}, claims(provider, **changed), key)


def unsigned(provider: IdentityProvider) -> str:
    """RFC 7519, section 6: an unsecured JWT."""
    _, body, _ = signed(provider).split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": KEY_ID}).encode()).rstrip(b"=").decode()
    return f"{header}.{body}."


def signed_by_somebody_else(provider: IdentityProvider) -> str:
    stranger = RSAKey.import_key(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return jwt.encode({"alg": "RS256", "kid": KEY_ID}, claims(provider), stranger)


def changed_after_signing(provider: IdentityProvider) -> str:
    header, _, signature = signed(provider).split(".")
    body = signed(provider, sub="reader").split(".")[1]
    return f"{header}.{body}.{signature}"


def test_a_client_credentials_token_signs_in_and_is_the_identity_in_the_audit(
    stack: Stack, provider: IdentityProvider, with_token: Callable[[str], Agent]
) -> None:
    # Its permission comes from no group of the token: the subject itself has none either, so it may sign in and read nothing.
    agent = with_token(provider.token("token-bot"))
    with agent.connect(application_name="token-sign-in"):
        pass
    [entry] = eventually(
        lambda: [entry for entry in stack.entries("session.opened") if entry["application"] == "token-sign-in"][:1], "recorded"
    )
    assert (entry["subject"], entry["issuer"]) == ("token-bot", provider.issuer) or entry["issuer"] == "corp"
    assert agent.refusal("SELECT 1 FROM crm.orders").sqlstate == "42501"


def test_the_groups_claim_gives_the_groups_rights(provider: IdentityProvider, with_token: Callable[[str], Agent]) -> None:
    agent = with_token(signed(provider, groups=["token-readers"]))
    assert agent.rows("SELECT count(*) FROM crm.customers") == [(100,)]
    assert str(agent.rows("SELECT ssn FROM crm.customers WHERE id = 1")[0][0]).strip() == "***"


BAD: dict[str, Callable[[IdentityProvider], str]] = {
    "wrong audience": lambda provider: provider.token("token-bot", OTHER_AUDIENCE),
    "no audience": lambda provider: signed(provider, aud=None),
    "expired": lambda provider: signed(provider, iat=int(time.time()) - 7200, nbf=None, exp=int(time.time()) - 3600),
    "no expiry": lambda provider: signed(provider, exp=None),
    "not yet valid": lambda provider: signed(provider, nbf=int(time.time()) + 3600),
    "wrong issuer": lambda provider: signed(provider, iss="http://127.0.0.1:1/other"),
    "alg=none": unsigned,
    "unknown kid": lambda provider: signed(provider, kid="no-such-key"),
    "somebody else's key": signed_by_somebody_else,
    "changed after signing": changed_after_signing,
    "unknown subject": lambda provider: provider.token("stranger"),
    "not a token": lambda provider: "hello",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_token_is_refused(stack: Stack, provider: IdentityProvider, kind: str) -> None:
    token = BAD[kind](provider)
    refused = cleartext_sign_in(stack, "oidc", "crm18", token)
    assert (refused["S"], refused["C"]) == ("FATAL", "28000")
    assert refused["M"]
    assert "\n" not in refused["M"]
    assert token not in "".join(refused.values())


def test_a_token_signs_in_by_oauthbearer(stack: Stack, provider: IdentityProvider) -> None:
    assert bearer_sign_in(stack, "crm18", provider.token("token-bot")) == ({}, ["OAUTHBEARER\0\0"])


def test_oauthbearer_tells_where_tokens_come_from(stack: Stack, provider: IdentityProvider) -> None:
    for token in ("", provider.token("token-bot", OTHER_AUDIENCE), signed_by_somebody_else(provider)):
        refused, (_, challenge) = bearer_sign_in(stack, "crm18", token)
        assert json.loads(challenge)["openid-configuration"] == f"{provider.issuer}/.well-known/openid-configuration"
        assert (refused["S"], refused["C"]) == ("FATAL", "28000")
