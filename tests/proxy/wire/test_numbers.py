"""Numbers: base 10000 and the notation of floats."""

from __future__ import annotations

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.numbers import float_text, numeric_from_text, numeric_to_text, parse_float


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9) | st.decimals(allow_nan=False, allow_infinity=False, places=0))
def test_every_numeric_reads_back(number: Decimal) -> None:
    text = f"{number:f}" if number else f"{number.copy_abs():f}"
    assert numeric_to_text(numeric_from_text(text)) == text


@given(st.floats(allow_nan=False))
def test_every_float_reads_back(value: float) -> None:
    assert parse_float(float_text(value, single=False)) == value


@pytest.mark.parametrize(
    ("value", "double", "single"),
    [
        (1e5, "100000", "100000"),
        (1e6, "1000000", "1e+06"),
        (1e14, "100000000000000", "1e+14"),
        (1e15, "1e+15", "1e+15"),
        (1e-4, "0.0001", "0.0001"),
        (1e-5, "1e-05", "1e-05"),
        (-0.0, "-0", "-0"),
    ],
)
def test_when_the_exponent_appears(value: float, double: str, single: str) -> None:
    assert float_text(value, single=False) == double
    assert float_text(value, single=True) == single


@pytest.mark.parametrize(
    "data", ["", "0001", "00010000800000000001", "000100000000000027100000", "00010000000000002710", "00000000000040ff"]
)
def test_malformed_numerics_are_refused(data: str) -> None:
    with pytest.raises((ValueError, struct.error)):
        numeric_to_text(bytes.fromhex(data))
