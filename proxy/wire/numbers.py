"""Numbers as PostgreSQL writes them: shortest float text, and ``numeric`` in base 10000."""

from __future__ import annotations

import contextlib
import re
import struct
from decimal import Context, Decimal

# numeric_send: number of digits, weight, sign, display scale, then digits in base 10000.
_SIGNS = {0x0000: "", 0x4000: "-"}
_SPECIAL = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
_MAX_SCALE = 16_383
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?")


def float_text(value: float, *, single: bool) -> str:
    """The shortest text that reads back as the same value, in the notation of PostgreSQL's float output."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    number = Decimal(_shortest_single(value) if single else repr(value))
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    lead = "-" if sign else ""
    text = "".join(map(str, digits)).rstrip("0")
    if not text:
        return lead + "0"
    power = number.adjusted()
    if -5 < power < (6 if single else 15):
        return f"{Decimal(lead + text).scaleb(power - len(text) + 1):f}"
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{lead}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def parse_float(text: str) -> float:
    """Raises ValueError for what PostgreSQL would not read either (Python alone takes ``1_0``)."""
    if text in ("NaN", "Infinity", "-Infinity") or _NUMBER.fullmatch(text):
        return float(text)
    raise ValueError("not a number")


def numeric_to_text(data: bytes) -> str:
    count, weight, sign, scale = struct.unpack(">HhHH", data[:8])
    if sign in _SPECIAL and len(data) == 8:
        return _SPECIAL[sign]
    digits = struct.unpack(f">{count}H", data[8:])
    if sign not in _SIGNS or scale > _MAX_SCALE or any(digit > 9999 for digit in digits):
        raise ValueError("not a numeric")
    at = {weight - position: digit for position, digit in enumerate(digits)}
    whole = "".join(f"{at.get(power, 0):04d}" for power in range(max(weight, 0), -1, -1)).lstrip("0") or "0"
    groups = -(-scale // 4)
    fraction = "".join(f"{at.get(-power - 1, 0):04d}" for power in range(groups))[:scale]
    return f"{_SIGNS[sign]}{whole}{'.' + fraction if scale else ''}"


def numeric_from_text(text: str) -> bytes:
    """Keeps the display scale of the text (``1.50`` has two digits after the point). Raises ValueError."""
    for sign, name in _SPECIAL.items():
        if text == name:
            return struct.pack(">HhHH", 0, 0, sign, 0)
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    number = Decimal(text)
    if abs(number.adjusted()) > 131_071:
        raise ValueError("numeric out of range")
    plain = f"{number.copy_abs():f}"
    whole, _, fraction = plain.partition(".")
    if len(fraction) > _MAX_SCALE:
        raise ValueError("numeric out of range")
    return _pack(whole, fraction, negative=bool(number) and number.is_signed())


def _pack(whole: str, fraction: str, *, negative: bool) -> bytes:
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    padded = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    text = whole + padded
    digits = [int(text[start : start + 4]) for start in range(0, len(text), 4)]
    weight = len(whole) // 4 - 1
    while digits and digits[0] == 0:
        digits.pop(0)
        weight -= 1
    while digits and digits[-1] == 0:
        digits.pop()
    sign = 0x4000 if negative else 0
    return struct.pack(f">HhHH{len(digits)}H", len(digits), weight if digits else 0, sign, len(fraction), *digits)


def _shortest_single(value: float) -> str:
    packed = struct.pack(">f", value)
    for precision in range(1, 10):
        text = str(Context(prec=precision).create_decimal_from_float(value))
        with contextlib.suppress(OverflowError):  # rounded up beyond the largest value: needs another digit
            if struct.pack(">f", float(text)) == packed:
                return text
    return repr(value)
