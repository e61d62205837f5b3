"""Checkpoints: the tree's size and root as a C2SP signed note (https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proxy.ledger.verify import Checkpoint, VerificationError, VerifierKey, open_note, read_checkpoint, read_key

__all__ = ["Checkpoint", "VerificationError", "VerifierKey", "key_names", "read_key", "sign", "verifier_key", "verify"]


def verifier_key(key_name: str, public_key: Ed25519PublicKey) -> VerifierKey:
    """The key as auditors get it: ``str()`` of it is ``name+hash+base64``. Raises ValueError for an unfit name."""
    if not key_name or re.search(r"[\s+]", key_name):
        raise ValueError(f"{key_name!r} cannot name a key: it is empty, or has a space or a plus sign")
    return VerifierKey(key_name, public_key.public_bytes_raw())


def sign(origin: str, size: int, root: bytes, private_key: Ed25519PrivateKey, key_name: str) -> str:
    """A signed checkpoint. ``root``: 32 bytes. Raises ValueError where one of them cannot stand in a checkpoint."""
    if not origin or "\n" in origin or size < 0 or len(root) != 32:
        raise ValueError("not a checkpoint: origin, size or root is malformed")
    key = verifier_key(key_name, private_key.public_key())
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    signature = base64.b64encode(key.key_id + private_key.sign(body.encode())).decode()
    return f"{body}\n\u2014 {key_name} {signature}\n"


def verify(text: str, public_key: Ed25519PublicKey | VerifierKey) -> Checkpoint:
    """The checkpoint, if this key signed it under one of the names in the note. Raises VerificationError."""
    if isinstance(public_key, VerifierKey):
        return read_checkpoint(open_note(text, public_key))
    problem = VerificationError("not a signed note")
    for name in key_names(text):
        try:
            return read_checkpoint(open_note(text, verifier_key(name, public_key)))
        except VerificationError as error:
            problem = error
    raise problem


def key_names(text: str) -> list[str]:
    """The names on the signature lines of a note."""
    return re.findall(r"^\u2014 ([^\s+]+) ", text.rpartition("\n\n")[2], re.MULTILINE)
