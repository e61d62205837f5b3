"""Methods as bundles spell them, and fixed values that fit their type."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.policy.masks import fits_type, parse_method
from proxy.wire import values


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({"name": "redact"}, ("redact", ())),
        ({"name": "hash"}, ("hash", ())),
        ({"name": "partial", "first": 0, "last": 4}, ("partial", (0, 4))),
        ({"last": 4, "name": "partial", "first": 2}, ("partial", (2, 4))),
        ({"name": "round", "to": 1000}, ("round", (1000,))),
        ({"name": "fixed", "text": ""}, ("fixed", ("",))),
    ],
)
def test_methods(obj: dict[str, Any], expected: tuple[str, tuple[int | str, ...]]) -> None:
    assert parse_method(obj) == expected


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"name": None},
        {"name": "rot13"},
        {"name": ["redact"]},
        {"name": "redact", "x": 1},
        {"name": "partial", "first": 1},
        {"name": "round"},
        {"name": "partial", "first": True, "last": 0},
        {"name": "partial", "first": "1", "last": 0},
        {"name": "partial", "first": -1, "last": 0},
        {"name": "round", "to": 0},
        {"name": "round", "to": 1.5},
        {"name": "round", "to": 10**19},
        {"name": "fixed", "text": 1},
        {"name": "fixed", "text": "a\0b"},
        {"name": "fixed", "text": "x" * 1001},
    ],
)
def test_what_is_no_method(obj: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="method: "):
        parse_method(obj)


@pytest.mark.parametrize(
    ("oid", "text", "fits"),
    [
        (values.TEXT, "n/a", True),
        (values.INT4, "0", True),
        (values.INT4, "n/a", False),
        (values.INT2, "40000", False),
        (values.DATE, "2020-01-01", True),
        (values.DATE, "yesterday", False),
        (16_400, "x", False),
    ],
)
def test_fixed_values_are_checked(oid: int, text: str, fits: bool) -> None:
    assert fits_type(oid, text) is fits
