from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from controlplane.oidc import configuration

GIVEN = {
    "TIDEGATE_OIDC_ISSUER": "https://id.example.com/realms/people",
    "TIDEGATE_OIDC_CLIENT_ID": "tidegate",
    "TIDEGATE_OIDC_CLIENT_SECRET": "a secret",
}


def test_nothing_given_is_no_provider() -> None:
    assert configuration.read({}) is None


def test_what_is_not_said_has_a_default() -> None:
    provider = configuration.read(GIVEN)
    assert provider is not None
    assert (provider.name, provider.scopes, provider.algorithms) == ("id.example.com", "openid profile email", ("RS256", "ES256"))
    assert (provider.groups_claim, provider.roles) == ("", {})
    assert "a secret" not in repr(provider)


def test_roles_are_given_by_groups() -> None:
    provider = configuration.read(GIVEN | {"TIDEGATE_OIDC_ROLES": "admin=ops, approver=owners|dpo"})
    assert provider is not None
    assert provider.roles == {"admin": {"ops"}, "approver": {"owners", "dpo"}}
    assert provider.groups_claim == "groups"


@pytest.mark.parametrize("change", [
    {"ISSUER": ""}, {"ISSUER": "http://id.example.com"}, {"ISSUER": "https://id.example.com/?x=1"}, {"CLIENT_SECRET": ""},
    {"SCOPES": "profile"}, {"ALGORITHMS": "HS256"}, {"ALGORITHMS": "none"}, {"ROLES": "king=ops"}, {"ROLES": "admin"}, {"ROLES": "admin="},
])  # fmt: skip
def test_what_is_wrong_is_named(change: dict[str, str]) -> None:
    with pytest.raises(ImproperlyConfigured, match="TIDEGATE_OIDC"):
        configuration.read(GIVEN | {f"TIDEGATE_OIDC_{name}": value for name, value in change.items()})
