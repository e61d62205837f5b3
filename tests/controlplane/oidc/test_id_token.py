"""Tokens that the provider's own key signed and that are still not good, and some that it did not sign."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from controlplane.oidc import id_token
from controlplane.oidc.configuration import Provider
from controlplane.oidc.problems import SignInProblem
from deploy.demo.identity_provider import KEY_ID, IdentityProvider

NOW = int(time.time())


def claims(provider: Provider, **changed: Any) -> dict[str, Any]:
    good = {"iss": provider.issuer, "sub": "dana", "aud": provider.client_id, "iat": NOW, "exp": NOW + 300, "nonce": "n-1"}
    return {name: value for name, value in (good | changed).items() if value is not None}


@pytest.fixture
def signed(idp: IdentityProvider, provider: Provider) -> Callable[..., str]:
    key = RSAKey.import_key(idp.private_key.read_text())

    def sign(kid: str = KEY_ID, **changed: Any) -> str:
        return jwt.encode({"alg": "RS256", "kid": kid}, claims(provider, **changed), key)

    return sign


def refusal(token: object, provider: Provider) -> str:
    with pytest.raises(SignInProblem) as refused:
        id_token.verify(token, provider=provider, nonce="n-1", now=NOW)
    assert refused.value.code == "token"
    assert str(token) not in str(refused.value) or not token
    return refused.value.detail


def test_a_good_token(signed: Callable[..., str], provider: Provider) -> None:
    assert id_token.verify(signed(), provider=provider, nonce="n-1", now=NOW)["sub"] == "dana"
    several = signed(aud=[provider.client_id, "other"], azp=provider.client_id)
    assert id_token.verify(several, provider=provider, nonce="n-1", now=NOW)["sub"] == "dana"
    assert id_token.verify(signed(exp=NOW - 30), provider=provider, nonce="n-1", now=NOW)  # clocks differ a little


BAD: dict[str, dict[str, Any]] = {
    "iss is another": {"iss": "https://other.example"},
    "aud is not": {"aud": "tidegate"},
    "aud is not this": {"aud": None},
    "azp is not": {"azp": "other"},
    "azp is not this": {"aud": ["tidegate-web", "other"]},
    "has expired": {"exp": NOW - 61},
    "lacks exp": {"exp": None},
    "lacks exp or iat": {"iat": "yesterday"},
    "from the future": {"iat": NOW + 90, "exp": NOW + 300},
    "is from the future": {"nbf": NOW + 90},
    "from the future ": {"auth_time": (NOW + 90) * 1000},
    "too old": {"iat": NOW - 700},
    "nonce": {"nonce": "n-2"},
    "nonce is": {"nonce": None},
    "sub is no": {"sub": ""},
    "sub is no name": {"sub": 7},
}


@pytest.mark.parametrize("why", BAD)
def test_claims_that_are_not_the_answer(signed: Callable[..., str], provider: Provider, why: str) -> None:
    assert why.strip() in refusal(signed(**BAD[why]), provider)


def test_a_sign_in_without_a_nonce_is_none(signed: Callable[..., str], provider: Provider) -> None:
    with pytest.raises(SignInProblem):
        id_token.verify(signed(nonce=""), provider=provider, nonce="", now=NOW)


def test_tokens_that_the_provider_did_not_sign(signed: Callable[..., str], provider: Provider) -> None:
    stranger = RSAKey.import_key(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert "not signed" in refusal(jwt.encode({"alg": "RS256", "kid": KEY_ID}, claims(provider), stranger), provider)
    assert "not signed" in refusal(signed(kid="invented"), provider)
    header, body, signature = signed().split(".")
    changed = base64.urlsafe_b64encode(json.dumps(claims(provider, sub="root")).encode()).rstrip(b"=").decode()
    assert "not signed" in refusal(f"{header}.{changed}.{signature}", provider)
    unsecured = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": KEY_ID}).encode()).rstrip(b"=").decode()
    assert "algorithm" in refusal(f"{unsecured}.{body}.", provider)
    shared = jwt.encode({"alg": "HS256", "kid": KEY_ID}, claims(provider), OctKey.import_key(provider.client_secret))
    assert "algorithm" in refusal(shared, provider)
    assert "algorithm" in refusal(jwt.encode({"alg": "PS256", "kid": KEY_ID}, claims(provider), stranger, algorithms=["PS256"]), provider)


def test_what_is_no_token(provider: Provider) -> None:
    for nothing in (None, "", "hello", "a.b.c", {"id_token": 1}, "x" * 100_000):
        refusal(nothing, provider)
