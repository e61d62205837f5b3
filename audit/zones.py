"""In which time zone a person reads and writes times: the browser's own, which a script of ours tells by a cookie; UTC without it.

What is stored, exported and answered by the REST interface is in UTC.
"""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest

COOKIE = "tidegate-zone"
UTC = ZoneInfo("UTC")
_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")


def zone_of(request: HttpRequest) -> ZoneInfo:
    name = request.COOKIES.get(COOKIE, "").replace("%2F", "/")
    if not _NAME.fullmatch(name):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory of the zone database, such as "Europe"
        return UTC
