"""Every way in which an access token can be wrong is refused with a line of its own, and none of them quotes the token."""

import asyncio
import base64
import hmac
import json
import time
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from proxy.events import TokenChecked
from proxy.policy.bundle import Issuer
from tests.worker.control_plane import Call, ControlPlane, Reply
from worker import tokens
from worker.tokens import TokenChecker

NOW = 1_800_000_000


class Provider:
    """An issuer with rotating keys on a real HTTP server."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.issuer = plane.url + "/realm"
        self.keys = [RSAKey.generate_key(2048, {"kid": "a"})]
        self.jwks_calls = 0
        plane.on("GET", "/realm/.well-known/openid-configuration", Reply(200, {"issuer": self.issuer, "jwks_uri": plane.url + "/jwks"}))
        plane.on("GET", "/jwks", self._jwks)

    def _jwks(self, call: Call) -> Reply:
        self.jwks_calls += 1
        exotic = {"kty": "XYZ", "kid": "exotic"}
        return Reply(200, {"keys": [exotic, *(key.as_dict(private=False) for key in self.keys)]})

    def configured(self, **changes: Any) -> Issuer:
        given = {"name": "corp", "issuer": self.issuer, "audience": "tidegate", "algorithms": ("RS256",), "groups_claim": "groups"}
        return Issuer(**given | changes)

    def token(self, *, key: Any = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        key = key or self.keys[0]
        content = {"iss": self.issuer, "sub": "bot", "aud": "tidegate", "exp": NOW + 300, "nbf": NOW - 5, "groups": ["a", "b"]} | claims
        head = {name: value for name, value in ({"alg": "RS256", "kid": key.kid} | (header or {})).items() if value is not None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return jwt.encode(head, {k: v for k, v in content.items() if v is not None}, key, algorithms=[head["alg"]])


@pytest.fixture
def provider(control_plane: ControlPlane) -> Provider:
    return Provider(control_plane)


def check(provider: Provider, *given: str, issuer: Issuer | None = None, now: float = NOW) -> TokenChecked:
    async def run() -> TokenChecked:
        checker = TokenChecker()
        try:
            for token in given:
                result = await checker.check(token, [issuer or provider.configured()], now)
            return result
        finally:
            await checker.close()

    return asyncio.run(run())


def test_a_good_token_gives_its_claims(provider: Provider) -> None:
    assert check(provider, provider.token()) == TokenChecked(provider.issuer, "bot", ("a", "b"), NOW + 300)


def test_the_audience_may_be_one_of_several_and_the_subject_another_claim(provider: Provider) -> None:
    token = provider.token(aud=["other", "tidegate"], client_id="c1")
    assert check(provider, token, issuer=provider.configured(subject_claim="client_id")).subject == "c1"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "other"}, "aud"), ({"aud": None}, "aud"), ({"aud": ["x"]}, "aud"),
        ({"exp": NOW - 60}, "expired"), ({"exp": None}, "no expiry"), ({"exp": "soon"}, "not a time"), ({"exp": True}, "not a time"),
        ({"nbf": NOW + 61}, "not valid yet"), ({"iss": "https://elsewhere"}, "not configured"), ({"iss": None}, "not configured"),
        ({"sub": None}, "'sub'"), ({"sub": 7}, "'sub'"),
    ],
)  # fmt: skip
def test_wrong_claims_are_refused(provider: Provider, claims: dict[str, Any], why: str) -> None:
    token = provider.token(**claims)
    result = check(provider, token)
    assert why in result.problem
    assert result.subject == ""
    assert "\n" not in result.problem
    assert token[:20] not in result.problem


def test_the_clock_may_differ_by_a_minute(provider: Provider) -> None:
    assert not check(provider, provider.token(exp=NOW - 59, nbf=NOW + 60)).problem


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_alg_none_is_refused(provider: Provider) -> None:
    claims = {"iss": provider.issuer, "sub": "bot", "aud": "tidegate", "exp": NOW + 300}
    token = f"{part({'alg': 'none', 'kid': 'a'})}.{part(claims)}."
    for issuer in (provider.configured(), provider.configured(algorithms=("none", "RS256"))):
        assert "algorithm" in check(provider, token, issuer=issuer).problem


def test_a_shared_secret_made_of_the_public_key_is_refused(provider: Provider) -> None:
    signed = f"{part({'alg': 'HS256', 'kid': 'a'})}.{part({'iss': provider.issuer, 'sub': 'bot', 'aud': 'tidegate', 'exp': NOW + 300})}"
    mac = hmac.digest(provider.keys[0].as_pem(private=False), signed.encode(), "sha256")
    token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    for issuer in (provider.configured(), provider.configured(algorithms=("HS256", "RS256"))):
        assert "algorithm" in check(provider, token, issuer=issuer).problem


def test_an_algorithm_that_the_policy_does_not_name_is_refused(provider: Provider) -> None:
    provider.keys.append(ECKey.generate_key("P-256", {"kid": "e"}))
    token = provider.token(key=provider.keys[1], header={"alg": "ES256"})
    assert "algorithm" in check(provider, token).problem
    assert not check(provider, token, issuer=provider.configured(algorithms=("RS256", "ES256"))).problem


def test_a_foreign_key_under_a_known_kid_is_refused(provider: Provider) -> None:
    assert "signature" in check(provider, provider.token(key=RSAKey.generate_key(2048, {"kid": "a"}))).problem


def test_an_unknown_kid_looks_for_new_keys_but_not_each_time(provider: Provider) -> None:
    forged = provider.token(header={"kid": "invented"})
    assert "unknown kid" in check(provider, *[forged] * 5).problem
    assert provider.jwks_calls == 1, "keys fetched a moment ago are not fetched again for an invented kid"


def test_a_rotated_key_is_found(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_REFRESH_PAUSE_SECONDS", 0.0)
    old = provider.token()
    fresh = RSAKey.generate_key(2048, {"kid": "b"})

    async def run() -> TokenChecked:
        checker = TokenChecker()
        assert not (await checker.check(old, [provider.configured()], NOW)).problem
        provider.keys[:] = [fresh]
        result = await checker.check(provider.token(key=fresh), [provider.configured()], NOW)
        await checker.close()
        return result

    assert not asyncio.run(run()).problem


def test_without_a_kid_only_a_single_key_can_be_meant(provider: Provider) -> None:
    token = provider.token(header={"kid": None})
    assert not check(provider, token).problem
    provider.keys.append(RSAKey.generate_key(2048, {"kid": "z"}))
    assert "kid" in check(provider, token).problem


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.b", "é.é.é", "..", "x" * 20_000])
def test_what_is_no_token_is_refused(provider: Provider, text: str) -> None:
    assert check(provider, text).problem
    assert provider.jwks_calls == 0


def test_an_unreachable_issuer_is_a_refusal_not_an_exception(provider: Provider) -> None:
    provider.plane.on("GET", "/jwks", Reply(500))
    assert "cannot be reached" in check(provider, provider.token()).problem


def test_a_discovery_document_of_another_issuer_is_refused(provider: Provider) -> None:
    body = {"issuer": "https://evil", "jwks_uri": provider.plane.url + "/jwks"}
    provider.plane.on("GET", "/realm/.well-known/openid-configuration", Reply(200, body))
    assert "cannot be reached" in check(provider, provider.token()).problem
    assert provider.jwks_calls == 0


def test_a_configured_jwks_address_needs_no_discovery(provider: Provider) -> None:
    provider.plane.on("GET", "/realm/.well-known/openid-configuration", Reply(500))
    issuer = provider.configured(jwks_uri=provider.plane.url + "/jwks")
    assert not check(provider, provider.token(), issuer=issuer).problem


def test_a_redirect_is_not_followed(provider: Provider) -> None:
    provider.plane.on("GET", "/jwks", Reply(302, headers={"Location": provider.plane.url + "/elsewhere"}))
    assert "cannot be reached" in check(provider, provider.token()).problem
    assert not provider.plane.called("/elsewhere")


def test_no_issuer_configured(provider: Provider) -> None:
    async def run() -> TokenChecked:
        checker = TokenChecker()
        result = await checker.check(provider.token(), [], time.time())
        await checker.close()
        return result

    assert "not configured" in asyncio.run(run()).problem
