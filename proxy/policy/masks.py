"""Masks: how a sensitive value is made harmless, as a cell of a result and as an SQL expression.

Both roads lead to the same value (`mask_cells`, `mask_sql`; tests compare them on a real server), except that a keyed
pseudonym (``hash``) exists only in results: its key must never stand in SQL text, so there it becomes ``redact``.
Whatever is not known (method, type, format, a value that cannot be read) becomes NULL.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.policy.mask_cells import mask_cell
from proxy.policy.mask_sql import sql_expression
from proxy.policy.mask_types import Column, Mask, fitted
from proxy.wire import values

__all__ = ["Column", "Mask", "fits_type", "fitted", "mask_cell", "parse_method", "sql_expression"]

_ARGUMENTS = {
    "redact": (), "nullify": (), "email": (), "card": (), "hash": (), "year": (),
    "partial": ("first", "last"), "round": ("to",), "fixed": ("text",),
}  # fmt: skip


def parse_method(obj: Mapping[str, object]) -> tuple[str, tuple[int | str, ...]]:
    """Name and arguments of a method as the bundle spells it: ``{"name": "partial", "first": 0, "last": 4}``.

    Raises ValueError for anything else.
    """
    name = obj.get("name")
    names = _ARGUMENTS.get(name) if isinstance(name, str) else None
    if names is None:
        raise ValueError(f"method: unknown masking method {name!r}")
    if set(obj) != {"name", *names}:
        raise ValueError(f"method: {name} takes {', '.join(names) or 'no arguments'}")
    return str(name), tuple(_argument(str(name), argument, obj[argument]) for argument in names)


def fits_type(type_oid: int, text: str) -> bool:
    """Whether ``fixed: text`` is a value of this type; policies are checked with it when they are applied."""
    return type_oid in values.TEXT_TYPES or values.from_text(type_oid, text) is not None


def _argument(method: str, name: str, value: object) -> int | str:
    if method == "fixed":
        if isinstance(value, str) and "\0" not in value and len(value) <= 1000:
            return value
        raise ValueError("method: fixed.text must be text of at most 1000 characters")
    least, most = (1, 10**18) if method == "round" else (0, 1000)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise ValueError(f"method: {method}.{name} must be a whole number from {least} to {most}")
