from __future__ import annotations

import base64

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controlplane import crypto


def test_keys_rotate(settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.TIDEGATE_FERNET_KEYS = [old]
    kept = crypto.encrypt(b"a pass phrase")
    assert b"a pass phrase" not in kept
    settings.TIDEGATE_FERNET_KEYS = [new, old]
    assert crypto.decrypt(kept) == b"a pass phrase"
    renewed = crypto.encrypt(b"a pass phrase")
    settings.TIDEGATE_FERNET_KEYS = [new]
    assert crypto.decrypt(renewed) == b"a pass phrase"
    with pytest.raises(crypto.Undecryptable, match="TIDEGATE_FERNET_KEYS"):
        crypto.decrypt(kept)


def test_the_public_key_verifies_what_is_signed() -> None:
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(crypto.bundle_public_key()))
    public.verify(crypto.signing_key().sign(b"payload"), b"payload")
    assert len(crypto.bundle_key_id()) == 16
