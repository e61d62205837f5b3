"""The places of a statement where a value stands, so that approvers can say which of the values may be others.

A place is a ``$n`` of the normalised statement: a Bind parameter, or a constant of the text. They are found by laying PostgreSQL's
tokens of both texts side by side; where anything but a constant differs, nothing is said, and then no value may be another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from django.utils.crypto import salted_hmac

from proxy.sql import parser

MOST = 50  # nobody reads more of them
_SALT = "tidegate.approvals.place/1"
PARAMETER = "PARAM"
_CONSTANTS = frozenset({"SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST", "TRUE_P", "FALSE_P", "NULL_P"})
_NUMBERS = frozenset({"ICONST", "FCONST"})


class Place(msgspec.Struct, frozen=True):
    """``n`` as in the normalised statement, the kind of token there, and which value it is, without telling it."""

    n: int
    kind: str
    value: str  # a keyed digest: values that approvers are not shown must not be found out by trying all there are


def written(sql: str, normalised: str) -> dict[int, tuple[str, str]] | None:
    """Kind and text of what stands in each place, in order; of a parameter ``$n``. None where the places cannot be told."""
    try:
        return dict(sorted(_written(sql.encode(), normalised.encode())))
    except (parser.SyntaxFailure, _Unlike, UnicodeEncodeError):
        return None


def of(sql: str, normalised: str, parameters: Mapping[int, str | None]) -> tuple[Place, ...] | None:
    """The places of one statement in order; None where they cannot be told, or are too many."""
    found = written(sql, normalised)
    if found is None or len(found) > MOST or any(kind == PARAMETER and n not in parameters for n, (kind, _) in found.items()):
        return None
    return tuple(Place(n, kind, _digest(kind, parameters[n] if kind == PARAMETER else text)) for n, (kind, text) in found.items())


def differ(before: Sequence[Place], now: Sequence[Place]) -> frozenset[int] | None:
    """Where two statements of one shape have other values; None where not even the kinds of their constants are the same."""
    if [(place.n, place.kind) for place in before] != [(place.n, place.kind) for place in now]:
        return None
    return frozenset(old.n for old, new in zip(before, now, strict=True) if old.value != new.value)


class _Unlike(Exception):
    """One text is not the other with its constants replaced."""


def _written(data: bytes, normalised: bytes) -> Iterator[tuple[int, tuple[str, str]]]:
    tokens, at = _tokens(data), 0
    for kind_expected, expected in _tokens(normalised):
        kind, text = tokens[at] if at < len(tokens) else ("", b"")
        at += 1
        if kind_expected != PARAMETER or kind == PARAMETER:
            if text != expected:
                raise _Unlike
            if kind == PARAMETER:
                yield int(expected[1:]), (kind, text.decode())
            continue
        if text == b"-" and at < len(tokens) and tokens[at][0] in _NUMBERS:
            kind, text, at = tokens[at][0], b"-" + tokens[at][1], at + 1
        if kind not in _CONSTANTS:
            raise _Unlike
        yield int(expected[1:]), (kind, text.decode())
    if at != len(tokens):
        raise _Unlike


def _tokens(data: bytes) -> list[tuple[str, bytes]]:
    found = [(token.kind, data[token.start : token.end]) for token in parser.scan(data)]
    while found and found[-1][1] == b";":
        found.pop()
    return found


def _digest(kind: str, text: str | None) -> str:
    return salted_hmac(_SALT, json.dumps([kind, text]), algorithm="sha256").hexdigest()
