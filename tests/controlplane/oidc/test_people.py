"""What the provider's claims make of an account. The ways there and back are in test_views.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Group

from audit.models import Entry
from controlplane.models import User
from controlplane.oidc import people
from controlplane.oidc.configuration import Provider
from controlplane.oidc.problems import SignInProblem

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> Provider:
    return Provider(
        issuer="https://id.example.com",
        client_id="tidegate",
        client_secret="s",
        name="Example ID",
        scopes="openid",
        algorithms=("RS256",),
        username_claim="preferred_username",
        groups_claim="groups",
        roles={"approver": frozenset({"owners"}), "auditor": frozenset({"audit"})},
    )


def claims(**changed: Any) -> dict[str, Any]:
    given = {"sub": "248289", "preferred_username": "dana", "email": "dana@example.com", "groups": ["owners"], "given_name": "Dana"}
    return {name: value for name, value in (given | changed).items() if value is not None}


def problem(provider: Provider, **changed: Any) -> str:
    with pytest.raises(SignInProblem) as found:
        people.account_of(claims(**changed), provider)
    return found.value.code


def test_what_changed_there_changes_here_and_is_recorded(provider: Provider) -> None:
    for name in ("owners", "audit"):
        Group.objects.create(name=name)
    made = people.account_of(claims(), provider)
    assert (made.get_full_name(), made.roles) == ("Dana", ["approver"])
    same = people.account_of(claims(preferred_username="other", email="new@example.com", groups=["audit", "owners"]), provider)
    assert (same.pk, same.username, same.email, same.roles) == (made.pk, "dana", "new@example.com", ["approver", "auditor"])
    assert {group.name for group in same.groups.all()} == {"owners", "audit"}
    recorded = Entry.objects.filter(kind="admin.changed").count()
    assert recorded == 2
    people.account_of(claims(email="new@example.com", groups=["audit", "owners"]), provider)
    assert Entry.objects.filter(kind="admin.changed").count() == recorded  # nothing new, nothing recorded
    assert "sign-in by Example ID" in Entry.objects.latest("id").canonical


def test_the_last_role_gone_is_the_end_and_stays_recorded(provider: Provider) -> None:
    made = people.account_of(claims(), provider)
    assert problem(provider, groups=[]) == "unknown"
    made.refresh_from_db()
    assert made.roles == []


def test_without_a_mapping_roles_and_groups_are_ours(provider: Provider) -> None:
    ours = replace(provider, roles={}, groups_claim="")
    made = people.account_of(claims(), ours)
    assert made.roles == []
    made.groups.add(Group.objects.create(name="staff"))
    User.objects.update(is_auditor=True)
    again = people.account_of(claims(), ours)
    assert (again.roles, again.groups.count()) == (["auditor"], 1)


def test_an_approver_needs_an_address_that_is_theirs(provider: Provider) -> None:
    assert problem(provider, email=None) == "account"
    assert problem(provider, email_verified=False) == "account"
    assert not User.objects.exists()


def test_odd_names(provider: Provider) -> None:
    assert people.account_of(claims(preferred_username=None, sub="a-b"), provider).username == "a-b"
    assert people.account_of(claims(preferred_username=["x"], sub="c-d"), provider).username == "c-d"
    assert problem(provider, preferred_username="a b/<c>") == "account"
    assert people.groups_in({"groups": "owners"}, provider) == {"owners"}
    assert people.groups_in({"groups": [1, "", "a"]}, provider) == {"a"}


def test_the_same_name_at_another_provider_is_another_person(provider: Provider) -> None:
    people.account_of(claims(), provider)
    assert problem(replace(provider, issuer="https://other.example.com")) == "taken"
    other = people.account_of(claims(preferred_username="dana2"), replace(provider, issuer="https://other.example.com"))
    assert other.username == "dana2"
    assert problem(provider, sub="1", preferred_username="DANA") == "taken"


def test_an_identity_is_one_persons(provider: Provider) -> None:
    people.account_of(claims(), provider)
    other = User.objects.create(username="other", email="other@example.com")
    with pytest.raises(SignInProblem) as found:
        people.connect(other, claims(), provider)
    assert found.value.code == "connected"
    nameless = User.objects.create(username="approver", is_approver=True)  # an approver needs an address
    with pytest.raises(SignInProblem) as found:
        people.connect(nameless, claims(sub="another"), provider)
    assert found.value.code == "account"
