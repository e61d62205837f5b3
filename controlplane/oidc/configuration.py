"""What the environment says of the people's identity provider (docs/sign-in.md)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

ROLES = ("admin", "approver", "auditor")
# No algorithm with a shared secret, and never `none`.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")


@dataclass(frozen=True, slots=True)
class Provider:
    """``roles`` maps a role to the groups that give it; empty: roles are given in Tidegate. Likewise ``groups_claim``."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    scopes: str
    algorithms: tuple[str, ...]
    username_claim: str
    groups_claim: str
    roles: Mapping[str, frozenset[str]]

    @property
    def may_be_http(self) -> bool:
        return self.issuer.startswith("http://")


def read(environment: Mapping[str, str]) -> Provider | None:
    """The provider, or None where none is named. Raises ImproperlyConfigured with the variable that is wrong."""

    def given(name: str, default: str = "") -> str:
        return environment.get(f"TIDEGATE_OIDC_{name}", "").strip() or default

    issuer = given("ISSUER")
    if not issuer:
        stray = sorted(name for name, value in environment.items() if name.startswith("TIDEGATE_OIDC_") and value)
        if stray:
            raise ImproperlyConfigured(f"{stray[0]} is set, but TIDEGATE_OIDC_ISSUER is not: which provider is meant?")
        return None
    _check_issuer(issuer)
    if not given("CLIENT_ID") or not given("CLIENT_SECRET"):
        raise ImproperlyConfigured(
            "TIDEGATE_OIDC_CLIENT_ID and TIDEGATE_OIDC_CLIENT_SECRET (or …_FILE): what the provider registered Tidegate as."
        )
    roles = _roles(given("ROLES"))
    groups_claim = given("GROUPS_CLAIM", "groups" if roles else "")
    return Provider(
        issuer=issuer,
        client_id=given("CLIENT_ID"),
        client_secret=given("CLIENT_SECRET"),
        name=given("NAME", urlsplit(issuer).hostname or issuer),
        scopes=_scopes(given("SCOPES", "openid profile email")),
        algorithms=_algorithms(given("ALGORITHMS", "RS256,ES256")),
        username_claim=given("USERNAME_CLAIM", "preferred_username"),
        groups_claim=groups_claim,
        roles=roles,
    )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_issuer(issuer: str) -> None:
    url = urlsplit(issuer)
    safe = url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or ""))
    if not safe or not url.hostname or url.query or url.fragment:
        raise ImproperlyConfigured(
            "TIDEGATE_OIDC_ISSUER is the provider's https:// address, letter by letter as its tokens name it (`iss`)."
        )


def _scopes(text: str) -> str:
    scopes = text.replace(",", " ").split()
    if "openid" not in scopes:
        raise ImproperlyConfigured("TIDEGATE_OIDC_SCOPES must hold openid.")
    return " ".join(scopes)


def _algorithms(text: str) -> tuple[str, ...]:
    named = tuple(item.strip() for item in text.split(",") if item.strip())
    if not named or set(named) - set(ALGORITHMS):
        raise ImproperlyConfigured(f"TIDEGATE_OIDC_ALGORITHMS names at least one of {', '.join(ALGORITHMS)}.")
    return named


def _roles(text: str) -> dict[str, frozenset[str]]:
    """``admin=GROUP|GROUP, approver=GROUP``."""
    roles: dict[str, frozenset[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, found, groups = part.partition("=")
        named = frozenset(filter(None, (group.strip() for group in groups.split("|"))))
        if role.strip() not in ROLES or not found or not named:
            raise ImproperlyConfigured(f"TIDEGATE_OIDC_ROLES looks like admin=GROUP,approver=GROUP|GROUP,auditor=GROUP; not '{part}'.")
        roles[role.strip()] = named
    return roles
