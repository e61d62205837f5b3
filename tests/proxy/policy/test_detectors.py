import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.detectors import KINDS, blot, find

FOUND = {
    "card": ["4111111111111111", "4111 1111 1111 1111", "5500-0055-5555-5559", "378282246310005", "6011000990139424"],
    "ssn": ["078-05-1120", "899-99-9999"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO93 8601 1117 947", "MT84MALT011000012345MTLCAST001S"],
    "email": ["ann@example.com", "a.b+c@mail.example.co.uk"],
    "phone": ["+49 30 901820", "+1 (212) 555-0123", "(212) 555-0123", "+442071838750"],
    "private_key": ["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nMIIE"],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"],
}
HARMLESS = [
    "4111111111111112", "1111111111111111", "0000000000000000", "1234567890123456",
    "2026-11-25 00:12:33.123456+00", "000-12-3456", "666-12-3456", "900-12-3456",
    "123-00-4567", "123-45-0000", "DE89 3704 0044 0532 0130 01", "XX89370400440532013000", "a@b", "@example.com", "***@***.com",
    "**** **** **** 1111", "123e4567-e89b-12d3-a456-426614174000", "192.168.100.200", "+12",
    "eyJub3QiOiJhIn0xxxx.abcd.", "3.14159265358979",
    "PRIVATE KEY", "",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_found_alone_and_among_other_text(kind: str, text: str) -> None:
    assert find(text.encode()) == [(0, len(text), kind)]
    around = f"ä {text}".encode()
    assert find(around) == [(3, len(around), kind)]
    assert blot(around, find(around)) != around
    assert find(blot(around, find(around))) == []


def test_every_kind_has_an_example() -> None:
    assert set(FOUND) == set(KINDS)


@pytest.mark.parametrize("text", HARMLESS)
def test_not_found(text: str) -> None:
    assert find(text.encode()) == []


def test_several_in_one_value() -> None:
    value = b'{"card": 4111111111111111, "mail": "ann@example.com", "n": 7}'
    assert [kind for _, _, kind in find(value)] == ["card", "email"]
    assert blot(value, find(value), json=True) == b'{"card": 1111111111111111, "mail": "xxx@xxxxxxx.xxx", "n": 7}'
    assert blot(value, find(value)) == b'{"card": ****************, "mail": "***@*******.***", "n": 7}'


def test_a_json_document_stays_one() -> None:
    document = {"pem": FOUND["private_key"][0] + "\u00e9\"\\", "n": [4111111111111111, "\n+49 30 901820"]}
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        value = text.encode()
        spans = find(value)
        assert [kind for _, _, kind in spans] == ["private_key", "card", "phone"]
        json.loads(blot(value, spans, json=True))
        assert len(blot(value, spans, json=True)) == len(value)


@given(st.binary(max_size=200))
def test_whatever_the_bytes(value: bytes) -> None:
    spans = find(value)
    assert all(0 <= start < stop <= len(value) for start, stop, _ in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert len(blot(value, spans)) == len(value)
