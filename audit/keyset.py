"""Pages of a long list without counting it: each page begins where the last one ended, by time and primary key.

A page far down costs as much as the first, and rows that arrive meanwhile move nothing. The addresses of pages hold ``before=`` or
``after=`` with a position, microseconds since the epoch and a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet

PAGE = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSITION = re.compile(r"(\d{1,17})\.(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the list's order; ``earlier`` and ``later`` are query strings of the pages around it, empty where there is none."""

    rows: list[Any]
    earlier: str
    later: str


def page(found: QuerySet, asked: Mapping[str, Any], *, time: str = "time", size: int = PAGE, newest_first: bool = True) -> Page:
    """The page that ``asked`` (a request's GET) names; what is no position counts as the list's beginning.

    ``time``: the column that orders it. The other parameters of the request are kept in the addresses of the pages around.
    """
    before, after = _position(asked.get("before")), _position(asked.get("after"))
    onward = newest_first if after is None else not newest_first  # whether the next row that is read is an older one
    start = after or before
    if start is not None:
        found = found.filter(_beyond(time, start, older=onward))
    sign = "-" if onward else ""
    rows = list(found.order_by(f"{sign}{time}", f"{sign}pk")[: size + 1])
    more, rows = len(rows) > size, rows[:size]
    if after is not None:
        rows.reverse()
    if not rows:
        return Page([], "", "")
    kept = [(name, value) for name, values in _lists(asked) if name not in ("before", "after") for value in values]
    has_earlier, has_later = (more, True) if after is not None else (start is not None, more)
    return Page(
        rows,
        urlencode([*kept, ("after", _said(rows[0], time))]) if has_earlier else "",
        urlencode([*kept, ("before", _said(rows[-1], time))]) if has_later else "",
    )


def _position(text: object) -> tuple[datetime, int] | None:
    found = _POSITION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(found[1])), int(found[2])
    except OverflowError:
        return None


def _said(row: Any, time: str) -> str:
    return f"{(getattr(row, time) - _EPOCH) // timedelta(microseconds=1)}.{row.pk}"


def _beyond(time: str, start: tuple[datetime, int], *, older: bool) -> Q:
    moment, pk = start
    way = "lt" if older else "gt"
    return Q(**{f"{time}__{way}e": moment}) & (Q(**{f"{time}__{way}": moment}) | Q(**{f"pk__{way}": pk}))


def _lists(asked: Any) -> list[tuple[str, list[Any]]]:
    return list(asked.lists()) if hasattr(asked, "lists") else [(name, [value]) for name, value in asked.items()]


def neighbour(found: QuerySet, row: Any, *, older: bool, time: str = "time") -> Any:
    """The row just before or after this one, None at the end."""
    sign = "-" if older else ""
    return found.filter(_beyond(time, (getattr(row, time), row.pk), older=older)).order_by(f"{sign}{time}", f"{sign}pk").first()
