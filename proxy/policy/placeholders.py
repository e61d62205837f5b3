"""Telling what a mask makes of a value from a value: a client that writes back what it was shown would destroy the real one."""

from __future__ import annotations

import re

from proxy.policy.masks import Mask

_REDACTED = "***"  # what other methods, too, make of a value that they do not understand
_EMAIL = re.compile(r"\*\*\*@\*\*\*\.[A-Za-z]{2,63}\Z")
_CARD = re.compile(r"(?=[* -]*\*)[* -]+[0-9](?:[ -]?[0-9]){3}\Z")
_PSEUDONYM = re.compile(r"(?:[A-Z2-7]{24}|[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\Z")


def is_placeholder(mask: Mask, text: str) -> bool:
    """Whether a text could have come out of the mask, and hardly is a value. Rounded numbers and first days of years are not told."""
    shown = text.rstrip(" ")
    if mask.method in ("nullify", "year", "round"):
        return False
    if mask.method == "fixed":
        return bool(mask.arguments) and text == str(mask.arguments[0])
    if mask.method == "partial":
        first, last = (int(argument) for argument in mask.arguments)
        middle = text[first : len(text) - last] if len(text) > first + last else text
        return bool(middle) and set(middle) == {"*"}
    if shown == _REDACTED or (mask.method == "redact" and shown != "" and set(shown) == {"*"} and len(shown) < len(_REDACTED)):
        return True
    pattern = {"email": _EMAIL, "card": _CARD, "hash": _PSEUDONYM}.get(mask.method)
    return pattern is not None and pattern.match(text) is not None
