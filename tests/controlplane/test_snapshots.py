from __future__ import annotations

import pytest

from controlplane.models import Connection, Subject, User
from controlplane.snapshots import snapshot

pytestmark = pytest.mark.django_db


def test_names_instead_of_numbers_and_no_secret(bot: Subject, admin_user: User) -> None:
    bot.owner = admin_user
    found = snapshot(bot)
    assert found == {
        "name": "report-bot",
        "kind": "agent",
        "owner": "root",
        "groups": ["agents"],
        "oidc_issuer": None,
        "oidc_subject": "",
        "certificate_uri": "",
        "certificate_common_name": "",
        "enabled": True,
    }
    person = snapshot(admin_user)
    assert person["is_superuser"] is True
    assert not {"password", "last_login", "id", "user_permissions"} & set(person)


def test_an_unsaved_object_has_no_links() -> None:
    assert "groups" not in snapshot(Subject(name="x"))


def test_a_secret_of_a_connection_is_elsewhere(crm: Connection) -> None:
    assert "password" not in snapshot(crm)
