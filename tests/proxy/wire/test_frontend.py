import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import frontend
from proxy.wire.codec import MalformedError
from proxy.wire.frontend import (
    Bind,
    CancelRequest,
    Close,
    Describe,
    Execute,
    FunctionCall,
    GSSENCRequest,
    Parse,
    PasswordMessage,
    Query,
    SASLInitialResponse,
    SASLResponse,
    SSLRequest,
    StartupMessage,
    decode_startup,
)  # fmt: skip

MESSAGES = [
    Query(b"select 1"),
    Parse(b"s1", b"select $1::int", (23, 0)),
    Bind(b"p", b"s1", (1,), (b"\0\0\0\x07", None), (0, 1)),
    Describe(b"S", b"s1"),
    Close(b"P", b""),
    Execute(b"p", 50),
    PasswordMessage(b"pw"),
    SASLInitialResponse("SCRAM-SHA-256", b"n,,n=,r=abc"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_round_trip(message: Query) -> None:
    encoded = message.encode()
    assert encoded[0] in frontend.NAMES
    assert int.from_bytes(encoded[1:5], "big") == len(encoded) - 1
    assert type(message).decode(encoded[5:]) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_truncated_or_extended_is_malformed(message: Query) -> None:
    body = message.encode()[5:]
    for cut in range(len(body)):
        with pytest.raises(MalformedError):
            type(message).decode(body[:cut])
    with pytest.raises(MalformedError):
        type(message).decode(body + b"x")


@pytest.mark.parametrize(
    "packet", [StartupMessage(3 << 16, {"user": "a", "database": "b"}), CancelRequest(7, b"abcd"), CancelRequest(7, b"x" * 32)]
)
def test_startup_round_trip(packet: StartupMessage) -> None:
    assert decode_startup(packet.encode()) == packet


def test_encryption_requests() -> None:
    assert decode_startup(bytes.fromhex("0000000804d2162f")) == SSLRequest()
    assert decode_startup(bytes.fromhex("0000000804d21630")) == GSSENCRequest()


@pytest.mark.parametrize(
    "body", [b"user\0a\0", b"user\0a", b"user\0a\0user\0b\0\0", b"user\0a\0\0x", b"us\xffer\0a\0\0"],
)  # fmt: skip
def test_malformed_startup(body: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_startup((len(body) + 8).to_bytes(4, "big") + b"\0\x03\0\0" + body)


def test_passwords_are_not_in_a_repr() -> None:
    assert "hunter2" not in repr(PasswordMessage(b"hunter2"))


def test_format_of() -> None:
    assert Bind(b"", b"", (), (b"1",)).format_of(0) == 0
    assert Bind(b"", b"", (1,), (b"1", b"2")).format_of(1) == 1
    assert Bind(b"", b"", (1, 0), (b"1", b"2")).format_of(1) == 0


@given(st.binary(max_size=60), st.sampled_from([*map(type, MESSAGES), SASLResponse]))
def test_garbage_is_malformed_or_decoded(body: bytes, kind: type[Query]) -> None:
    with contextlib.suppress(MalformedError):
        kind.decode(body)


@given(st.binary(min_size=4, max_size=60))
def test_garbage_startup_is_malformed_or_decoded(packet: bytes) -> None:
    with contextlib.suppress(MalformedError):
        decode_startup(packet)


def test_function_call_tells_its_function() -> None:
    assert FunctionCall.decode(b"\xff\0\0\x01\0\0").function == 0xFF000001
