"""Nothing in a statement stays hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.visible import in_order, one_line, pieces, spelt_out


@pytest.mark.parametrize("character", [
    "\u202a", "\u202b", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069", "\u200e", "\u200f", "\u061c",  # bidirectional
    "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\u180e", "\ufe0f", "\U000e0041",  # zero width
    "\u3164", "\uffa0", "\u115f", "\u2800",  # blank letters
    "\u00a0", "\u2003", "\u3000", "\u2028", "\u2029", "\x0b", "\x0c", "\x85",  # spaces and line ends that SQL does not know
    "\0", "\x08", "\x1b", "\x7f", "\x9b", "\r", "\ue000", "\U000f0000",
])  # fmt: skip
def test_what_cannot_be_seen_is_spelt_out(character):
    assert spelt_out(f"a{character}b") == f"a⟦U+{ord(character):04X}⟧b"


def test_ordinary_text_stays_as_it_is():
    text = "SELECT *\n\tFROM t -- ~!\r\nWHERE a = 1"
    assert spelt_out(text) == text.replace("\r\n", "\n")


def test_look_alikes_are_marked():
    found = [piece for piece in pieces("cust\u043emers") if piece.kind == "foreign"]
    assert [(piece.text, piece.title) for piece in found] == [("\u043e", "U+043E Cyrillic small letter o")]


@given(st.text())
def test_nothing_is_lost_and_nothing_hidden_is_left(text):
    plain = text.replace("\r\n", "\n")
    back = "".join(chr(int(piece.text[2:], 16)) if piece.kind == "hidden" else piece.text for piece in pieces(text))
    assert back == plain
    shown = spelt_out(text)
    assert not [character for character in shown if not (character.isprintable() or character in "\n\t")]


def test_one_line_is_short():
    assert one_line("a\n  b" + "x" * 500, 10) == "a bxxxxxx…"


def test_letters_that_reorder_a_line_are_spelt_out_where_nobody_controls_the_drawing():
    assert in_order("'\u05d0' OR 1=1 \u0661") == "'⟦U+05D0⟧' OR 1=1 ⟦U+0661⟧"
    assert spelt_out("'\u05d0'") == "'\u05d0'"
