"""Fields and combinations that a model refuses, each with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from controlplane.models import ApiKey, Connection, EnrolmentToken, Grant, OidcIssuer, Subject, User
from tests.certificates import issued

pytestmark = pytest.mark.django_db


def connection(**changes: object) -> Connection:
    return Connection(**{"name": "crm", "host": "db", "dbname": "crm", "user": "agent", **changes})


@pytest.mark.parametrize(
    ("make", "field", "why"),
    [
        (lambda: connection(port=70000), "port", "65535"),
        (lambda: connection(unanalyzable="approve"), "unanalyzable_workflow", "workflow"),
        (lambda: connection(databases=["a/b"]), "databases", "database name"),
        (lambda: connection(trusted_functions=["f()"]), "trusted_functions", "brackets"),
        (lambda: connection(max_rows=0), "max_rows", "1"),
        (lambda: connection(max_sessions_per_subject=0), "max_sessions_per_subject", "1"),
        (lambda: connection(idle_timeout=0), "idle_timeout", "1"),
        (lambda: connection(tls_mode="prefer"), "tls_mode", "not a valid choice"),
        (lambda: connection(tls_mode="disable", tls_client_cert=issued("c").certificate), "tls_client_cert", "Without TLS"),
        (lambda: Subject(name="oidc"), "name", "another name"),
        (lambda: Subject(name="bot", oidc_subject="x"), "oidc_subject", "together"),
        (lambda: Subject(name="bot", certificate_uri="no uri"), "certificate_uri", "scheme"),
        (lambda: Subject(name="bot", certificate_uri="a:b", certificate_common_name="c"), "certificate_common_name", "not by both"),
        (lambda: OidcIssuer(name="c", issuer="https://i", audience="t", algorithms=["HS256"]), "algorithms", "not HS256"),
        (lambda: OidcIssuer(name="c", issuer="https://i", audience="t", algorithms=["none"]), "algorithms", "not none"),
        (lambda: OidcIssuer(name="c", issuer="https://i", audience="t"), "algorithms", "at least one"),
        (lambda: User(username="dana", password="!", is_approver=True), "email", "e-mail"),
        (lambda: Grant(actions=["selct"]), "actions", "no action"),
        (lambda: Grant(actions=[]), "actions", "blank"),
        (
            lambda: Grant(actions=["select"], valid_from=timezone.now(), valid_until=timezone.now() - timedelta(days=1)),
            "valid_until",
            "before",
        ),
    ],
)
def test_what_is_wrong_is_explained(make, field: str, why: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make().full_clean()
    assert why in " ".join(refused.value.message_dict[field])


def test_defaults_are_closed() -> None:
    made = connection()
    assert (made.default, made.unanalyzable, made.opaque_functions, made.tls_mode) == ("deny", "deny", "deny", "verify-full")


def test_roles(django_user_model: type[User]) -> None:
    user = django_user_model.objects.create(username="a", is_auditor=True)
    assert user.roles == ["auditor"]
    assert not user.is_staff
    user.set_roles(["admin", "approver"])
    user.save()
    assert user.roles == ["admin", "approver"]
    assert user.is_staff
    user.is_active = False
    assert not user.has_role("admin")


def test_staff_without_the_role_admin_is_nothing(django_user_model: type[User]) -> None:
    user = django_user_model.objects.create(username="a", is_staff=True)
    assert not user.is_staff


def test_each_subject_has_its_own_salt() -> None:
    one, other = Subject.objects.create(name="one"), Subject.objects.create(name="other")
    assert len(bytes(one.scram_salt)) == 16
    assert bytes(one.scram_salt) != bytes(other.scram_salt)
    salt = bytes(one.scram_salt)
    one.save()
    one.refresh_from_db()
    assert bytes(one.scram_salt) == salt


def test_states() -> None:
    now = timezone.now()
    assert ApiKey().state == "active"
    assert ApiKey(expires_at=now).state == "expired"
    assert ApiKey(expires_at=now, revoked_at=now).state == "revoked"
    assert EnrolmentToken(expires_at=now + timedelta(hours=1)).state == "waiting"
    assert EnrolmentToken(expires_at=now).state == "expired"
    assert EnrolmentToken(expires_at=now, used_at=now).state == "used"
