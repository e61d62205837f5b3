import pytest

from proxy.wire import codec
from proxy.wire.codec import MalformedError, Reader


def test_values() -> None:
    reader = Reader(codec.int16(-2) + codec.int32(-3) + codec.uint32(4) + codec.cstring("é") + codec.value(None) + codec.value(b"x"))
    assert (reader.int16(), reader.int32(), reader.uint32(), reader.text(), reader.value(), reader.value()) == (-2, -3, 4, "é", None, b"x")
    reader.end()


@pytest.mark.parametrize("body", [b"\xff\xff\xff\xfe", b"\0\0\0\x05abcd"])
def test_lengths_that_lie(body: bytes) -> None:
    with pytest.raises(MalformedError):
        Reader(body).value()


def test_a_count_has_no_sign() -> None:
    """Drivers send up to 65,535 parameters, as many as servers take."""
    assert Reader(codec.count(65_535)).count() == 65_535


def test_a_string_with_a_zero_byte_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="zero byte"):
        codec.cstring("a\0b")
