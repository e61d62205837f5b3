"""Statement text made honest: what a reader cannot see, or would take for something else, is spelt out.

Bidirectional controls reorder what a browser draws, zero-width characters and odd spaces hide in names, look-alike letters
make two names look the same. The characters stay where they are; invisible ones are shown as ``U+202E``, visible ones outside
ASCII are marked, so that ``customers`` written with a Cyrillic letter stands out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# Invisible though their category says letter, mark or symbol.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {chr(c) for c in range(0xFE00, 0xFE10)}


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text to show; ``kind`` is ``plain``, ``hidden`` (text is its code point) or ``foreign`` (outside ASCII)."""

    text: str
    kind: str
    title: str = ""


def _kind(character: str) -> str:
    if character in "\n\t" or " " <= character <= "~":
        return "plain"
    if character in _BLANK or unicodedata.category(character)[0] in "CZ":
        return "hidden"
    return "foreign"


def _name(character: str) -> str:
    return unicodedata.name(character, f"control character {ord(character)}").capitalize()


def _single(character: str, kind: str) -> Piece:
    code = f"U+{ord(character):04X}"
    return Piece(code, kind, _name(character)) if kind == "hidden" else Piece(character, kind, f"{code} {_name(character)}")


def pieces(text: str) -> Iterator[Piece]:
    """The text cut where something needs to be marked. A carriage return before a line feed is an ordinary line end."""
    run: list[str] = []
    for character in text.replace("\r\n", "\n"):
        kind = _kind(character)
        if kind == "plain":
            run.append(character)
            continue
        if run:
            yield Piece("".join(run), "plain")
            run = []
        yield _single(character, kind)
    if run:
        yield Piece("".join(run), "plain")


def spelt_out(text: str) -> str:
    """For plain text: invisible characters become ``⟦U+202E⟧``."""
    return "".join(f"⟦{piece.text}⟧" if piece.kind == "hidden" else piece.text for piece in pieces(text))


def in_order(text: str) -> str:
    """For plain text whose drawing nobody controls, such as an e-mail: right-to-left letters are spelt out too.

    They make what stands around them change places.
    """
    return "".join(f"⟦U+{ord(one):04X}⟧" if unicodedata.bidirectional(one) in ("R", "AL", "AN") else one for one in spelt_out(text))


def one_line(text: str, limit: int = 120) -> str:
    """For subjects and lists: invisible characters spelt out, white space collapsed, cut at ``limit`` characters."""
    flat = " ".join(spelt_out(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
