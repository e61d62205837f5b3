from __future__ import annotations

import pytest
from django.urls import reverse


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("start", "/"),
        ("healthz", "/healthz"),
        ("login", "/login"),
        ("admin:index", "/admin/"),
        ("schema", "/api/v1/schema"),
        ("docs", "/api/v1/docs"),
    ],
)
def test_addresses(name: str, path: str) -> None:
    assert reverse(name) == path
