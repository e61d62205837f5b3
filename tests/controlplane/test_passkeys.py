"""Passkeys: an answer counts for one question about one matter, from one origin, with a verified user."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError

from audit.models import Entry
from controlplane import passkeys
from controlplane.models import Passkey, User
from controlplane.passkeys import PasskeyRefused
from tests.authenticator import PRESENT, Authenticator

pytestmark = pytest.mark.django_db
ORIGIN = "https://tidegate.example.com"
Prove = Callable[..., Passkey]


@pytest.fixture(autouse=True)
def address(settings: Any) -> None:
    settings.TIDEGATE_PUBLIC_URL = ORIGIN


@pytest.fixture
def dana() -> User:
    return User.objects.create(username="dana")


@pytest.fixture
def session() -> SessionStore:
    return SessionStore()


def register(session: SessionStore, user: User, name: str = "laptop", **how: Any) -> Authenticator:
    device = Authenticator(ORIGIN)
    options = json.loads(passkeys.question_to_register(session, user))
    passkeys.register(session, user, name=name, answer=device.create(options, **how))
    return device


@pytest.fixture
def device(session: SessionStore, dana: User) -> Authenticator:
    return register(session, dana)


def ask(session: SessionStore, user: User, matter: bytes = b"this") -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(passkeys.question(session, user, matter))
    return asked


def test_a_passkey_proves_a_matter(session: SessionStore, dana: User, device: Authenticator) -> None:
    asked = ask(session, dana)
    assert asked["userVerification"] == "required"
    assert len(asked["allowCredentials"]) == 1
    used = passkeys.prove(session, dana, b"this", device.get(asked))
    assert (used.name, used.sign_count, used.last_used_at is None) == ("laptop", 1, False)


def test_its_answer_is_good_once(session: SessionStore, dana: User, device: Authenticator) -> None:
    answer = device.get(ask(session, dana))
    passkeys.prove(session, dana, b"this", answer)
    with pytest.raises(PasskeyRefused, match="took too long"):
        passkeys.prove(session, dana, b"this", answer)


def _with_the_id_of(device: Authenticator) -> Authenticator:
    forger = Authenticator(ORIGIN)
    forger.credential_id = device.credential_id
    return forger


WRONG: dict[str, Callable[[Authenticator, dict[str, Any]], str]] = {
    "another origin": lambda device, asked: device.get(asked, origin="https://evil.example"),
    "another name": lambda device, asked: device.get(asked | {"rpId": "evil.example"}),
    "nobody verified": lambda device, asked: device.get(asked, flags=PRESENT),
    "an old challenge": lambda device, asked: device.get(asked | {"challenge": "AAAA"}),
    "a question to register": lambda device, asked: device.create({"rp": {"id": asked["rpId"]}, "challenge": asked["challenge"]}),
    "another key": lambda device, asked: _with_the_id_of(device).get(asked),
    "a stranger's": lambda device, asked: Authenticator(ORIGIN).get(asked),
    "nothing": lambda device, asked: "",
    "a list": lambda device, asked: "[]",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_answer_proves_nothing(session: SessionStore, dana: User, device: Authenticator, what: str) -> None:
    with pytest.raises(PasskeyRefused):
        passkeys.prove(session, dana, b"this", WRONG[what](device, ask(session, dana)))
    assert dana.passkeys.get().last_used_at is None


def test_another_matter_person_or_time_is_not_proved(
    session: SessionStore, dana: User, device: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PasskeyRefused, match="not the right one"):
        passkeys.prove(session, dana, b"that", device.get(ask(session, dana, b"this")))
    dora = User.objects.create(username="dora")
    with pytest.raises(PasskeyRefused, match="none of yours"):
        passkeys.prove(session, dora, b"this", device.get(ask(session, dora)))
    monkeypatch.setattr(passkeys, "SECONDS", -1)
    with pytest.raises(PasskeyRefused, match="too long"):
        passkeys.prove(session, dana, b"this", device.get(ask(session, dana)))


def test_a_copied_key_is_noticed(session: SessionStore, dana: User, device: Authenticator) -> None:
    device.count = 10
    passkeys.prove(session, dana, b"this", device.get(ask(session, dana)))
    device.count = 3
    with pytest.raises(PasskeyRefused):
        passkeys.prove(session, dana, b"this", device.get(ask(session, dana)))


def test_registering(session: SessionStore, dana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PasskeyRefused, match="could not be registered"):
        register(session, dana, flags=PRESENT)
    register(session, dana)
    with pytest.raises(ValidationError, match="of this name"):
        register(session, dana)
    entry = Entry.objects.filter(kind="admin.changed").latest("id")
    assert "controlplane.Passkey" in entry.canonical
    assert "public_key" not in entry.disclosures
    monkeypatch.setattr(passkeys, "AT_MOST", 1)
    with pytest.raises(PasskeyRefused, match="remove one"):
        register(session, dana, "telephone")


@pytest.mark.parametrize(("address", "works"), [
    ("https://tidegate.example.com", True), ("http://localhost:8000", True), ("http://127.0.0.1:8000", False),
    ("https://[::1]:8000", False), ("http://tidegate.example.com", False),
])  # fmt: skip
def test_where_there_can_be_passkeys(settings: Any, address: str, works: bool) -> None:
    settings.TIDEGATE_PUBLIC_URL = address
    assert (passkeys.unavailable() == "") is works
