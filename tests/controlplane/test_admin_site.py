from __future__ import annotations

import json

import pytest
from django.contrib.admin import site as admin_site
from django.contrib.auth.models import Group
from django.test import Client

from audit.models import Entry
from controlplane.admin_base import ReadOnlyAdmin, ServiceModelAdmin
from controlplane.models import User

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


def test_every_page_that_changes_something_leaves_a_record() -> None:
    for model, page in admin_site._registry.items():
        assert isinstance(page, (ServiceModelAdmin, ReadOnlyAdmin)), model


def test_people_groups_and_roles_are_recorded_with_before_and_after(admin: Client) -> None:
    dana = User.objects.create(username="dana", email="d@example.com")
    owners = Group.objects.create(name="owners")
    form = {"username": "dana", "email": "d@example.com", "is_active": "on", "is_approver": "on", "groups": [owners.pk]}
    assert admin.post(f"/admin/controlplane/user/{dana.pk}/change/", form).status_code == 302
    told = {name: found["value"] for name, found in json.loads(Entry.objects.latest("id").disclosures).items()}
    assert told == {"before": {"groups": [], "is_approver": False}, "after": {"groups": ["owners"], "is_approver": True}}
    assert admin.post(f"/admin/auth/group/{owners.pk}/delete/", {"post": "yes"}).status_code == 302
    assert '"action":"remove"' in Entry.objects.latest("id").canonical


def test_a_lost_passkey_is_taken_away(admin: Client) -> None:
    dana = User.objects.create(username="dana")
    passkey = dana.passkeys.create(name="laptop", credential_id=b"a", public_key=b"b")
    assert admin.post(f"/admin/controlplane/passkey/{passkey.pk}/delete/", {"post": "yes"}).status_code == 302
    assert "laptop of dana" in Entry.objects.latest("id").canonical
    assert admin.get("/admin/controlplane/passkey/add/").status_code == 403


def test_its_menu_signs_out_and_changes_passwords_as_the_rest_does(admin: Client) -> None:
    assert admin.get("/admin/password_change/")["Location"] == "/password"
    assert admin.post("/admin/password_change/", {"old_password": "x"})["Location"] == "/password"
    assert admin.post("/admin/logout/")["Location"] == "/login"
    assert Entry.objects.filter(kind="admin.signed_out").count() == 1
