"""The signature on a bundle: nothing of a bundle is looked at before it holds (docs/contracts.md §1)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proxy.policy.bundle import BundleError


class _Serial(msgspec.Struct, frozen=True):
    serial: int


def sign_bundle(payload: bytes, key_id: str, private_key: Ed25519PrivateKey) -> dict[str, str]:
    """The signed part of the answer to ``GET /api/v1/worker/bundle``: payload, digest, key id and signature."""
    return {
        "payload": payload.decode(),
        "digest": hashlib.sha256(payload).hexdigest(),
        "key_id": key_id,
        "signature": base64.b64encode(private_key.sign(payload)).decode(),
    }


def verify_bundle(response: Mapping[str, object], keys: Mapping[str, bytes], last_serial: int) -> bytes:
    """The payload, if a known key (32 bytes each) signed it and its serial is not below ``last_serial``.

    Raises BundleError saying which of the checks failed.
    """
    payload, digest, key_id, signature = (_text(response, name) for name in ("payload", "digest", "key_id", "signature"))
    key = keys.get(key_id)
    if key is None:
        raise BundleError(f"bundle: signed with unknown key {key_id!r}")
    content = payload.encode()
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        raise BundleError(f"bundle: the signature does not hold for key {key_id!r}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise BundleError("bundle: the digest is not that of the payload")
    try:
        serial = msgspec.json.decode(content, type=_Serial).serial
    except msgspec.DecodeError as error:
        raise BundleError(f"bundle: {error}") from None
    if serial < last_serial:
        raise BundleError(f"bundle: serial {serial} is older than {last_serial}, which this worker has seen")
    return content


def _text(response: Mapping[str, object], name: str) -> str:
    value = response.get(name)
    if not isinstance(value, str):
        raise BundleError(f"bundle: {name} is missing from the answer")
    return value
