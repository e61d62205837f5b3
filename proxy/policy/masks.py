"""Masks: how a sensitive value is made harmless, as a cell of a result and as an SQL expression."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mask:
    """One masking rule as it applies to one column."""

    method: str  # redact | nullify | email | card | hash | year | partial | round | fixed
    arguments: tuple[int | str, ...] = ()  # partial: (first, last); round: (to,); fixed: (text,)
    rule: str = ""
    lookups: bool = False  # `column = constant` may work on the real value
