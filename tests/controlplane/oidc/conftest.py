"""A real provider with a few people, and a browser that goes to it and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.core.cache import cache
from django.test import Client

from controlplane.oidc import configuration
from controlplane.oidc.configuration import Provider
from deploy.demo.identity_provider import IdentityProvider

PASSWORD = "correct horse battery"
PEOPLE = {
    "dana": {"password": PASSWORD, "email": "dana@example.com", "groups": ["data-owners", "elsewhere"]},
    "root": {"password": PASSWORD, "email": "root@example.com", "groups": ["tidegate-admins"]},
    "nobody": {"password": PASSWORD, "email": "nobody@example.com", "groups": ["elsewhere"]},
}


@pytest.fixture(scope="session")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    made = IdentityProvider(tmp_path_factory.mktemp("people"), [], people=PEOPLE)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def provider(idp: IdentityProvider, settings: Any) -> Iterator[Provider]:
    """Sign-in by the provider, as the environment would configure it."""
    roles = {"TIDEGATE_OIDC_ROLES": "admin=tidegate-admins, approver=data-owners", "TIDEGATE_OIDC_NAME": "Example ID"}
    settings.TIDEGATE_OIDC = configuration.read(idp.environment() | roles)
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "controlplane.oidc.backend.Backend"]
    cache.clear()
    yield settings.TIDEGATE_OIDC
    cache.clear()


class Browser(Client):
    """Django's, which also goes to the provider."""

    def to_provider(self, address: str = "/oidc/begin", username: str = "dana") -> str:
        """Begin, sign in at the provider; the address to which it sends the browser back, as path and query."""
        there = self.get(address)
        assert there.status_code == 302, there.content.decode()
        with httpx.Client(trust_env=False) as http:
            page = http.get(there["Location"])
            transaction = re.search(r'name="transaction_id" value="([^"]+)"', page.text)
            assert transaction, page.text
            fields = {"username": username, "password": PASSWORD, "transaction_id": transaction[1]}
            back = http.post(there["Location"].split("?")[0], data=fields)
        return "/oidc/callback?" + urlsplit(back.headers["location"]).query

    def sign_in(self, username: str = "dana", address: str = "/oidc/begin") -> Any:
        """All the way; what the callback answers."""
        return self.get(self.to_provider(address, username))


def asked_for(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@pytest.fixture
def browser(db: None, provider: Provider) -> Browser:
    return Browser()
