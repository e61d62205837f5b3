import hashlib

import pytest

from proxy.session.prepared import Portal, Prepared
from proxy.sql.facts import Analysis
from proxy.wire import long_bind
from proxy.wire.backend import ResultColumn, RowDescription
from proxy.wire.frontend import Bind


def prepared(*declared: int) -> Prepared:
    return Prepared(b"s", b"q", "q", declared, Analysis(), (), "q")


def test_parameters_as_people_read_them() -> None:
    bind = Bind(b"", b"s", (0, 1, 1, 0, 0), (b"text", b"\0\0\0\x07", b"\x01\x02", None, b"\xff"))
    assert Portal(prepared(25, 23, 0, 0, 0), bind, 1).parameter_texts() == ["text", "7", "\\x0102", None, "\\xff"]


def test_inferred_types_are_preferred_for_reading() -> None:
    one = prepared(0)
    one.inferred = (23,)
    assert Portal(one, Bind(b"", b"s", (1,), (b"\0\0\0\x07",)), 1).parameter_texts() == ["7"]


def test_columns_of_the_statement_get_the_formats_of_the_portal() -> None:
    one = prepared()
    portal = Portal(one, Bind(b"", b"s", (), (), (1,)), 1)
    assert not portal.is_described
    one.description = RowDescription((ResultColumn(b"a", 7, 1, 25, -1, -1, 0),)).encode()[5:]
    assert portal.is_described
    assert [c.format for c in portal.result_columns()] == [1]
    portal.description = b""
    assert portal.result_columns() == ()


def long(value: bytes) -> Portal:
    return Portal(prepared(25), long_bind.decode(Bind(b"", b"s", (), (value,)).encode()[5:]), 1)


def test_of_a_long_parameter_the_beginning_is_shown_and_how_to_tell_it_from_others() -> None:
    value = b"x" + "ä".encode() * 40_000
    (text,) = long(value).parameter_texts()
    assert text is not None
    shown, _, rest = text.partition("…")
    assert shown == "x" + "ä" * 32_767
    assert rest == f"(+{80_001 - 65_535} bytes, sha256 {hashlib.sha256(value).hexdigest()})"
    assert long(value[:-2] + b"__").parameter_texts() != [text]


@pytest.mark.parametrize("character", ["é", "€", "😀"])
def test_no_character_is_cut_in_two(character: str) -> None:
    for before in range(4):
        (text,) = long(b"x" * before + character.encode() * 40_000).parameter_texts()
        assert text is not None
        assert set(text.partition("…")[0][before:]) == {character}
