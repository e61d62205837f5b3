"""Pages of a long list without counting it: each page begins where the last one ended, by time and primary key.

A page far down costs as much as the first, and rows that arrive meanwhile move nothing. The addresses of pages hold ``before=`` or
``after=`` with a position, microseconds since the epoch and a key.

A search has two ways to go, and PostgreSQL cannot tell which is short: read rows in their order until a page is full (good for what is
frequent), or collect all that match and sort them (good for what is rare). For ``scattered`` rows the first way is gone for some thousand
rows, and only then the second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db import connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, QuerySet

PAGE = 50
NEAR = 5_000  # rows that are read in their order before all that match are collected
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSITION = re.compile(r"(\d{1,17})\.(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the list's order; ``earlier`` and ``later`` are query strings of the pages around it, empty where there is none."""

    rows: list[Any]
    earlier: str
    later: str


def page(
    found: QuerySet, asked: Mapping[str, Any], *, time: str = "time", size: int = PAGE, newest_first: bool = True, scattered: bool = False
) -> Page:
    """The page that ``asked`` (a request's GET) names; what is no position counts as the list's beginning.

    ``time``: the column that orders it. ``scattered``: no index holds what matches in that order. The other parameters of the request are
    kept in the addresses of the pages around.
    """
    before, after = _position(asked.get("before")), _position(asked.get("after"))
    onward = newest_first if after is None else not newest_first  # whether the next row that is read is an older one
    start = after or before
    if start is not None:
        found = found.filter(_beyond(time, start, older=onward))
    rows = _search(found, time, start, onward, size + 1) if scattered else list(_ordered(found, time, onward)[: size + 1])
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


def _ordered(found: QuerySet, time: str, onward: bool) -> QuerySet:
    sign = "-" if onward else ""
    return found.order_by(f"{sign}{time}", f"{sign}pk")


def _search(found: QuerySet, time: str, start: tuple[datetime, int] | None, onward: bool, size: int) -> list[Any]:
    way = "gt" if onward else "lt"
    near = found.model._default_manager.all()
    if start is not None:
        near = near.filter(**{f"{time}__{'lte' if onward else 'gte'}": start[0]})
    edge = _ordered(near, time, onward).values_list(time, flat=True)[NEAR : NEAR + 1]
    for last in edge:
        rows = list(_ordered(found.filter(**{f"{time}__{way}e": last}), time, onward)[:size])
        if len(rows) == size:
            return rows
        return _collected(found, time, onward, size)
    return list(_ordered(found, time, onward)[:size])  # there are not that many rows


def _collected(found: QuerySet, time: str, onward: bool, size: int) -> list[Any]:
    """All that match, sorted. PostgreSQL is kept from going the first way again: the order is by an expression that no index has, and
    conditions that exclude each other, which it believes to be independent, are no reason to read the whole table."""
    moment = ExpressionWrapper(F(time) + timedelta(0), output_field=DateTimeField())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        rows = list(found.order_by(moment.desc() if onward else moment.asc(), "-pk" if onward else "pk")[:size])
        cursor.execute("SET LOCAL enable_seqscan = on")
    return rows


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
