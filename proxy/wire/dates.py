"""Dates and times as PostgreSQL counts them: days and microseconds since 2000-01-01, proleptic Gregorian calendar."""

from __future__ import annotations

import re

SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND

# The extreme values stand for infinity (manual, 8.5.1.4).
DATE_INFINITY = (-(2**31), 2**31 - 1)
TIMESTAMP_INFINITY = (-(2**63), 2**63 - 1)

# 4714-11-24 BC (Julian day 0) is the first day of either type; the last are 5874897-12-31 and 294276-12-31.
FIRST_DAY = -2_451_545
LAST_DATE = 2_145_031_948
END_TIMESTAMP = 9_223_371_331_200_000_000

_CLOCK = r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?"
_DATE = re.compile(r"(\d{4,7})-(\d\d)-(\d\d)( BC)?", re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)
_TIMESTAMP = re.compile(rf"(\d{{4,6}})-(\d\d)-(\d\d)[ T]{_CLOCK}(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?( BC)?", re.ASCII)


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 2000-01-01; year 0 is 1 BC. Years are counted from March, so that leap days come last."""
    year -= month < 3
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 730_425


def civil_from_days(days: int) -> tuple[int, int, int]:
    """The inverse of :func:`days_from_civil`."""
    era, of_era = divmod(days + 730_425, 146_097)
    years = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + years + (month < 3), month, of_year - (153 * shifted + 2) // 5 + 1


def date_text(days: int) -> str:
    if days in DATE_INFINITY:
        return "infinity" if days > 0 else "-infinity"
    text, era = _day_text(days)
    return text + era


def clock_text(micros: int) -> str:
    """``24:00:00`` is a time of day for PostgreSQL."""
    seconds, fraction = divmod(micros, SECOND)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text


def timestamp_text(micros: int, zone: str) -> str:
    if micros in TIMESTAMP_INFINITY:
        return "infinity" if micros > 0 else "-infinity"
    days, clock = divmod(micros, DAY)
    text, era = _day_text(days)
    return f"{text} {clock_text(clock)}{zone}{era}"


def parse_date(text: str) -> int:
    """Days since 2000-01-01 of an ISO date, ``infinity`` included. Raises ValueError."""
    if text in ("infinity", "-infinity"):
        return DATE_INFINITY[text[0] == "i"]
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not an ISO date")
    days = _day(*match.groups())
    if not FIRST_DAY <= days <= LAST_DATE:
        raise ValueError("date out of range")
    return days


def parse_clock(text: str) -> int:
    """Microseconds since midnight. Raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a time of day")
    return _clock(*match.groups())


def parse_timestamp(text: str, *, zoned: bool) -> int:
    """Microseconds since 2000-01-01 (UTC if ``zoned``, which needs an offset). Raises ValueError."""
    if text in ("infinity", "-infinity"):
        return TIMESTAMP_INFINITY[text[0] == "i"]
    match = _TIMESTAMP.fullmatch(text)
    if match is None or (match[8] is not None) != zoned:
        raise ValueError("not an ISO timestamp")
    micros = _day(match[1], match[2], match[3], match[9]) * DAY + _clock(*match.groups()[3:7]) - _offset(match[8])
    if not FIRST_DAY * DAY <= micros < END_TIMESTAMP:
        raise ValueError("timestamp out of range")
    return micros


def _day_text(days: int) -> tuple[str, str]:
    year, month, day = civil_from_days(days)
    shown, era = (year, "") if year > 0 else (1 - year, " BC")
    return f"{shown:04d}-{month:02d}-{day:02d}", era


def _day(year: str, month: str, day: str, era: str | None) -> int:
    if int(year) < 1:
        raise ValueError("there is no year 0")
    number = 1 - int(year) if era else int(year)
    days = days_from_civil(number, int(month), int(day)) if 1 <= int(month) <= 12 else 0
    if civil_from_days(days) != (number, int(month), int(day)):
        raise ValueError("no such day")
    return days


def _clock(hours: str, minutes: str, seconds: str, fraction: str | None) -> int:
    total = (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * SECOND + int((fraction or "").ljust(6, "0"))
    if int(minutes) > 59 or int(seconds) > 59 or total > DAY:
        raise ValueError("no such time of day")
    return total


def _offset(text: str | None) -> int:
    if text is None or text == "Z":
        return 0
    digits = text[1:].replace(":", "").ljust(6, "0")
    total = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:])
    return (-total if text[0] == "-" else total) * SECOND
