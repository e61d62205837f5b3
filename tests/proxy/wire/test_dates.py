"""The calendar against Python's own, and beyond its years."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import dates

EPOCH = date(2000, 1, 1).toordinal()


@given(st.dates())
def test_the_same_days_as_python(day: date) -> None:
    days = day.toordinal() - EPOCH
    assert dates.days_from_civil(day.year, day.month, day.day) == days
    assert dates.civil_from_days(days) == (day.year, day.month, day.day)
    assert dates.date_text(days) == day.isoformat()
    assert dates.parse_date(day.isoformat()) == days


@given(st.integers(min_value=dates.FIRST_DAY, max_value=dates.LAST_DATE))
def test_every_day_reads_back(days: int) -> None:
    assert dates.days_from_civil(*dates.civil_from_days(days)) == days
    assert dates.parse_date(dates.date_text(days)) == days


@given(st.integers(min_value=dates.FIRST_DAY * dates.DAY, max_value=dates.END_TIMESTAMP - 1))
def test_every_moment_reads_back(micros: int) -> None:
    assert dates.parse_timestamp(dates.timestamp_text(micros, ""), zoned=False) == micros
    assert dates.parse_timestamp(dates.timestamp_text(micros, "+00"), zoned=True) == micros


def test_the_limits_are_those_of_the_manual() -> None:
    assert dates.date_text(dates.FIRST_DAY) == "4714-11-24 BC"
    assert dates.date_text(dates.LAST_DATE) == "5874897-12-31"
    assert dates.timestamp_text(dates.END_TIMESTAMP - 1, "") == "294276-12-31 23:59:59.999999"


@pytest.mark.parametrize("text", ["4714-11-23 BC", "5874898-01-01", "2023-02-29", "0000-06-01", "2024-00-01", "2024-1-1", "today"])
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|day|year"):
        dates.parse_date(text)
