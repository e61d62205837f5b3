from __future__ import annotations

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from controlplane.pagination import Pages


@pytest.mark.parametrize(("asked", "given"), [("", 50), ("2", 2), ("100000", 500), ("0", 50), ("x", 50)])
def test_pages_are_bounded(asked: str, given: int) -> None:
    request = Request(APIRequestFactory().get("/", {"page_size": asked} if asked else {}))
    assert Pages().get_page_size(request) == given
