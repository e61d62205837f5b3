"""Verifiers against the test vector of RFC 7677, and keys that are too weak."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from controlplane import api_keys


def test_the_verifier_is_that_of_rfc_7677() -> None:
    """Section 3: user 'user', password 'pencil', 4096 iterations."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    found = api_keys.verifier("pencil", salt)
    auth = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(found.stored_key, auth, "sha256")
    client_key = bytes(left ^ right for left, right in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == found.stored_key
    assert base64.b64encode(hmac.digest(found.server_key, auth, "sha256")) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_generated_keys_are_long_and_different() -> None:
    keys = {api_keys.generate() for _ in range(100)}
    assert len(keys) == 100
    assert all(api_keys.problem_with(key) == "" for key in keys)


@pytest.mark.parametrize(
    ("key", "why"),
    [("x" * 31, "32 characters"), ("a" * 40, "repeats"), ("0123456789abcdef 0123456789abcdef", "without spaces"), ("é" * 40, "ASCII")],
)
def test_weak_keys_are_refused(key: str, why: str) -> None:
    assert why in api_keys.problem_with(key)


def test_what_is_shown_of_a_key_is_little() -> None:
    key = api_keys.generate()
    prefix, last = api_keys.recognisable(key)
    assert key.startswith(prefix)
    assert key.endswith(last)
    assert len(prefix.removeprefix(api_keys.PREFIX)) + len(last) <= 8
