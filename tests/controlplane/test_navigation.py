from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory
from django.urls import reverse

from controlplane.navigation import PLACES, navigation

pytestmark = pytest.mark.django_db


def test_every_place_exists() -> None:
    for _, _, _, view in PLACES:
        assert reverse(view)


def test_the_place_where_one_is_is_marked(auditor: Client) -> None:
    marked = [link.name for link in auditor.get("/audit/").context["navigation"] if link.here]
    assert marked == ["Audit"]


def test_admins_find_the_audit_that_they_may_read(admin: Client) -> None:
    assert [link.name for link in admin.get("/").context["navigation"]] == ["Audit", "Administration", "API"]


def test_strangers_are_led_nowhere() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert navigation(request) == {"navigation": []}
