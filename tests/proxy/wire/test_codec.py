import pytest

from proxy.wire import codec
from proxy.wire.backend import ParameterDescription
from proxy.wire.codec import MalformedError, Reader
from proxy.wire.frontend import Bind


def test_values() -> None:
    reader = Reader(codec.int16(-2) + codec.int32(-3) + codec.uint32(4) + codec.cstring("é") + codec.value(None) + codec.value(b"x"))
    assert (reader.int16(), reader.int32(), reader.uint32(), reader.text(), reader.value(), reader.value()) == (-2, -3, 4, "é", None, b"x")
    reader.end()


@pytest.mark.parametrize("body", [b"\xff\xff\xff\xfe", b"\0\0\0\x05abcd"])
def test_lengths_that_lie(body: bytes) -> None:
    with pytest.raises(MalformedError):
        Reader(body).value()


def test_a_count_that_lies() -> None:
    with pytest.raises(MalformedError):
        ParameterDescription.decode(b"\xff\xff" + codec.uint32(23))


def test_as_many_parameters_as_the_server_takes() -> None:
    many = Bind(b"", b"", (), (b"1",) * 65_535)
    assert Bind.decode(many.encode()[5:]) == many
    types = ParameterDescription((23,) * 65_535)
    assert ParameterDescription.decode(types.encode()[5:]) == types


@pytest.mark.parametrize("number", [65_536, 65_537, 131_072])
def test_more_parameters_than_a_count_can_tell(number: int) -> None:
    """The server prepares and describes such a statement; only Bind cannot bring as many (pgx tests it)."""
    types = ParameterDescription((23,) * number)
    body = types.encode()[5:]
    assert body[:2] == codec.count(number % 65_536)
    assert ParameterDescription.decode(body) == types
    with pytest.raises(MalformedError):
        ParameterDescription.decode(body[:-1])


def test_a_string_with_a_zero_byte_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="zero byte"):
        codec.cstring("a\0b")
