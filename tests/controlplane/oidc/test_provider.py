"""Addresses and keys are fetched, kept, fetched anew for an unknown key id, and not more often than every ten seconds."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.core.cache import cache

from controlplane.oidc import provider as kept
from controlplane.oidc.configuration import Provider
from controlplane.oidc.problems import SignInProblem
from deploy.demo.identity_provider import KEY_ID


@pytest.fixture
def fetched(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were really asked, which can be made to fail by ``fetched.clear()`` and "down"."""
    addresses: list[str] = []
    ask = requests.get

    def watched(address: str, **options: object) -> requests.Response:
        addresses.append(address)
        if "down" in addresses:
            raise requests.ConnectionError
        return ask(address, **options)

    monkeypatch.setattr(requests, "get", watched)
    return addresses


def pass_time() -> None:
    """What is kept is still there, but its time is over."""
    for name in list(cache._cache):
        if ":fresh:" in name or name.endswith(":pause"):
            cache.delete(name.split(":", 2)[2])


def test_keys_are_kept(fetched: list[str]) -> None:
    for _ in range(3):
        assert len(kept.keys_for(KEY_ID)) == 1
    assert len(kept.keys_for(None)) == 1
    assert len(fetched) == 2  # the addresses, the keys


def test_an_unknown_key_id_asks_again_but_not_for_ever(fetched: list[str]) -> None:
    kept.keys_for(KEY_ID)
    for number in range(20):
        assert kept.keys_for(f"invented {number}") == []
    assert len(fetched) == 2
    pass_time()
    for number in range(20):
        kept.keys_for(f"invented {number}")
    assert len(fetched) == 4


def test_what_was_fetched_serves_while_the_provider_is_away(fetched: list[str]) -> None:
    kept.keys_for(KEY_ID)
    fetched.append("down")
    pass_time()
    assert len(kept.keys_for(KEY_ID)) == 1
    cache.clear()
    with pytest.raises(SignInProblem, match="unreachable"):
        kept.metadata()
    asked = len(fetched)
    with pytest.raises(SignInProblem, match="unreachable"):
        kept.metadata()
    assert len(fetched) == asked  # a provider that is down is not asked by everybody who comes


def test_documents_that_are_not_the_providers(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    good = kept.metadata()
    for change in ({"issuer": "https://other.example"}, {"jwks_uri": None}, {"token_endpoint": "http://elsewhere.example/"}):
        cache.set(f"oidc.metadata:{provider.issuer}/.well-known/openid-configuration", good | change)
        with pytest.raises(SignInProblem, match="provider"):
            kept.metadata()


def test_a_symmetric_key_is_no_key() -> None:
    assert kept._matching({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}, {"kty": "odd", "kid": "a"}, "x"]}, "a") == []


def test_whoever_comes_while_it_is_fetched_first_waits_for_that(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, asked, go_on = requests.get, threading.Event(), threading.Event()

    def slow(address: str, **options: object) -> requests.Response:
        asked.set()
        go_on.wait(10)
        return ask(address, **options)

    monkeypatch.setattr(requests, "get", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(kept.metadata)
        asked.wait(10)
        second = threads.submit(kept.metadata)
        go_on.set()
        assert first.result() == second.result()
