"""Secrets at rest, and the key that signs bundles."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings


class Undecryptable(RuntimeError):
    """A secret was encrypted with a key that ``TIDEGATE_FERNET_KEYS`` no longer holds."""


def encrypt(plain: bytes) -> bytes:
    """Encrypt with the first of ``TIDEGATE_FERNET_KEYS``."""
    return _fernet().encrypt(plain)


def decrypt(token: bytes) -> bytes:
    """Decrypt with whichever key fits. Raises Undecryptable."""
    try:
        return _fernet().decrypt(bytes(token))
    except InvalidToken:
        raise Undecryptable("A stored secret was encrypted with none of TIDEGATE_FERNET_KEYS: was a key taken out too early?") from None


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.TIDEGATE_FERNET_KEYS])


def bundle_public_key() -> str:
    """Base64 of the 32 raw bytes that workers learn when they enrol."""
    return base64.b64encode(signing_key().public_key().public_bytes_raw()).decode()


def bundle_key_id() -> str:
    """The first 16 hexadecimal digits of the public key's SHA-256."""
    return hashlib.sha256(signing_key().public_key().public_bytes_raw()).hexdigest()[:16]


def signing_key() -> Ed25519PrivateKey:
    """The key of ``TIDEGATE_SIGNING_KEY``: it signs bundles and checkpoints."""
    return Ed25519PrivateKey.from_private_bytes(settings.TIDEGATE_SIGNING_SEED)
