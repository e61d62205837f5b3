"""Sealed secrets open for their worker only."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from proxy.policy.sealing import SealingError, seal, unseal

WORKER = X25519PrivateKey.from_private_bytes(bytes(range(32)))
EPHEMERAL = X25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
CONTENT = b'{"connections":{}}'
GOLDEN = "NYBy1jZYgNGu6jKa35EhODhR7SGijjt16WXQ0s0WYlTH8gmRDxTXuwY/GXcSOtOqRiRsSa9xnvzxVmgAk7DVqFLr"


def sealed() -> str:
    return seal(CONTENT, WORKER.public_key().public_bytes_raw(), EPHEMERAL)


def test_golden() -> None:
    assert sealed() == GOLDEN
    assert unseal(GOLDEN, WORKER) == CONTENT


def test_begins_with_the_ephemeral_key() -> None:
    raw = base64.b64decode(sealed())
    assert raw[:32] == EPHEMERAL.public_key().public_bytes_raw()
    assert len(raw) == 32 + len(CONTENT) + 16
    assert CONTENT not in raw


def test_another_worker_cannot_open_it() -> None:
    with pytest.raises(SealingError):
        unseal(sealed(), X25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.mark.parametrize("position", range(0, 66))
def test_no_byte_can_change(position: int) -> None:
    raw = bytearray(base64.b64decode(sealed()))
    raw[position] ^= 1
    with pytest.raises(SealingError):
        unseal(base64.b64encode(raw).decode(), WORKER)


@pytest.mark.parametrize(
    "text", ["", "!", "AAAA", base64.b64encode(bytes(32)).decode(), base64.b64encode(bytes(64)).decode(), sealed()[:-4]]
)
def test_what_is_nothing_sealed(text: str) -> None:
    with pytest.raises(SealingError):
        unseal(text, WORKER)
