import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire import long_bind
from proxy.wire.codec import MalformedError
from proxy.wire.frontend import Bind, Cut
from proxy.wire.long_bind import BindReader

VALUES = st.lists(st.none() | st.binary(max_size=300), max_size=6)
NAME = st.binary(max_size=70).filter(lambda name: 0 not in name)


def body(bind: Bind) -> bytes:
    return bind.encode()[5:]


def in_pieces(data: bytes, sizes: list[int]) -> Bind:
    reader = BindReader()
    position = 0
    for size in sizes:
        reader.feed(data[position : position + size])
        position += size
    reader.feed(data[position:])
    return reader.end()


def outcome(read: object, *arguments: object) -> object:
    try:
        return read(*arguments)  # type: ignore[operator]
    except MalformedError as error:
        return str(error)


@given(NAME, NAME, VALUES, st.integers(0, 2), st.lists(st.integers(0, 40), max_size=60))
def test_however_it_is_cut_it_is_read_as_a_whole_one_is(
    portal: bytes, statement: bytes, values: list[bytes | None], formats: int, sizes: list[int]
) -> None:
    codes = ((), (1,), tuple(n % 2 for n in range(len(values))))[formats]
    data = body(Bind(portal, statement, codes, tuple(values), (0, 1)))
    assert in_pieces(data, sizes) == Bind.decode(data)


@given(st.binary(max_size=60), st.integers(0, 80), st.lists(st.integers(0, 9), max_size=30))
def test_what_is_malformed_as_a_whole_is_so_in_pieces(garbage: bytes, cut: int, sizes: list[int]) -> None:
    whole = body(Bind(b"p", b"s", (1, 0), (b"abcd", None), (1,)))
    for data in (garbage, whole[:cut], whole + garbage, whole[:cut] + garbage):
        assert outcome(in_pieces, data, sizes) == outcome(Bind.decode, data)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 90_000), max_size=5))
def test_of_a_long_value_beginning_length_and_digest_are_kept(sizes: list[int]) -> None:
    value = bytes(range(256)) * 400
    data = body(Bind(b"", b"s", (1,), (b"short", value, None, value[:-1] + b"x")))
    bind = in_pieces(data, sizes)
    assert bind == long_bind.decode(data)
    assert bind.values[0] == b"short"
    assert bind.values[1] == Cut(value[:65_536], 102_400, hashlib.sha256(value).hexdigest())
    assert bind.values[1] != bind.values[3]
    with pytest.raises(ValueError, match="only the beginning"):
        bind.encode()


def test_values_of_a_message_that_is_not_long_are_whole() -> None:
    values = (b"v" * 60_000, b"w" * 5_000)
    assert long_bind.decode(body(Bind(b"", b"", (), values))).values == values


def test_however_many_values_there_are_little_is_kept_of_them() -> None:
    bind = long_bind.decode(body(Bind(b"", b"", (), (b"v" * 10_000,) * 60_000)))
    kept = sum(len(value.beginning if isinstance(value, Cut) else value or b"") for value in bind.values)
    assert len(bind.values) == 60_000
    assert kept < 17 << 20
    assert isinstance(bind.values[0], bytes)
    assert bind.values[-1] == Cut(b"v" * 256, 10_000, hashlib.sha256(b"v" * 10_000).hexdigest())


def test_the_names_are_known_before_the_values() -> None:
    data = body(Bind(b"portal", b"statement", (), (b"v" * 100_000,)))
    assert long_bind.names(data[:16]) is None
    assert long_bind.names(data[:17]) == (b"portal", b"statement")
    assert long_bind.names(data) == (b"portal", b"statement")
    assert long_bind.names(b"n" * 4095) is None
    with pytest.raises(MalformedError, match="invalid string"):
        long_bind.names(b"n" * 4096)


def test_names_are_cut_off_where_the_server_does_it() -> None:
    data = body(Bind(b"p" * 70, b"s" * 64, (), (b"v" * 100_000,)))
    bind = long_bind.decode(data)
    assert (bind.portal, bind.statement) == (b"p" * 63, b"s" * 63)
