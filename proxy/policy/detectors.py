"""A second net: values that look like personal data or secrets, in columns of which nobody can say where they come from.

Masks go by a column's origin, and that is the boundary. A function's result or a JSON document has none; there, patterns
with checksums find what is certain enough to be told or blotted out. They find nothing that is encoded, split or odd, and
they take some harmless numbers for cards: never rely on them alone.

Sources: ISO/IEC 7812 (card numbers, Luhn), ISO 13616 (IBAN, mod 97; lengths of the SWIFT registry), the US Social Security
Administration's rules for numbers, E.164 (telephone), RFC 7468 (PEM), RFC 7519 (JWT).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

import re2  # type: ignore[import-untyped]  # ships no stubs

Span = tuple[int, int, str]  # where it begins and ends, and its kind

_IBAN_LENGTHS = {
    b"AD": 24, b"AE": 23, b"AL": 28, b"AT": 20, b"AZ": 28, b"BA": 20, b"BE": 16, b"BG": 22, b"BH": 22, b"BR": 29, b"BY": 28,
    b"CH": 21, b"CR": 22, b"CY": 28, b"CZ": 24, b"DE": 22, b"DK": 18, b"DO": 28, b"EE": 20, b"EG": 29, b"ES": 24, b"FI": 18,
    b"FO": 18, b"FR": 27, b"GB": 22, b"GE": 22, b"GI": 23, b"GL": 18, b"GR": 27, b"GT": 28, b"HR": 21, b"HU": 28, b"IE": 22,
    b"IL": 23, b"IQ": 23, b"IS": 26, b"IT": 27, b"JO": 30, b"KW": 30, b"KZ": 20, b"LB": 28, b"LC": 32, b"LI": 21, b"LT": 20,
    b"LU": 20, b"LV": 21, b"LY": 25, b"MC": 27, b"MD": 24, b"ME": 22, b"MK": 19, b"MR": 27, b"MT": 31, b"MU": 30, b"NL": 18,
    b"NO": 15, b"PK": 24, b"PL": 28, b"PS": 29, b"PT": 25, b"QA": 29, b"RO": 24, b"RS": 22, b"SA": 24, b"SC": 31, b"SE": 24,
    b"SI": 19, b"SK": 24, b"SM": 27, b"ST": 25, b"SV": 28, b"TL": 23, b"TN": 24, b"TR": 26, b"UA": 29, b"VA": 22, b"VG": 24,
    b"XK": 20,
}  # fmt: skip
_CARDS = (  # what numbers of the larger schemes begin with, and how long they are
    ((b"4",), (13, 16, 19)), ((b"34", b"37"), (15,)),
    ((b"51", b"52", b"53", b"54", b"55", b"22", b"23", b"24", b"25", b"26", b"27"), (16,)),
    ((b"6011", b"64", b"65", b"35", b"62"), (16, 17, 18, 19)), ((b"30", b"36", b"38", b"39"), (14, 15, 16, 17, 18, 19)),
)  # fmt: skip


def _is_card(found: bytes) -> bool:
    digits = found.translate(None, b" -")
    if len(set(digits)) == 1 or not any(digits.startswith(prefixes) and len(digits) in lengths for prefixes, lengths in _CARDS):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = (digit - 48) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _is_ssn(found: bytes) -> bool:
    area, group, serial = found.split(b"-")
    return area not in (b"000", b"666") and area < b"900" and group != b"00" and serial != b"0000"


def _is_iban(found: bytes) -> bool:
    compact = found.replace(b" ", b"")
    if _IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    return int("".join(str(int(character, 36)) for character in (compact[4:] + compact[:4]).decode())) % 97 == 1


def _is_jwt(found: bytes) -> bool:
    head = found.partition(b".")[0]
    try:
        return b'"alg"' in base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return False


def _is_phone(found: bytes) -> bool:
    return 8 <= sum(48 <= character < 58 for character in found) <= 15


def _certain(found: bytes) -> bool:
    return True


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes: a value may be in any encoding
    options.log_errors = False
    return re2.compile(pattern.encode(), options)


_DETECTORS: Mapping[str, tuple[str, Callable[[bytes], bool]]] = {
    # In this order: what one has found, no later one looks at.
    "private_key": (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)", _certain),
    "jwt": (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*", _is_jwt),
    "email": (r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b", _certain),
    "iban": (r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", _is_iban),
    "card": (r"\b[0-9](?:[ -]?[0-9]){12,18}\b", _is_card),
    "ssn": (r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", _is_ssn),
    "phone": (
        r"(?:\+[0-9]{1,3}[ ./-]?(?:\([0-9]{1,5}\)[ ./-]?)?(?:[0-9][ ./-]?){5,13}[0-9]|\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4})\b",
        _is_phone,
    ),
}
KINDS = tuple(_DETECTORS)
_PATTERNS = {kind: (_compiled(pattern), check) for kind, (pattern, check) in _DETECTORS.items()}
# Values stand side by side there, and what precedes or follows one may look like a part of its first or last word.
_ANY = _compiled("|".join(pattern.replace(r"\b", "") for pattern, _ in _DETECTORS.values()))
NEUTRAL = frozenset(range(256)) - frozenset(b"0123456789._%+-@ /()") - frozenset(range(65, 91)) - frozenset(range(97, 123))  # in no pattern
_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123))
_STARS = bytes.maketrans(b"0123456789" + _LETTERS, b"*" * (10 + len(_LETTERS)))
# A JSON document must stay one: its numbers stand without quotes, and a backslash and what follows it are one character.
_NEUTRAL = bytes.maketrans(b"0123456789" + _LETTERS, b"1" * 10 + b"x" * len(_LETTERS))
_ESCAPE = re.compile(rb"(\\u[0-9A-Fa-f]{4}|\\.)")


def suspects(data: bytes) -> bool:
    """Whether there may be anything to find in many values at once, such as a read of DataRow messages."""
    return _ANY.search(data) is not None


def find(value: bytes) -> list[Span]:
    """What is in a value, from left to right."""
    if not suspects(value):
        return []
    found: list[Span] = []
    for kind, (pattern, check) in _PATTERNS.items():
        for match in pattern.finditer(value):
            start, stop = match.span()
            if check(value[start:stop]) and all(stop <= begins or ends <= start for begins, ends, _ in found):
                found.append((start, stop, kind))
    return sorted(found)


def blot(value: bytes, spans: list[Span], *, json: bool = False) -> bytes:
    """The value with what was found made unreadable; its length stays, and so does a JSON document's syntax."""
    parts, position = [], 0
    for start, stop, _ in spans:
        parts += [value[position:start], _neutral(value[start:stop]) if json else value[start:stop].translate(_STARS)]
        position = stop
    return b"".join([*parts, value[position:]])


def _neutral(found: bytes) -> bytes:
    pieces = _ESCAPE.split(found)  # what is between escapes, and each of them, in turn
    return b"".join(piece if number % 2 else piece.translate(_NEUTRAL) for number, piece in enumerate(pieces))
