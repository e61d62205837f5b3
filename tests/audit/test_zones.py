"""The reader's time zone comes from a cookie that anybody may write."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from audit.zones import COOKIE, zone_of


@pytest.mark.parametrize(("cookie", "zone"), [
    ("Europe/Berlin", "Europe/Berlin"), ("America/Argentina/Ushuaia", "America/Argentina/Ushuaia"), ("Asia%2FTokyo", "Asia/Tokyo"),
    ("UTC", "UTC"),
    ("", "UTC"), ("Europe", "UTC"), ("../../etc/passwd", "UTC"), ("/etc/localtime", "UTC"), ("Mars/Base", "UTC"), ("a" * 300, "UTC"),
    ("Europe/Ber\\lin", "UTC"),
])  # fmt: skip
def test_zone(cookie, zone):
    request = RequestFactory().get("/audit/")
    request.COOKIES[COOKIE] = cookie
    assert zone_of(request).key == zone


def test_without_a_cookie_it_is_utc():
    assert zone_of(RequestFactory().get("/audit/")).key == "UTC"
