"""Masking of one cell of a result, in text and binary format."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

from proxy.policy.mask_types import ARRAY_TYPES, NO_TYPMOD, Mask, fit_text, numeric_shape
from proxy.wire import dates, values
from proxy.wire.numbers import float_text

REDACTED = "***"
EMAIL = r"[!-?A-~]+@[!-?A-~]+[.]([A-Za-z]{2,63})"  # printable ASCII; the same expression is used in SQL
CARD = r"[0-9]([ -]?[0-9]){11,18}"
CARD_TAIL = r"[0-9]([ -]?[0-9]){3}"
FLOAT_LIMITS = {values.FLOAT4: 1e38, values.FLOAT8: 1e300}  # rounding beyond could leave the type's range
MAX_NUMERIC_DIGITS = 1000  # longer numbers are not rounded: NULL

_EXACT = Context(prec=MAX_NUMERIC_DIGITS + 50)


@dataclass(frozen=True, slots=True)
class Cell:
    type_oid: int
    format: int  # 0 text, 1 binary
    value: bytes


def mask_cell(mask: Mask, type_oid: int, format: int, value: bytes, key: bytes) -> bytes | None:
    """The masked value in the same format; None is NULL. NULL itself stays NULL and is not asked for here.

    ``key``: the connection's 32 bytes for pseudonyms. Never raises, never returns more than the type allows.
    """
    method = _METHODS.get(mask.method)
    if method is None or format not in (0, 1):
        return None
    try:
        return method(mask, Cell(type_oid, format, bytes(value)), key)
    except (ValueError, struct.error, ArithmeticError, IndexError, TypeError):
        return None


def _redact(mask: Mask, cell: Cell, key: bytes) -> bytes | None:
    if cell.type_oid in values.TEXT_TYPES:
        return _text(mask, cell, lambda text: REDACTED)
    if cell.type_oid in (values.JSON, values.JSONB):
        return b"\x01{}" if cell.format == 1 and cell.type_oid == values.JSONB else b"{}"
    if cell.type_oid in ARRAY_TYPES:
        # array_send: dimensions, flags, element type; an empty array has no more.
        return struct.pack(">ii", 0, 0) + cell.value[8:12] if cell.format == 1 else b"{}"
    return None


def _nullify(mask: Mask, cell: Cell, key: bytes) -> bytes | None:
    return None


def _email(mask: Mask, cell: Cell, key: bytes) -> bytes | None:
    return _text(mask, cell, mask_email)


def _card(mask: Mask, cell: Cell, key: bytes) -> bytes | None:
    return _text(mask, cell, mask_card)


def _partial(mask: Mask, cell: Cell, key: bytes) -> bytes | None:
    first, last = (int(argument) for argument in mask.arguments)
    return _text(mask, cell, lambda text: mask_partial(text, first, last))


def _hash(mask: Mask, cell: Cell, key: bytes) -> bytes | None:
    if cell.type_oid in values.TEXT_TYPES:
        return _text(mask, cell, lambda text: base64.b32encode(_pseudonym(mask, key, text.encode())[:15]).decode())
    shown = values.to_text(cell.type_oid, cell.format, cell.value)
    if shown is None:
        return None
    if cell.type_oid == values.UUID:
        digest = bytearray(_pseudonym(mask, key, uuid.UUID(shown).bytes)[:16])
        digest[6] = digest[6] & 0x0F | 0x80  # version 8 of RFC 9562: custom
        digest[8] = digest[8] & 0x3F | 0x80
        return _from_text(cell, str(uuid.UUID(bytes=bytes(digest))))
    size = values.INTEGER_BYTES.get(cell.type_oid)
    if size is None:
        return None
    number = int.from_bytes(_pseudonym(mask, key, str(int(shown)).encode())[:8], "big")
    return _from_text(cell, str(number % 2 ** (8 * size - 1)))


def _year(mask: Mask, cell: Cell, key: bytes) -> bytes | None:
    binary = cell.value if cell.format == 1 else values.from_text(cell.type_oid, cell.value.decode())
    if binary is None:
        return None
    if cell.type_oid == values.DATE:
        (days,) = struct.unpack(">i", binary)
        infinite, unit, layout = days in dates.DATE_INFINITY, 1, ">i"
    elif cell.type_oid in (values.TIMESTAMP, values.TIMESTAMPTZ):
        (micros,) = struct.unpack(">q", binary)
        infinite, unit, layout = micros in dates.TIMESTAMP_INFINITY, dates.DAY, ">q"
        days = micros // dates.DAY
    else:
        return None
    start = dates.days_from_civil(dates.civil_from_days(days)[0], 1, 1)
    if infinite or start < dates.FIRST_DAY:
        return None
    return _from_binary(cell, struct.pack(layout, start * unit))


def _round(mask: Mask, cell: Cell, key: bytes) -> bytes | None:
    to = int(mask.arguments[0])
    if cell.type_oid in FLOAT_LIMITS:
        return _round_float(cell, to)
    shown = values.to_text(cell.type_oid, cell.format, cell.value)
    size = values.INTEGER_BYTES.get(cell.type_oid)
    if shown is None or (size is None and cell.type_oid != values.NUMERIC):
        return None
    if size is not None:
        most = 2 ** (8 * size - 1) - 1
        return _from_text(cell, f"{_nearest(Decimal(int(shown)), to, Decimal(most // to * to)):f}")
    rounded = _round_numeric(Decimal(shown), to, mask.typmod)
    return None if rounded is None else _from_text(cell, f"{rounded:f}")


def _fixed(mask: Mask, cell: Cell, key: bytes) -> bytes | None:
    text = fixed_text(mask, cell.type_oid)
    if text is None:
        return None
    return _text(mask, cell, lambda original: text) if cell.type_oid in values.TEXT_TYPES else _from_text(cell, text)


def mask_email(text: str) -> str:
    match = re.fullmatch(EMAIL, text)
    return f"***@***.{match[1]}" if match else REDACTED


def mask_card(text: str) -> str:
    if re.fullmatch(CARD, text) is None:
        return REDACTED
    tail = re.search(CARD_TAIL + r"\Z", text)
    assert tail is not None
    return re.sub("[0-9]", "*", text[: tail.start()]) + tail[0]


def mask_partial(text: str, first: int, last: int) -> str:
    if len(text) <= first + last:
        return "*" * len(text)
    return text[:first] + "*" * (len(text) - first - last) + text[len(text) - last :]


def fixed_text(mask: Mask, type_oid: int) -> str | None:
    """The text of a ``fixed`` mask as the server prints it for this type; None where it is no value of it."""
    text = str(mask.arguments[0])
    if type_oid in values.TEXT_TYPES:
        return text
    binary = values.from_text(type_oid, text)
    shown = values.to_text(type_oid, 1, binary) if binary is not None else None
    if shown is None or mask.typmod in (None, NO_TYPMOD):
        return shown
    if type_oid == values.NUMERIC:
        return _numeric_in(Decimal(shown), mask.typmod)
    # time and timestamps: the modifier is the number of digits of the seconds' fraction
    _, _, fraction = shown.partition(".")
    digits = re.match("[0-9]*", fraction)
    return shown if digits is not None and len(digits[0]) <= (mask.typmod or 0) else None


def _text(mask: Mask, cell: Cell, change: Callable[[str], str]) -> bytes | None:
    """Apply to text types; text in another encoding than UTF-8 is redacted, since it cannot be read."""
    if cell.type_oid not in values.TEXT_TYPES:
        return None
    try:
        original = cell.value.decode()
        # Like a cast of char(n) to text: the filling is no part of the value.
        masked = change(original.rstrip(" ") if cell.type_oid == values.BPCHAR else original)
    except UnicodeDecodeError:
        original, masked = "*" * len(cell.value), REDACTED
    return fit_text(masked, cell.type_oid, mask.typmod, original).encode()


def _pseudonym(mask: Mask, key: bytes, value: bytes) -> bytes:
    """HMAC-SHA-256, keyed per connection and masking rule: columns of one rule can be joined, others cannot."""
    family = hmac.digest(key, b"tidegate-hash/1\0" + mask.rule.encode(), hashlib.sha256)
    return hmac.digest(family, value, hashlib.sha256)


def _nearest(number: Decimal, to: int, most: Decimal | None) -> Decimal:
    """The nearest multiple of ``to``, halves away from zero, within ±most; keeps the number's scale."""
    # Decimal's own operators round to 28 digits: every step needs the wide context.
    quotient = _EXACT.divide_int(_EXACT.add(_EXACT.abs(number), Decimal(to) / 2), Decimal(to))
    multiple = _EXACT.multiply(quotient, Decimal(to))
    magnitude = multiple if most is None else min(multiple, most)
    return magnitude.copy_sign(number) if magnitude else Decimal(0)


