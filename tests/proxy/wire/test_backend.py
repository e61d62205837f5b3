import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import errors
from proxy.wire import backend
from proxy.wire.backend import (
    Authentication,
    BackendKeyData,
    CommandComplete,
    CopyOutResponse,
    DataRow,
    ErrorFields,
    NegotiateProtocolVersion,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    ReadyForQuery,
    ResultColumn,
    RowDescription,
)  # fmt: skip
from proxy.wire.codec import MalformedError

MESSAGES = [
    ParameterStatus("client_encoding", "UTF8"),
    ReadyForQuery(b"T"),
    RowDescription((ResultColumn(b"ssn", 16400, 3, 25, -1, -1, 1), ResultColumn(b"n", 0, 0, 23, 4, -1, 0))),
    ParameterDescription((23, 25)),
    CopyOutResponse(1, 2),
    DataRow((b"1", None)),
    CommandComplete("INSERT 0 3"),
    NotificationResponse(7, b"c", b"p"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_round_trip_and_truncation(message: ReadyForQuery) -> None:
    encoded = message.encode()
    assert encoded[0] in backend.NAMES
    assert type(message).decode(encoded[5:]) == message
    for cut in range(5, len(encoded)):
        with pytest.raises(MalformedError):
            type(message).decode(encoded[5:cut])


def test_keys_and_authentication() -> None:
    assert BackendKeyData.decode(BackendKeyData(9, b"abcd").encode()[5:]) == BackendKeyData(9, b"abcd")
    negotiated = NegotiateProtocolVersion((3 << 16) | 2, ("_pq_.x", "_pq_.y"))
    assert NegotiateProtocolVersion.decode(negotiated.encode()[5:]) == negotiated
    offered = Authentication.decode(backend.sasl_request("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256").encode()[5:])
    assert offered.mechanisms() == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")


def test_error_response_of_a_refusal() -> None:
    refusal = errors.denied("DELETE is not granted", decision="d1", hint="ask")
    encoded = backend.error_response(refusal)
    assert encoded[:1] == b"E"
    fields = ErrorFields.decode(encoded[5:])
    assert fields.fields == {
        "S": b"ERROR", "V": b"ERROR", "C": b"42501", "M": b"DELETE is not granted", "D": b"Decision d1.", "H": b"ask",
    }  # fmt: skip
    assert not fields.fatal
    assert ErrorFields.decode(backend.error_response(errors.wrong_key("a\0b"))[5:]).fatal


def test_rows_of_a_tag() -> None:
    assert [CommandComplete(tag).rows for tag in ("SELECT 5", "INSERT 0 3", "BEGIN", "CREATE TABLE")] == [5, 3, 0, 0]
    assert CommandComplete("SELECT " + "9" * 5000).rows == 0, "no number that a server can have counted to"


@given(st.binary(max_size=60), st.sampled_from([*map(type, MESSAGES), ErrorFields, Authentication]))
def test_garbage_is_malformed_or_decoded(body: bytes, kind: type[ReadyForQuery]) -> None:
    with contextlib.suppress(MalformedError):
        kind.decode(body)


@pytest.mark.parametrize("body", [b"\0\3\0\0", b"\0\3\0\0\x7f\xff\xff\xff", b"\0\3\0\0\xff\xff\xff\xff", b"\0\3\0\0\0\0\0\0x"])
def test_malformed_negotiation(body: bytes) -> None:
    with pytest.raises(MalformedError):
        NegotiateProtocolVersion.decode(body)
