"""A bundle that is not signed by a known key, was changed, or is older than what the worker has seen, is not looked at."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.policy.bundle import BundleError
from proxy.policy.signature import sign_bundle, verify_bundle

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {"k1": KEY.public_key().public_bytes_raw()}
PAYLOAD = json.dumps({"serial": 12, "name": "ünïcode"}, ensure_ascii=False).encode()


def test_a_good_one() -> None:
    assert verify_bundle(sign_bundle(PAYLOAD, "k1", KEY), KEYS, 0) == PAYLOAD
    assert verify_bundle(sign_bundle(PAYLOAD, "k1", KEY), KEYS, 12) == PAYLOAD


def test_golden_signature() -> None:
    # Ed25519 is deterministic (RFC 8032), so workers of every version must agree on this.
    response = sign_bundle(b'{"serial":1}', "k1", KEY)
    assert response["digest"] == hashlib.sha256(b'{"serial":1}').hexdigest()
    KEY.public_key().verify(base64.b64decode(response["signature"]), b'{"serial":1}')


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"payload": PAYLOAD.decode().replace("12", "13")}, "signature does not hold"),
        ({"signature": base64.b64encode(bytes(64)).decode()}, "signature does not hold"),
        ({"signature": "not base64!"}, "signature does not hold"),
        ({"signature": ""}, "signature does not hold"),
        ({"digest": "0" * 64}, "digest"),
        ({"key_id": "k2"}, "unknown key 'k2'"),
        ({"payload": None}, "payload is missing"),
        ({"signature": 1}, "signature is missing"),
    ],
)
def test_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        verify_bundle({**sign_bundle(PAYLOAD, "k1", KEY), **change}, KEYS, 0)


def test_an_older_bundle_is_refused() -> None:
    with pytest.raises(BundleError, match="serial 12 is older than 13"):
        verify_bundle(sign_bundle(PAYLOAD, "k1", KEY), KEYS, 13)


@pytest.mark.parametrize("payload", [b"{}", b"[]", b"nothing", b'{"serial": "1"}'])
def test_a_signed_text_without_serial_is_refused(payload: bytes) -> None:
    with pytest.raises(BundleError):
        verify_bundle(sign_bundle(payload, "k1", KEY), KEYS, 0)


def test_a_malformed_key_is_a_refusal() -> None:
    with pytest.raises(BundleError, match="signature"):
        verify_bundle(sign_bundle(PAYLOAD, "k1", KEY), {"k1": b"short"}, 0)
