"""Verifies an agent's OIDC access token; answers :class:`proxy.effects.CheckToken`.

Everything in the token is the caller's claim until its signature is checked by a key of an issuer *in the bundle*: the
``iss`` read beforehand only chooses which configured issuer's keys to try. Requests go to configured addresses only,
never to one that a token names.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import httpx
import msgspec
from joserfc import jwk, jwt
from joserfc.errors import JoseError
from joserfc.jws import extract_compact

from proxy.events import TokenChecked
from worker.log import logger
from worker.tls import client_context

SKEW_SECONDS = 60
_ALLOWED = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"})
_KEYS_SECONDS = 600.0
_STALE_KEYS_SECONDS = 86400.0  # how long old keys serve while the issuer cannot be reached
_REFRESH_PAUSE_SECONDS = 10.0  # between refreshes caused by an unknown kid
_LONGEST_TOKEN = 16 << 10
_LARGEST_ANSWER = 1 << 20


class Issuer(Protocol):
    """What the bundle says about an issuer (docs/contracts.md §1)."""

    @property
    def issuer(self) -> str: ...
    @property
    def audience(self) -> str: ...
    @property
    def algorithms(self) -> tuple[str, ...]: ...
    @property
    def jwks_uri(self) -> str | None: ...
    @property
    def subject_claim(self) -> str: ...
    @property
    def groups_claim(self) -> str | None: ...


class TokenRefused(Exception):
    """Why a token is not accepted: one line without any part of the token."""


class _Keys:
    """The signing keys of one issuer, fetched when needed."""

    def __init__(self, issuer: str, jwks_uri: str | None, client: httpx.AsyncClient) -> None:
        self._issuer, self._jwks_uri, self._client = issuer, jwks_uri, client
        self._keys: jwk.KeySet | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str | None) -> list[jwk.Key]:
        """The keys to try. Raises: TokenRefused."""
        await self._refresh(_KEYS_SECONDS)
        if not self._matching(kid):
            # A rotated key, or an invented kid: look again, but not as often as somebody invents kids.
            await self._refresh(_REFRESH_PAUSE_SECONDS)
        if self._keys is None:
            raise TokenRefused("the token's issuer cannot be reached for its keys")
        matching = self._matching(kid)
        if not matching:
            raise TokenRefused("the token is signed with a key that its issuer does not publish (unknown kid)")
        return matching

    def _matching(self, kid: str | None) -> list[jwk.Key]:
        keys = [key for key in (self._keys.keys if self._keys else ()) if key.get("use") in (None, "sig")]
        if kid is not None:
            return [key for key in keys if key.kid == kid]
        return keys if len(keys) == 1 else []  # without a kid there is nothing to choose by

    async def _refresh(self, age: float) -> None:
        async with self._lock:
            now = time.monotonic()
            if now - self._fetched_at < age or now - self._tried_at < _REFRESH_PAUSE_SECONDS:
                return
            self._tried_at = now
            try:
                self._keys = await self._fetch()
                self._fetched_at = now
            except (httpx.HTTPError, msgspec.MsgspecError, JoseError, ValueError, KeyError, TypeError) as error:
                logger().warning("token.keys_not_fetched", issuer=self._issuer, reason=type(error).__name__)
                if now - self._fetched_at > _STALE_KEYS_SECONDS:
                    self._keys = None

    async def _fetch(self) -> jwk.KeySet:
        uri = self._jwks_uri or await self._discover()
        return jwk.KeySet.import_key_set({"keys": _importable((await self._json(uri))["keys"])})

    async def _discover(self) -> str:
        """OpenID Connect Discovery 1.0 §4: the document must name the issuer that we asked."""
        document = await self._json(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        uri = document.get("jwks_uri")
        if document.get("issuer") != self._issuer or not isinstance(uri, str):
            raise ValueError("discovery document of another issuer")
        return uri

    async def _json(self, uri: str) -> dict[str, object]:
        response = await self._client.get(uri, headers={"Accept": "application/json"})
        response.raise_for_status()
        if len(response.content) > _LARGEST_ANSWER:
            raise ValueError("too large")
        return msgspec.json.decode(response.content, type=dict[str, object])


class TokenChecker:
    """One per process; keys are kept per issuer address."""

    def __init__(self) -> None:
        # No redirects: keys come from the configured address or not at all.
        self._client = httpx.AsyncClient(timeout=5, follow_redirects=False, verify=client_context())
        self._keys: dict[tuple[str, str | None], _Keys] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def check(self, token: str, issuers: Sequence[Issuer], now: float) -> TokenChecked:
        """Verified claims, or the reason why not. Never raises, never logs the token."""
        try:
            return await self._check(token, issuers, now)
        except TokenRefused as refused:
            return TokenChecked(problem=str(refused))

    async def _check(self, token: str, issuers: Sequence[Issuer], now: float) -> TokenChecked:
        header, unverified = _peek(token)
        issuer = next((issuer for issuer in issuers if issuer.issuer == unverified.get("iss")), None)
        if issuer is None:
            raise TokenRefused("the token comes from an issuer that is not configured")
        algorithms = [name for name in issuer.algorithms if name in _ALLOWED]
        if header.get("alg") not in algorithms:
            raise TokenRefused(f"the token's algorithm is not one of {', '.join(algorithms) or 'none configured'}")
        kid = header.get("kid")
        keys = self._keys.setdefault((issuer.issuer, issuer.jwks_uri), _Keys(issuer.issuer, issuer.jwks_uri, self._client))
        claims = _verified(token, await keys.find(kid if isinstance(kid, str) else None), algorithms)
        return _accepted(claims, issuer, now)


def _peek(token: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    if len(token) > _LONGEST_TOKEN:
        raise TokenRefused(f"the token is longer than {_LONGEST_TOKEN} bytes")
    try:
        parts = extract_compact(token.strip().encode())
        return parts.headers(), msgspec.json.decode(parts.payload, type=dict[str, object])
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise TokenRefused("the password is not a signed token (JWT)") from error


def _verified(token: str, keys: Sequence[jwk.Key], algorithms: list[str]) -> Mapping[str, object]:
    for key in keys:
        try:
            return jwt.decode(token.strip(), key, algorithms=algorithms).claims
        except (JoseError, ValueError, TypeError):
            continue
    raise TokenRefused("the token's signature is wrong")


def _accepted(claims: Mapping[str, object], issuer: Issuer, now: float) -> TokenChecked:
    if claims.get("iss") != issuer.issuer:
        raise TokenRefused("the token comes from an issuer that is not configured")
    audience = claims.get("aud")
    if issuer.audience not in (audience if isinstance(audience, list) else [audience]):
        raise TokenRefused(f"the token is not meant for {issuer.audience!r} (aud)")
    expires, starts = _time(claims, "exp"), _time(claims, "nbf")
    if expires is None:
        raise TokenRefused("the token has no expiry (exp)")
    if now >= expires + SKEW_SECONDS:
        raise TokenRefused(f"the token expired {int(now - expires)} seconds ago (exp)")
    if starts is not None and now < starts - SKEW_SECONDS:
        raise TokenRefused("the token is not valid yet (nbf)")
    subject = claims.get(issuer.subject_claim)
    if not isinstance(subject, str) or not subject:
        raise TokenRefused(f"the token has no {issuer.subject_claim!r} claim")
    return TokenChecked(issuer=issuer.issuer, subject=subject, groups=_groups(claims, issuer.groups_claim), expires_at=int(expires))


def _time(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"the token's {name} is not a time")
    return value


def _groups(claims: Mapping[str, object], claim: str | None) -> tuple[str, ...]:
    value = claims.get(claim) if claim else None
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _importable(keys: object) -> list[jwk.DictKey]:
    """The keys that this library can read: one exotic key must not shut out the others."""
    result: list[jwk.DictKey] = []
    for key in keys if isinstance(keys, list) else ():
        try:
            jwk.import_key(key)
        except (JoseError, ValueError, KeyError, TypeError):
            continue
        result.append(key)
    return result
