"""The provider's addresses (OpenID Connect Discovery 1.0 §4) and signing keys: fetched from the configured address, and kept."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.cache import cache
from joserfc import jwk
from joserfc.errors import JoseError

from controlplane.oidc.configuration import Provider, is_loopback
from controlplane.oidc.problems import SignInProblem

log = logging.getLogger(__name__)

KEPT = 600  # seconds until what was fetched is asked for anew …
SERVES = 24 * 3600  # … and how long it serves while the provider does not answer
PAUSE = 10  # seconds between two attempts, whether they failed or somebody invents key ids
LARGEST = 1 << 20
_FETCHING = threading.Lock()
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


def configured() -> Provider:
    """The people's provider. Raises: SignInProblem where there is none."""
    provider: Provider | None = settings.TIDEGATE_OIDC
    if provider is None:
        raise SignInProblem("provider", "no provider is configured")
    return provider


def metadata() -> dict[str, Any]:
    """The provider's discovery document. Raises: SignInProblem."""
    provider = configured()
    document = _kept("metadata", provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if document.get("issuer") != provider.issuer:
        raise SignInProblem("provider", "the discovery document is another issuer's")
    for name in ENDPOINTS:
        if not _usable(document.get(name), provider):
            raise SignInProblem("provider", f"the discovery document has no usable {name}")
    return document


def endpoint(name: str) -> str:
    """An address that a provider may lack; empty then."""
    address = metadata().get(name)
    return str(address) if _usable(address, configured()) else ""


def keys_for(kid: object) -> list[jwk.Key]:
    """The signing keys to try for a token's ``kid``; without one, the only key there is. Raises: SignInProblem."""
    address = str(metadata()["jwks_uri"])
    found = _matching(_kept("keys", address), kid)
    # A rotated key, or an invented kid: look again, but not as often as somebody invents kids.
    return found or _matching(_kept("keys", address, age=PAUSE), kid)


def _matching(document: dict[str, Any], kid: object) -> list[jwk.Key]:
    listed = document.get("keys")
    usable = [key for key in (listed if isinstance(listed, list) else ()) if isinstance(key, dict) and key.get("use") in (None, "sig")]
    chosen = [key for key in usable if key.get("kid") == kid] if kid is not None else usable
    if kid is None and len(chosen) != 1:
        return []
    return [key for key in map(_imported, chosen) if key is not None]


def _imported(key: dict[str, Any]) -> jwk.Key | None:
    """The key, if this library can read it and it is a public one: one exotic key must not shut out the others."""
    if key.get("kty") == "oct":
        return None
    try:
        return jwk.import_key(key)
    except (JoseError, ValueError, KeyError, TypeError):
        return None


def _usable(address: object, provider: Provider) -> bool:
    if not isinstance(address, str):
        return False
    url = urlsplit(address)
    return bool(url.hostname) and (
        url.scheme == "https" or (provider.may_be_http and url.scheme == "http" and is_loopback(url.hostname or ""))
    )


def _kept(what: str, address: str, age: int = KEPT) -> dict[str, Any]:
    """What was fetched from ``address`` less than ``age`` seconds ago, else fetched now, else what there was."""
    name = f"oidc.{what}:{address}"
    if cache.get(f"{name}:fresh:{age}") is None:
        with _FETCHING:  # whoever comes meanwhile waits for what is fetched, instead of hearing that there is nothing
            _fetch(name, address, age)
    document: dict[str, Any] | None = cache.get(name)
    if document is None:
        raise SignInProblem("unreachable", f"{what} not fetched")
    return document


def _fetch(name: str, address: str, age: int) -> None:
    if cache.get(f"{name}:fresh:{age}") is not None or not cache.add(f"{name}:pause", True, PAUSE):
        return
    try:
        document = _fetched(address)
    except (requests.RequestException, ValueError) as problem:
        log.warning("oidc.not_fetched", extra={"address": address, "reason": type(problem).__name__})
        return
    cache.set(name, document, SERVES)
    for lasting in (KEPT, PAUSE):
        cache.set(f"{name}:fresh:{lasting}", True, lasting)


def _fetched(address: str) -> dict[str, Any]:
    # No redirects: addresses and keys come from where the environment says, or not at all.
    wanted = {"Accept": "application/json"}
    with requests.get(address, timeout=settings.OIDC_TIMEOUT, allow_redirects=False, stream=True, headers=wanted) as answer:
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}")
        content = answer.raw.read(LARGEST + 1, decode_content=True)
    if len(content) > LARGEST:
        raise ValueError("too large")
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("no JSON object")
    return document
