"""Signed notes, against the example of the C2SP signed-note specification and every way to bend one."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.ledger.checkpoint import VerificationError, read_key, sign, verifier_key, verify
from proxy.ledger.verify import open_note

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ROOT = bytes(range(100, 132))
NAME = "ledger.example.com/tidegate"

# The well-known key of Go's checksum database, whose key hash anybody can look up.
SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

GOLDEN = """ledger.example.com/tidegate
1200
ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=

\u2014 ledger.example.com/tidegate owaTlqLGwi/eg03TuTbfoPBNgR3z2ABC/xWomodIESD0qP1JQ2l9OZ+n+SHwGvIlMVDsViqfFKT447qcwdTWe6XfnQY=
"""
GOLDEN_KEY = "ledger.example.com/tidegate+a3069396+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"


def note() -> str:
    return sign(NAME, 1200, ROOT, KEY, NAME)


def test_key_hash_is_that_of_a_published_key() -> None:
    key = read_key(SUMDB_KEY)
    assert key.name == "sum.golang.org"
    assert str(key) == SUMDB_KEY


def test_golden_note() -> None:
    assert note() == GOLDEN
    assert str(verifier_key(NAME, KEY.public_key())) == GOLDEN_KEY


def test_round_trip() -> None:
    found = verify(note(), KEY.public_key())
    assert (found.origin, found.size, found.root) == (NAME, 1200, ROOT)
    assert verify(note(), verifier_key(NAME, KEY.public_key())) == found


def test_a_witness_signature_does_not_disturb() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    witness = sign(NAME, 1200, ROOT, other, "witness.example.com").split("\n")[4]
    assert verify(note() + witness + "\n", KEY.public_key()).size == 1200
    assert verify(note() + witness + "\n", other.public_key()).size == 1200


def test_wrong_key_is_named() -> None:
    other = verifier_key(NAME, Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
    with pytest.raises(VerificationError, match=rf"not signed by {NAME}\+{other.key_id.hex()}, but by {NAME}"):
        verify(note(), other)


@pytest.mark.parametrize("position", range(0, len(note()) - 1, 3))
def test_no_character_can_change(position: int) -> None:
    text = note()
    changed = text[:position] + ("x" if text[position] != "x" else "y") + text[position + 1 :]
    with pytest.raises(VerificationError):
        verify(changed, verifier_key(NAME, KEY.public_key()))


@pytest.mark.parametrize(
    "body", ["origin\n01\n{root}\n", "origin\n-1\n{root}\n", "origin\n1\nAAAA\n", "origin\n1\n", "\n1\n{root}\n", "origin\n1\n{root} \n"]
)
def test_a_signed_note_that_is_no_checkpoint(body: str) -> None:
    text = body.format(root=base64.b64encode(ROOT).decode())
    key = verifier_key(NAME, KEY.public_key())
    signature = base64.b64encode(key.key_id + KEY.sign(text.encode())).decode()
    with pytest.raises(VerificationError):
        verify(f"{text}\n\u2014 {NAME} {signature}\n", key)


@pytest.mark.parametrize("text", ["", "\n", "a\n\n", "a\n\nb\n", "a\n\n\u2014 n !!!\n", note()[:-1], note().replace("\u2014", "-")])
def test_what_is_no_note(text: str) -> None:
    with pytest.raises(VerificationError):
        open_note(text, verifier_key(NAME, KEY.public_key()))


@pytest.mark.parametrize("text", ["", "name", "name+00000000+AA==", SUMDB_KEY.replace("033de0ae", "033de0af"), SUMDB_KEY + "A", " + + "])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(VerificationError):
        read_key(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n"])
def test_names_that_cannot_stand_in_a_note(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a key"):
        sign(NAME, 1, ROOT, KEY, name)
