"""Who this worker is: its two keys, its enrolment, and how it signs what it says.

All processes of a host share one identity, kept in ``identity.json`` (mode 0600) in the worker's directory. The keys
are written down *before* the one-time token is used: if the answer to the enrolment gets lost, the next attempt shows
the same public keys again.
"""

from __future__ import annotations

import base64
import hmac
import os
import time
import uuid
from pathlib import Path

import httpx
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from joserfc import jws, jwt
from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jwk import OKPKey

from worker.tls import client_context

AUDIENCE = "tidegate-control"
TOKEN_SECONDS = 55  # the control plane accepts at most 60
_PATH = "identity.json"
_PENDING = "identity.pending.json"


class EnrolmentError(RuntimeError):
    """The worker has no identity and could not get one; the message holds no token."""


class BundleKey(msgspec.Struct, frozen=True):
    key_id: str
    public_key: str  # base64, Ed25519


class Stored(msgspec.Struct, frozen=True):
    """``identity.json``: private keys as base64 of their 32 raw bytes."""

    signing_key: str
    sealing_key: str
    worker: str = ""
    bundle_keys: tuple[BundleKey, ...] = ()


class _Enrolled(msgspec.Struct):
    worker: str
    bundle_keys: tuple[BundleKey, ...]


class _Signatures(jws.JWSRegistry):
    """EdDSA (RFC 8037) and nothing else, without the library's warning on each call that RFC 9864 gave it another name."""

    def get_alg(self, name: str) -> jws.JWSAlgModel:  # type: ignore[name-defined]  # not exported by the library
        if name != "EdDSA":
            raise UnsupportedAlgorithmError("only EdDSA is used")
        return self.algorithms[name]


class Identity:
    """An enrolled worker's keys."""

    def __init__(self, stored: Stored) -> None:
        self.worker = stored.worker
        self.bundle_keys = {key.key_id: base64.b64decode(key.public_key) for key in stored.bundle_keys}
        self.sealing_key = X25519PrivateKey.from_private_bytes(base64.b64decode(stored.sealing_key))
        # For what must be secret, stable and equal in all processes of the host, but is no signature.
        self.mock_secret = hmac.digest(base64.b64decode(stored.signing_key), b"tidegate-mock-salt/1", "sha256")
        self._key = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(base64.b64decode(stored.signing_key)))

    def __repr__(self) -> str:
        return f"Identity(worker={self.worker!r})"

    def token(self) -> str:
        """A fresh JWT for one call to the control plane (docs/contracts.md §2)."""
        now = int(time.time())
        claims = {"iss": self.worker, "aud": AUDIENCE, "iat": now, "exp": now + TOKEN_SECONDS, "jti": str(uuid.uuid4())}
        return jwt.encode(self._header(), claims, self._key, registry=_Signatures())

    def sign(self, payload: bytes) -> str:
        """A compact JWS of ``payload``, for what travels through the broker."""
        return jws.serialize_compact(self._header(), payload, self._key, registry=_Signatures())

    def _header(self) -> dict[str, str]:
        return {"alg": "EdDSA", "kid": self.worker}


def load(directory: Path) -> Identity | None:
    """The identity kept in ``directory``, or None where there is none yet."""
    stored = _read(directory / _PATH)
    return Identity(stored) if stored else None


def enrol(directory: Path, control_url: str, token: str, name: str) -> Identity:
    """Use the one-time token to become a worker, and keep the identity. Raises: EnrolmentError."""
    if not token:
        raise EnrolmentError("this worker has no identity yet: set TIDEGATE_ENROL_TOKEN to a one-time token of the control plane")
    pending = _read(directory / _PENDING) or _new_keys()
    _write(directory / _PENDING, pending)
    answer = _ask(control_url, {"token": token, "name": name, **_public_keys(pending)})
    stored = msgspec.structs.replace(pending, worker=answer.worker, bundle_keys=answer.bundle_keys)
    _write(directory / _PATH, stored)
    (directory / _PENDING).unlink()
    return Identity(stored)


def _ask(control_url: str, body: dict[str, str]) -> _Enrolled:
    try:
        response = httpx.post(f"{control_url}/api/v1/worker/enrol", json=body, timeout=15, verify=client_context(), trust_env=False)
    except httpx.HTTPError as error:
        raise EnrolmentError(f"the control plane at {control_url} cannot be reached: {type(error).__name__}") from error
    if response.status_code != 201:
        raise EnrolmentError(f"the control plane refused the enrolment with HTTP {response.status_code}: is the token used up or expired?")
    try:
        return msgspec.json.decode(response.content, type=_Enrolled)
    except msgspec.MsgspecError as error:
        raise EnrolmentError("the control plane's answer to the enrolment cannot be read") from error


def _new_keys() -> Stored:
    raw = (serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    return Stored(
        signing_key=base64.b64encode(Ed25519PrivateKey.generate().private_bytes(*raw)).decode(),
        sealing_key=base64.b64encode(X25519PrivateKey.generate().private_bytes(*raw)).decode(),
    )


def _public_keys(stored: Stored) -> dict[str, str]:
    signing = Ed25519PrivateKey.from_private_bytes(base64.b64decode(stored.signing_key)).public_key()
    sealing = X25519PrivateKey.from_private_bytes(base64.b64decode(stored.sealing_key)).public_key()
    return {
        "public_key": base64.b64encode(signing.public_bytes_raw()).decode(),
        "sealing_key": base64.b64encode(sealing.public_bytes_raw()).decode(),
    }


def _read(path: Path) -> Stored | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Stored)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise EnrolmentError(f"{path.name} in the worker's directory is damaged; restore it, or remove it and enrol again") from error


def _write(path: Path, stored: Stored) -> None:
    write_private(path, msgspec.json.encode(stored))


def write_private(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step, readable by the owner only, and durable when it returns."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
