"""Passkeys (WebAuthn Level 2): registering them, and proving with one that its owner means exactly this.

A challenge says what it is about: it is the hash of a nonce, which stays in the session and is good once, and of the matter.
So an assertion for one matter is none for another.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import webauthn
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.utils import timezone
from webauthn.helpers import base64url_to_bytes, options_to_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from controlplane import services
from controlplane.models import Passkey, User

SECONDS = 300  # from the question to the answer
AT_MOST = 20  # of one person
_QUESTION = "tidegate_passkey"
_REGISTRATION = b"register"


class PasskeyRefused(Exception):
    """Why a passkey's answer does not count; for the person who gave it."""


def unavailable() -> str:
    """Why there can be no passkeys at this address; empty where there can."""
    host, scheme = urlsplit(settings.TIDEGATE_PUBLIC_URL).hostname or "", urlsplit(settings.TIDEGATE_PUBLIC_URL).scheme
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if scheme == "https" or host == "localhost":
            return ""
        return "Passkeys need https."
    return f"Passkeys belong to a name, and TIDEGATE_PUBLIC_URL is an address of the network ({host})."


def question_to_register(session: SessionBase, user: User) -> str:
    """The options of ``navigator.credentials.create``, as JSON."""
    return options_to_json(
        webauthn.generate_registration_options(
            rp_id=_name(),
            rp_name="Tidegate",
            user_id=hashlib.sha256(f"tidegate-user/{user.pk}".encode()).digest(),
            user_name=user.get_username(),
            user_display_name=user.get_full_name() or user.get_username(),
            challenge=_challenge(_ask(session), user, _REGISTRATION),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=_descriptors(user),
        )
    )


def register(session: SessionBase, user: User, *, name: str, answer: str) -> Passkey:
    """Keep a new passkey. Raises: PasskeyRefused, ValidationError (for its name)."""
    nonce = _asked(session)
    if user.passkeys.count() >= AT_MOST:
        raise PasskeyRefused(f"You have {AT_MOST} passkeys: remove one first.")
    try:
        made = webauthn.verify_registration_response(
            credential=_read(answer),
            expected_challenge=_challenge(nonce, user, _REGISTRATION),
            expected_rp_id=_name(),
            expected_origin=_origin(),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise PasskeyRefused("The passkey could not be registered: its answer is not the right one. Try again.") from None
    passkey = Passkey(user=user, name=name.strip(), credential_id=made.credential_id, public_key=made.credential_public_key)
    passkey.sign_count = made.sign_count
    return services.save(passkey, actor=user, publish=False)


def question(session: SessionBase, user: User, matter: bytes) -> str:
    """The options of ``navigator.credentials.get``, as JSON: an answer says that ``user`` means ``matter``."""
    return options_to_json(
        webauthn.generate_authentication_options(
            rp_id=_name(),
            challenge=_challenge(_ask(session), user, matter),
            allow_credentials=_descriptors(user),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def prove(session: SessionBase, user: User, matter: bytes, answer: str) -> Passkey:
    """The passkey with which ``user`` said that they mean ``matter``. Raises: PasskeyRefused."""
    nonce, given = _asked(session), _read(answer)
    with transaction.atomic():
        passkey = _named_by(user, given)
        try:
            proved = webauthn.verify_authentication_response(
                credential=given,
                expected_challenge=_challenge(nonce, user, matter),
                expected_rp_id=_name(),
                expected_origin=_origin(),
                credential_public_key=bytes(passkey.public_key),
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            raise PasskeyRefused("The passkey's answer is not the right one for this. Try again.") from None
        passkey.sign_count, passkey.last_used_at = proved.new_sign_count, timezone.now()
        passkey.save(update_fields=["sign_count", "last_used_at"])
    return passkey


def _named_by(user: User, given: dict[str, Any]) -> Passkey:
    try:
        credential_id = base64url_to_bytes(str(given["rawId"]))
    except (KeyError, ValueError):
        raise PasskeyRefused("The browser sent no passkey's answer.") from None
    passkey = user.passkeys.select_for_update().filter(credential_id=credential_id).first()
    if passkey is None:
        raise PasskeyRefused("This passkey is none of yours.")
    return passkey


def _ask(session: SessionBase) -> bytes:
    nonce = secrets.token_bytes(32)
    session[_QUESTION] = {"nonce": nonce.hex(), "until": int(time.time()) + SECONDS}
    return nonce


def _asked(session: SessionBase) -> bytes:
    """The nonce of the question that was asked last, which is used up by this."""
    asked = session.pop(_QUESTION, None)
    if asked is None or asked["until"] < time.time():
        raise PasskeyRefused("That took too long, or another window asked in between. Try again.")
    return bytes.fromhex(asked["nonce"])


def _challenge(nonce: bytes, user: User, matter: bytes) -> bytes:
    return hashlib.sha256(b"tidegate-passkey/1\0" + nonce + str(user.pk).encode() + b"\0" + matter).digest()


def _descriptors(user: User) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=bytes(item.credential_id)) for item in user.passkeys.all()]


def _read(answer: str) -> dict[str, Any]:
    try:
        read = json.loads(answer)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise PasskeyRefused("The browser sent no passkey's answer. Is JavaScript switched off?")
    return read


def _name() -> str:
    """The relying party's id: the host by which people know this control plane."""
    return urlsplit(settings.TIDEGATE_PUBLIC_URL).hostname or ""


def _origin() -> str:
    url = urlsplit(settings.TIDEGATE_PUBLIC_URL)
    return f"{url.scheme}://{url.netloc}"
