"""A person's own account page. What goes by the provider is in oidc/test_views.py."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_it_shows_who_one_is(approver: Client) -> None:
    page = approver.get("/account").content.decode()
    assert "dana@example.com" in page
    assert "<dd>approver</dd>" in page
    assert Client().get("/account")["Location"] == "/login?next=/account"


def test_without_a_provider_there_is_nothing_to_connect(approver: Client, settings: Any) -> None:
    assert "Connect" not in approver.get("/account").content.decode()
    assert approver.post("/account/connect")["Location"] == "/account"
    assert approver.get("/account/connect").status_code == 405
