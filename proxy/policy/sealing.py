"""Secrets for one worker: sealed by the control plane, opened only with the worker's own key (docs/contracts.md §3).

X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), ChaCha20-Poly1305 (RFC 8439). The nonce is zero because each ephemeral key,
and so each cipher key, encrypts one message only.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

INFO = b"tidegate-seal/1"
KEY_BYTES = 32
NONCE = bytes(12)


class SealingError(ValueError):
    """The sealed text was not made for this key, or was changed."""


def seal(content: bytes, recipient: bytes, ephemeral: X25519PrivateKey) -> str:
    """Base64 of the ephemeral public key and the ciphertext.

    ``recipient``: X25519 public key, 32 bytes. ``ephemeral``: freshly made, and never used again.
    """
    public = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    cipher = ChaCha20Poly1305(_derive(shared, public, recipient))
    return base64.b64encode(public + cipher.encrypt(NONCE, content, None)).decode()


def unseal(sealed: str, recipient: X25519PrivateKey) -> bytes:
    """The inverse of :func:`seal`. Raises SealingError."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        public, ciphertext = raw[:KEY_BYTES], raw[KEY_BYTES:]
        shared = recipient.exchange(X25519PublicKey.from_public_bytes(public))
        key = _derive(shared, public, recipient.public_key().public_bytes_raw())
        return ChaCha20Poly1305(key).decrypt(NONCE, ciphertext, None)
    except (binascii.Error, ValueError, InvalidTag):
        raise SealingError("the sealed text does not open with this worker's key") from None


def _derive(shared: bytes, public: bytes, recipient: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=public + recipient, info=INFO).derive(shared)