def _round_numeric(number: Decimal, to: int, typmod: int | None) -> Decimal | None:
    if not number.is_finite() or number.adjusted() > MAX_NUMERIC_DIGITS:
        return None
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if typmod is None or typmod == NO_TYPMOD:
        return _EXACT.quantize(_nearest(number, to, None), Decimal(1).scaleb(exponent))
    shown = _numeric_in(_nearest(number, to, largest_multiple(to, typmod)), typmod)
    return None if shown is None else Decimal(shown)


def largest_multiple(to: int, typmod: int) -> Decimal:
    """The largest multiple of ``to`` that ``numeric(p, s)`` holds."""
    precision, scale = numeric_shape(typmod)
    return Decimal(int(Decimal(10**precision - 1).scaleb(-scale, _EXACT)) // to * to)


def _numeric_in(number: Decimal, typmod: int | None) -> str | None:
    """The text of a number as ``numeric(p, s)``; None where it does not fit."""
    if typmod is None or not number.is_finite():
        return None
    precision, scale = numeric_shape(typmod)
    stored = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _EXACT)
    if stored.copy_abs() >= Decimal(1).scaleb(precision - scale):
        return None
    shown = f"{stored:f}"
    return shown if stored else shown.lstrip("-")


def _round_float(cell: Cell, to: int) -> bytes | None:
    layout = values.FLOAT_FORMATS[cell.type_oid]
    number = struct.unpack(layout, cell.value)[0] if cell.format == 1 else float(cell.value)
    (number,) = struct.unpack(layout, struct.pack(layout, number))
    if not math.isfinite(number) or abs(number) > FLOAT_LIMITS[cell.type_oid]:
        return None
    # rint as in the server: Python's round() is the same for ties (to even), but loses the sign of zero.
    rounded = math.copysign(float(round(number / to)), number) * float(to)
    packed = struct.pack(layout, rounded)
    return packed if cell.format == 1 else float_text(struct.unpack(layout, packed)[0], single=cell.type_oid == values.FLOAT4).encode()


def _from_text(cell: Cell, text: str) -> bytes | None:
    return text.encode() if cell.format == 0 else values.from_text(cell.type_oid, text)


def _from_binary(cell: Cell, binary: bytes) -> bytes | None:
    if cell.format == 1:
        return binary
    shown = values.to_text(cell.type_oid, 1, binary)
    return None if shown is None else shown.encode()


_METHODS: dict[str, Callable[[Mask, Cell, bytes], bytes | None]] = {
    "redact": _redact,
    "nullify": _nullify,
    "email": _email,
    "card": _card,
    "partial": _partial,
    "hash": _hash,
    "year": _year,
    "round": _round,
    "fixed": _fixed,
}
