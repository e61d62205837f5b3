"""API keys: how they look, and what SCRAM-SHA-256 keeps of them (RFC 5802 section 3, RFC 7677)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

PREFIX = "tgk_"
ITERATIONS = 4096
# RFC 7677 asks for at least 4096. Keys are 256 random bits (or 32 characters and more chosen by an admin), which no
# dictionary holds, so more rounds would only make every agent's connect slower.
MINIMUM_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Verifier:
    stored_key: bytes
    server_key: bytes


def generate() -> str:
    """A new key with 256 bits of randomness."""
    return PREFIX + secrets.token_urlsafe(32)


def problem_with(key: str) -> str:
    """Why an admin's own key cannot be used; empty if it can."""
    if len(key) < MINIMUM_LENGTH:
        return f"An API key has {MINIMUM_LENGTH} characters or more; this one has {len(key)}."
    # Only for printable ASCII do all drivers agree on SASLprep (RFC 4013).
    if not all(33 <= ord(character) <= 126 for character in key):
        return "An API key is made of printable ASCII characters without spaces."
    if len(set(key)) < 10:
        return "This key repeats too few characters to be random."
    return ""


def verifier(key: str, salt: bytes) -> Verifier:
    salted = hashlib.pbkdf2_hmac("sha256", key.encode("ascii"), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return Verifier(stored_key=hashlib.sha256(client_key).digest(), server_key=hmac.digest(salted, b"Server Key", "sha256"))


def recognisable(key: str) -> tuple[str, str]:
    """(first characters, last four) by which people tell keys apart; too little to help guessing."""
    shown = key[: len(PREFIX) + 4] if key.startswith(PREFIX) else key[:4]
    return shown, key[-4:]
