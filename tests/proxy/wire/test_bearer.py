"""The messages of RFC 7628, its own examples among them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.bearer import BearerError, challenge, token_in


@pytest.mark.parametrize(
    ("data", "token"),
    [
        (b"n,,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="),
        (b"n,,\x01host=server.example.com\x01port=143\x01auth=Bearer a.b.c\x01\x01", "a.b.c"),  # RFC 7628, 4.1
        (b"y,,\x01auth=bEaReR   a~b+c/d-e_f\x01\x01", "a~b+c/d-e_f"),
        (b"n,,\x01auth=\x01\x01", ""),  # RFC 7628, 4.3
    ],
)
def test_tokens_and_the_question_where_they_come_from(data: bytes, token: str) -> None:
    assert token_in(data) == token


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x01", b"n,,", b"n,,\x01\x01", b"n,,\x01auth=Bearer a", b"n,,\x01auth=Bearer a\x01", b"n,,\x01auth=Bearer a\x01\x01x",
        b"p=tls-server-end-point,,\x01auth=Bearer a\x01\x01", b"n,a=somebody,\x01auth=Bearer a\x01\x01", b"n,,auth=Bearer a\x01\x01",
        b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01", b"n,,\x01auth=Basic a\x01\x01", b"n,,\x01auth=Bearer\x01\x01",
        b"n,,\x01auth=Bearer a b\x01\x01", b"n,,\x01auth=Bearer \xff\x01\x01", b"n,,\x01auth=Bearer a\0\x01\x01", b"n,,\x01=x\x01\x01",
        b"n,,\x01xauth=Bearer a\x01\x01",
    ],
)  # fmt: skip
def test_what_is_no_such_message(data: bytes) -> None:
    with pytest.raises(BearerError):
        token_in(data)


@given(st.binary(max_size=60))
def test_garbage_is_an_error_or_no_token(data: bytes) -> None:
    for attempt in (data, b"n,,\x01auth=Bearer " + data + b"\x01\x01"):
        with contextlib.suppress(BearerError):
            assert token_in(attempt).isascii()


def test_the_challenge_names_the_discovery_document() -> None:
    for issuer in ("https://id.example/realm", "https://id.example/realm/"):
        assert json.loads(challenge(issuer)) == {
            "status": "invalid_token", "scope": "openid", "openid-configuration": "https://id.example/realm/.well-known/openid-configuration",
        }  # fmt: skip
    assert json.loads(challenge("")) == {"status": "invalid_token", "scope": "openid"}
