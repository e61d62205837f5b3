"""Masked cells: golden values for every method, both formats alike, and nothing that raises or leaks."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.mask_cells import mask_card, mask_cell, mask_email, mask_partial
from proxy.policy.masks import Mask
from proxy.wire import values
from proxy.wire.values import from_text, to_text

KEY = bytes(range(32))
HASH = Mask("hash", (), "ssn")
PARTIAL = Mask("partial", (0, 4))
METHODS = ["redact", "nullify", "email", "card", "hash", "year", "partial", "round", "fixed", "?"]
MASKS = [
    Mask(name, {"partial": (1, 2), "round": (10,), "fixed": ("7",)}.get(name, ()), "r", False, typmod)
    for name in METHODS
    for typmod in (None, -1, 8)
]
TYPES = sorted({*values._READERS, *values._WRITERS, 1007, 1009, 4242})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann@example.com", "***@***.com"),
        ("a.b@mail.example.co.uk", "***@***.uk"),
        ("ann@localhost", "***"),
        ("ann@example.c", "***"),
        ("two@at@example.com", "***"),
        ("ann@example.com ", "***"),
        ("ann@example.com\n", "***"),
        ("", "***"),
        ("jörg@example.com", "***"),
    ],
)
def test_email(text: str, expected: str) -> None:
    assert mask_email(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111 1111 1111 1234", "**** **** **** 1234"),
        ("4111111111111234", "************1234"),
        ("3782-822463-10005", "****-******-*0005"),
        ("4111 1111 1111 12-34", "**** **** **** 12-34"),
        ("123456789012", "********9012"),
        ("12345678901", "***"),
        ("12345678901234567890", "***"),
        ("4111  1111 1111 1111", "***"),
        ("card 4111 1111 1111 1111", "***"),
        ("٤١١١١١١١١١١١١١١١", "***"),  # digits, but not those of a card
    ],
)
def test_card(text: str, expected: str) -> None:
    assert mask_card(text) == expected


@pytest.mark.parametrize(
    ("text", "first", "last", "expected"),
    [
        ("123456789", 0, 4, "*****6789"),
        ("123456789", 2, 2, "12*****89"),
        ("1234", 0, 4, "****"),
        ("abc", 2, 2, "***"),
        ("", 0, 0, ""),
        ("äöü", 1, 0, "ä**"),
    ],
)
def test_partial(text: str, first: int, last: int, expected: str) -> None:
    assert mask_partial(text, first, last) == expected


class TestHash:
    def test_golden_text(self) -> None:
        assert mask_cell(HASH, values.TEXT, 0, b"123-45-6789", KEY) == b"U7VOJ3KCZTZKDRRZE2XJQPWH"
        assert mask_cell(HASH, values.TEXT, 1, b"123-45-6789", KEY) == b"U7VOJ3KCZTZKDRRZE2XJQPWH"

    @pytest.mark.parametrize(
        ("oid", "expected"), [(values.INT2, 10162), (values.INT4, 614_148_018), (values.INT8, 1_196_325_781_141_923_762)]
    )
    def test_golden_integers(self, oid: int, expected: int) -> None:
        assert mask_cell(HASH, oid, 0, b"42", KEY) == str(expected).encode()
        assert mask_cell(HASH, oid, 1, from_text(oid, "42") or b"", KEY) == from_text(oid, str(expected))

    def test_golden_uuid(self) -> None:
        original = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
        assert mask_cell(HASH, values.UUID, 0, original.encode(), KEY) == b"51387cd3-29a8-83c2-8194-c8eb0dd49527"
        assert mask_cell(HASH, values.UUID, 1, from_text(values.UUID, original) or b"", KEY) == from_text(
            values.UUID, "51387cd3-29a8-83c2-8194-c8eb0dd49527"
        )

    def test_filled_and_unfilled_text_join(self) -> None:
        fixed = mask_cell(Mask("hash", (), "ssn", False, 34), values.BPCHAR, 0, b"123-45-6789".ljust(30), KEY)
        assert fixed == b"U7VOJ3KCZTZKDRRZE2XJQPWH".ljust(30)

    def test_other_rules_and_other_keys_give_other_names(self) -> None:
        found = {mask_cell(Mask("hash", (), rule), values.TEXT, 0, b"x", key) for rule in ("a", "b") for key in (KEY, bytes(32))}
        assert len(found) == 4

    def test_other_types_are_null(self) -> None:
        assert mask_cell(HASH, values.DATE, 0, b"2024-01-01", KEY) is None


@pytest.mark.parametrize(
    ("mask", "oid", "text", "expected"),
    [
        (Mask("redact"), values.TEXT, "secret", "***"),
        (Mask("redact", typmod=14), values.BPCHAR, "secret    ", "***       "),
        (Mask("redact", typmod=6), values.VARCHAR, "secret", "**"),
        (Mask("redact"), values.JSONB, '{"a": 1}', "{}"),
        (Mask("redact"), values.JSON, "[1]", "{}"),
        (Mask("redact"), values.INT4, "42", None),
        (Mask("redact"), values.DATE, "2024-05-06", None),
        (Mask("nullify"), values.TEXT, "secret", None),
        (PARTIAL, values.TEXT, "123-45-6789", "*******6789"),
        (PARTIAL, values.INT4, "123456", None),
        (Mask("email"), values.INT4, "1", None),
        (Mask("card"), values.NUMERIC, "4111111111111111", None),
        (Mask("year"), values.DATE, "2024-05-06", "2024-01-01"),
        (Mask("year"), values.TIMESTAMPTZ, "2025-01-01 00:30:00+01", "2024-01-01 00:00:00+00"),
        (Mask("year"), values.TEXT, "2024-05-06", None),
        (Mask("year"), values.DATE, "infinity", None),
        (Mask("round", (1000,)), values.INT4, "1499", "1000"),
        (Mask("round", (1000,)), values.INT4, "1500", "2000"),
        (Mask("round", (1000,)), values.INT4, "-1500", "-2000"),
        (Mask("round", (1000,)), values.INT2, "32767", "32000"),
        (Mask("round", (1000,)), values.NUMERIC, "1499.99", "1000.00"),
        (Mask("round", (1000,), typmod=327686), values.NUMERIC, "999.99", "0.00"),
        (Mask("round", (1000,)), values.FLOAT8, "1501.5", "2000"),
        (Mask("round", (1000,)), values.FLOAT8, "NaN", None),
        (Mask("round", (1000,)), values.TEXT, "1499", None),
        (Mask("fixed", ("n/a",)), values.TEXT, "secret", "n/a"),
        (Mask("fixed", ("n/a",)), values.INT4, "42", None),
        (Mask("fixed", ("0",)), values.INT4, "42", "0"),
        (Mask("fixed", ("1.005",), typmod=327686), values.NUMERIC, "42.00", "1.01"),
        (Mask("fixed", ("1000",), typmod=327686), values.NUMERIC, "42.00", None),
    ],
)
def test_both_formats_alike(mask: Mask, oid: int, text: str, expected: str | None) -> None:
    assert mask_cell(mask, oid, 0, text.encode(), KEY) == (expected and expected.encode())
    binary = mask_cell(mask, oid, 1, from_text(oid, text) or b"", KEY)
    assert binary == (expected and from_text(oid, expected))


def test_an_array_becomes_empty_and_keeps_its_element_type() -> None:
    original = struct.pack(">iiiiiii", 1, 0, 23, 1, 1, 4, 7)
    assert mask_cell(Mask("redact"), 1007, 1, original, KEY) == struct.pack(">iii", 0, 0, 23)
    assert mask_cell(Mask("redact"), 1007, 0, b"{7}", KEY) == b"{}"


@pytest.mark.parametrize("style", ["05/06/2024", "Mon May 06 07:08:09 2024 CEST", "06.05.2024"])
def test_dates_in_another_style_are_null(style: str) -> None:
    for oid in (values.DATE, values.TIMESTAMP, values.TIMESTAMPTZ):
        assert mask_cell(Mask("year"), oid, 0, style.encode(), KEY) is None


@pytest.mark.parametrize("mask", [Mask("email"), Mask("card"), PARTIAL])
def test_text_in_another_encoding_is_redacted(mask: Mask) -> None:
    assert mask_cell(mask, values.TEXT, 0, "jörg@example.com".encode("latin-1"), KEY) == b"***"


@pytest.mark.parametrize("format", [-1, 2, 7])
def test_an_unknown_format_is_null(format: int) -> None:
    assert mask_cell(Mask("redact"), values.TEXT, format, b"x", KEY) is None


@given(
    st.sampled_from(MASKS), st.sampled_from(TYPES), st.sampled_from([0, 1]), st.binary(max_size=40) | st.text(max_size=20).map(str.encode)
)
def test_nothing_raises_whatever_the_bytes(mask: Mask, oid: int, format: int, value: bytes) -> None:
    masked = mask_cell(mask, oid, format, value, KEY)
    assert masked is None or isinstance(masked, bytes)


@given(st.sampled_from(MASKS), st.text(max_size=40))
def test_limited_text_stays_within_its_limit(mask: Mask, text: str) -> None:
    masked = mask_cell(mask, values.VARCHAR, 0, text.encode(), KEY)
    if masked is not None and mask.typmod != -1:
        assert len(masked.decode()) <= (len(text) if mask.typmod is None else 4)


@given(st.sampled_from(["redact", "email", "card", "hash"]), st.text(alphabet="ABCDEFGH", min_size=8, max_size=30))
def test_no_run_of_the_original_survives(method: str, text: str) -> None:
    masked = mask_cell(Mask(method, (), "r"), values.TEXT, 0, text.encode(), KEY)
    assert masked is not None
    assert not any(text[start : start + 6] in masked.decode() for start in range(len(text) - 5))


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1), st.integers(min_value=1, max_value=10**18))
def test_rounded_integers_are_the_nearest_multiples_in_range(number: int, to: int) -> None:
    masked = mask_cell(Mask("round", (to,)), values.INT8, 0, str(number).encode(), KEY)
    rounded = int(masked or b"")
    assert rounded % to == 0
    assert -(2**63) <= rounded < 2**63
    assert abs(rounded - number) * 2 <= to or abs(rounded) + to > 2**63 - 1
    assert to_text(
        values.INT8, 1, mask_cell(Mask("round", (to,)), values.INT8, 1, number.to_bytes(8, "big", signed=True), KEY) or b""
    ) == str(rounded)
