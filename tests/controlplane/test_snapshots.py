from __future__ import annotations

import pytest

from controlplane.models import Connection, Passkey, Subject, User, Worker
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


def test_the_keys_by_which_a_worker_is_known_are_kept() -> None:
    found = snapshot(Worker(name="host-a", public_key="AAAA", sealing_key="BBBB"))
    assert (found["public_key"], found["sealing_key"]) == ("AAAA", "BBBB")


def test_no_binary_column_is_kept(bot: Subject) -> None:
    assert "scram_salt" not in snapshot(bot)
    passkey = Passkey(user=User(username="dana"), name="telephone", public_key=b"1")
    assert not {"credential_id", "public_key"} & set(snapshot(passkey))
