from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_signing_in_is_one_page(auditor: Client) -> None:
    assert Client().get("/admin/", follow=True).redirect_chain[-1][0].startswith("/login?next=")
    assert auditor.get("/admin/", follow=True).redirect_chain[-1][0] == "/"


def test_nothing_is_inline(admin: Client) -> None:
    """The security policy forbids inline scripts and styles, so a page that needs them would be broken."""
    for path in (
        "/admin/",
        "/admin/controlplane/subject/add/",
        "/admin/controlplane/connection/add/",
        "/admin/policies/statementrule/add/",
    ):
        page = admin.get(path).content.decode()
        assert "<style" not in page
        assert "<script>" not in page
        assert " onclick=" not in page
        assert "//cdn" not in page
        assert "https://" not in page
