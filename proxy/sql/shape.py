"""The shape of a text: the text with its plain constants replaced by one constant of their kind.

**What is promised.** PostgreSQL reads texts of equal shape as the same tokens, but for the values of these constants, and each of
them as the same kind of token (``Sconst``, ``Iconst``, ``FCONST``). Its grammar looks at kinds of tokens only, so the trees are
equal too, but for these values and for positions. Whether the values matter is another question: :mod:`proxy.sql.constants`.

**How it is kept.** The session's event loop has no time for PostgreSQL's scanner, so this is one pattern that goes from token to
token by the rules of `scan.l` and gives up on whatever needs more than one rule to be told: prefixed and dollar-quoted strings,
backslashes, nested comments, numbers in other notations. To give up costs an analysis, nothing else. What is not replaced stays as
it is, so it can only tell shapes apart: such are the numbers of output columns in GROUP BY and ORDER BY, which matter. It never looks
like what stands for a constant: of each kind, that is the shape of itself.
"""

from __future__ import annotations

import re

LONGEST = 4_000  # bytes: some 0.2 ms

# Everything before the next constant, and that constant. Every repetition is possessive: there is never a second way to read it.
# A letter only stands in words (numbers and parameters that letters follow are given up), so what follows one belongs to its word.
_PIECE = re.compile(
    rb"""
    ( (?: [A-Za-z_\x80-\xff \t\n\r\f\v(),=<>.;:*+%^|&!~@\#?`\[\]]++
        | (?<=[A-Za-z0-9_$\x80-\xff])[0-9$]++             # the rest of a word
        | (?<=[Bb][Yy][ ])[1-9][0-9]?+(?![A-Za-z0-9_$.\x80-\xff])                                   # GROUP BY 1,
          (?:(?:[ ](?:ASC|DESC|asc|desc))?+,[ ]?+[1-9][0-9]?+(?![A-Za-z0-9_$.\x80-\xff]))*+         # 2 DESC, 3
        | -(?!-)
        | /(?!\*)
        | (?<!&)"[^"]*+"                                 # not U&""
        | \$[0-9]++(?![A-Za-z0-9_$.\x80-\xff])           # a parameter; not $tag$
        | --[^\n\r]*+
        | /\*(?:[^*/]|\*(?!/)|/(?!\*))*+\*/               # a comment without one inside
      )*+ )
    (?: (?<![A-Za-z0-9_$\x80-\xff&])('[^'\\\0]*+(?:''[^'\\\0]*+)*+')                 # not E'', X'', U&''
      | (?<![A-Za-z0-9_$.\x80-\xff])([0-9]++(?:\.[0-9]++)?+)(?![A-Za-z0-9_$.\x80-\xff])  # not .5, 1e5, 0x1, 1_000
      | \Z
      | (.++)                                            # anything else: give up
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_STRING, _INTEGER, _LARGE, _DECIMAL = b"'a'", b"0", b"9999999999", b"0.0"
_LARGEST = b"2147483647"  # the largest Iconst; what is larger is an FCONST
# The field of A_Const in which the tree keeps a constant of each kind.
FIELDS = {_STRING: "sval", _INTEGER: "ival", _LARGE: "fval", _DECIMAL: "fval"}


def shape(data: bytes) -> bytes | None:
    """The shape of a text in UTF-8; None where it cannot be told, or has no plain constant."""
    if len(data) > LONGEST:
        return None
    found = _PIECE.findall(data)
    parts, constants = [], 0
    for before, string, number, odd in found:
        parts.append(before)
        if string:
            parts.append(_STRING)
        elif number:
            parts.append(_kind(number))
        elif odd:
            return None
        else:
            continue
        constants += 1
    return b"".join(parts) if constants else None


def plain_constants(data: bytes) -> list[tuple[int, int, bytes]] | None:
    """Where each plain constant of a text begins and ends, and what stands for it in the shape; None where that cannot be told."""
    found = []
    for match in _PIECE.finditer(data):
        _, string, number, odd = match.groups()
        if odd is not None:
            return None
        if string is not None or number is not None:
            found.append((match.end(1), match.end(), _kind(number) if number else _STRING))
    return found


def _kind(number: bytes) -> bytes:
    if b"." in number:
        return _DECIMAL
    digits = number.lstrip(b"0")
    return _INTEGER if len(digits) < len(_LARGEST) or (len(digits) == len(_LARGEST) and digits <= _LARGEST) else _LARGE
