from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def policy(client: Client, path: str) -> dict[str, str]:
    parts = client.get(path)["Content-Security-Policy"].split(";")
    return {name: rest for name, _, rest in (part.strip().partition(" ") for part in parts)}


def test_no_page_may_run_or_style_anything_inline(admin: Client) -> None:
    for path in ("/", "/login", "/admin/", "/approvals/", "/audit/", "/api/v1/docs", "/nope"):
        found = policy(admin, path)
        assert found["default-src"] == "'none'"
        assert "unsafe-inline" not in " ".join(found.values())
        assert found["frame-ancestors"] == "'none'"
        assert found["form-action"] == "'self'"


def test_eval_is_for_the_admin_site_only(admin: Client) -> None:
    assert policy(admin, "/")["script-src"] == "'self'"
    assert policy(admin, "/admin/")["script-src"] == "'self' 'unsafe-eval'"
