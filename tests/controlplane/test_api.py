"""The REST interface: what each role may, and that a write is what it says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from controlplane.models import ApiKey, Connection, EnrolmentToken, Grant, Subject, User, Worker
from tests.certificates import issued
from tests.controlplane.conftest import EnrolledWorker, rest

pytestmark = pytest.mark.django_db
SECTIONS = (
    "groups users oidc-issuers subjects connections grants masking-rules statement-rules workflows workers enrolment-tokens bundles".split()
)


@pytest.mark.parametrize("section", SECTIONS)
def test_roles(section: str, admin: Client, auditor: Client, approver: Client) -> None:
    assert rest(admin, "get", section).status_code == 200
    assert rest(auditor, "get", section).status_code == 200
    assert rest(auditor, "post", section, {}).status_code in (403, 405)
    if section != "workflows":  # approvers see their own workflows
        assert rest(approver, "get", section).status_code == 403
    assert rest(Client(), "get", section).status_code == 401


def test_a_session_needs_the_csrf_token(admin_user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert rest(client, "post", "groups", {"name": "x"}).status_code == 403


def test_a_policy_is_written_by_names(admin: Client) -> None:
    assert rest(admin, "post", "groups", {"name": "agents"}).status_code == 201
    person = rest(admin, "post", "users", {"username": "dana", "email": "d@example.com", "roles": ["approver"], "groups": ["agents"]})
    assert person.status_code == 201, person.content
    assert person.json()["roles"] == ["approver"]
    issuer = {"name": "corp", "issuer": "https://id.example.com", "audience": "tidegate", "algorithms": ["RS256"]}
    assert rest(admin, "post", "oidc-issuers", issuer).status_code == 201
    subject = {"name": "bot", "owner": "dana", "groups": ["agents"], "oidc_issuer": "corp", "oidc_subject": "client:bot"}
    subject["certificate_uri"] = "spiffe://example.com/bot"
    made = rest(admin, "post", "subjects", subject)
    assert made.status_code == 201, made.content
    connection = {"name": "crm", "host": "db", "dbname": "crm", "user": "agent", "password": "target-password"}
    answer = rest(admin, "post", "connections", connection)
    assert answer.status_code == 201, answer.content
    assert "password" not in answer.json()
    assert answer.json()["credential_version"] == 2
    grant = rest(admin, "post", "grants", {"groups": ["agents"], "connections": ["crm"], "actions": ["select"]})
    assert grant.status_code == 201, grant.content
    content = rest(admin, "get", "bundles").json()["results"][0]
    payload = rest(admin, "get", f"bundles/{content['serial']}").json()["payload"]
    assert '"client:bot"' in payload
    assert '"spiffe://example.com/bot"' in payload
    assert "target-password" not in payload


def test_the_key_of_a_client_certificate_is_written_and_never_read(admin: Client) -> None:
    own = issued("tidegate")
    connection = {"name": "crm", "host": "db", "dbname": "crm", "user": "agent", "tls_client_cert": own.certificate}
    refused = rest(admin, "post", "connections", connection)
    assert refused.status_code == 400
    assert refused.json()["errors"] == {"tls_client_key": ["The client certificate needs its private key."]}
    assert not Connection.objects.exists()
    made = rest(admin, "post", "connections", {**connection, "tls_client_key": own.key})
    assert made.status_code == 201, made.content
    assert made.json()["tls_client_cert"] == own.certificate.strip()
    assert "tls_client_key" not in made.json()
    changed = rest(admin, "patch", f"connections/{made.json()['id']}", {"tls_client_key": issued("tidegate").key})
    assert "do not fit together" in changed.json()["detail"]
    assert rest(admin, "patch", f"connections/{made.json()['id']}", {"port": 5433}).status_code == 200


def test_a_change_changes_what_is_given_only(admin: Client, bot: Subject) -> None:
    answer = rest(admin, "patch", f"subjects/{bot.pk}", {"enabled": False})
    assert answer.status_code == 200
    assert answer.json()["groups"] == ["agents"]
    assert rest(admin, "put", f"subjects/{bot.pk}", {"name": "x"}).status_code == 405


def test_addresses_work_with_a_slash_at_the_end(admin: Client) -> None:
    assert rest(admin, "post", "groups/", {"name": "x"}).status_code == 201


@pytest.mark.parametrize(
    ("section", "body", "field", "why"),
    [
        ("subjects", {"name": "a b"}, "name", "letters"),
        ("subjects", {"name": "bot", "groups": ["none"]}, "groups", "does not exist"),
        ("connections", {"name": "c", "host": "h", "dbname": "d", "user": "u", "port": 0}, "port", "1"),
        (
            "connections",
            {"name": "c", "host": "h", "dbname": "d", "user": "u", "unanalyzable": "approve"},
            "unanalyzable_workflow",
            "workflow",
        ),
        ("grants", {"connections": [], "actions": ["select"]}, "connections", "at least one"),
        ("users", {"username": "x", "password": "short"}, "password", "12"),
        ("users", {"username": "x", "roles": ["king"]}, "roles", "valid choice"),
        ("users", {"username": "x", "roles": ["approver"]}, "email", "e-mail"),
        ("enrolment-tokens", {"name": "a b"}, "name", "letters"),
    ],
)
def test_what_is_wrong_is_said_as_a_problem(admin: Client, section: str, body: dict, field: str, why: str) -> None:
    refused = rest(admin, "post", section, body)
    assert refused.status_code == 400, refused.content
    assert refused["Content-Type"] == "application/problem+json"
    assert why in str(refused.json()["errors"][field])
    assert why in refused.json()["detail"]


def test_a_password_is_set_and_never_given_back(admin: Client) -> None:
    made = rest(admin, "post", "users", {"username": "dana", "password": "correct horse battery"})
    assert made.status_code == 201
    assert "horse" not in made.content.decode()
    assert User.objects.get(username="dana").check_password("correct horse battery")


def test_keys_are_shown_once(admin: Client, auditor: Client, bot: Subject) -> None:
    until = (timezone.now() + timedelta(days=1)).isoformat()
    made = rest(admin, "post", f"subjects/{bot.pk}/keys", {"expires_at": until})
    assert made.status_code == 201, made.content
    assert "no-store" in made["Cache-Control"]
    key = made.json()["key"]
    listing = rest(admin, "get", f"subjects/{bot.pk}/keys")
    assert key not in listing.content.decode()
    assert listing.json()["results"][0]["last_four"] == key[-4:]
    assert rest(auditor, "post", f"subjects/{bot.pk}/keys", {}).status_code == 403
    revoked = rest(admin, "post", f"subjects/{bot.pk}/keys/{ApiKey.objects.get().pk}/revoke")
    assert revoked.json()["state"] == "revoked"
    assert rest(admin, "post", "subjects/999999/keys", {}).status_code == 404


def test_a_key_is_reached_through_its_own_subject_only(admin: Client, bot: Subject) -> None:
    rest(admin, "post", f"subjects/{bot.pk}/keys", {})
    other = Subject.objects.create(name="other")
    assert rest(admin, "post", f"subjects/{other.pk}/keys/{ApiKey.objects.get().pk}/revoke").status_code == 404


def test_an_enrolment_token_is_shown_once(admin: Client) -> None:
    made = rest(admin, "post", "enrolment-tokens", {"name": "host-a"})
    assert made.json()["token"].startswith("tge_")
    assert rest(admin, "get", "enrolment-tokens").json()["results"][0]["token"] is None
    assert rest(admin, "delete", f"enrolment-tokens/{EnrolmentToken.objects.get().pk}").status_code == 204


def test_a_worker_is_revoked(admin: Client, auditor: Client, worker: EnrolledWorker) -> None:
    name = worker.identity.worker
    assert rest(auditor, "post", f"workers/{name}/revoke").status_code == 403
    assert rest(admin, "post", f"workers/{name}/revoke").json()["revoked_at"]
    assert not Worker.objects.active().exists()


def test_what_is_still_used_is_a_conflict(admin: Client, bot: Subject, admin_user: User) -> None:
    owner = User.objects.create(username="owner")
    Subject.objects.update(owner=owner)
    refused = rest(admin, "delete", f"users/{owner.pk}")
    assert refused.status_code == 409
    assert "report-bot" in refused.json()["detail"]
    assert rest(admin, "delete", f"users/{admin_user.pk}").status_code == 400


def test_filters_and_pages(admin: Client, crm: Connection, grant: Grant) -> None:
    assert rest(admin, "get", "connections?name=crm").json()["count"] == 1
    assert rest(admin, "get", "connections?name=other").json()["count"] == 0
    assert rest(admin, "get", "grants?groups__name=agents").json()["count"] == 1
    for number in range(3):
        Subject.objects.create(name=f"bot-{number}")
    page = rest(admin, "get", "subjects?page_size=2").json()
    assert (page["count"], len(page["results"])) == (3, 2)
    assert page["next"]


@pytest.mark.parametrize(("section", "queries"), [("subjects", 7), ("grants", 8), ("connections", 6), ("workers", 6), ("users", 6)])
def test_the_number_of_queries_does_not_grow(
    admin: Client, django_assert_max_num_queries, section: str, queries: int, crm: Connection
) -> None:
    for number in range(12):
        Subject.objects.create(name=f"bot-{number}")
        Worker.objects.create(name=f"host-{number}", public_key=str(number), sealing_key="")
        User.objects.create(username=f"person-{number}")
        Grant.objects.create(actions=["select"]).connections.add(crm)
    with django_assert_max_num_queries(queries):
        assert rest(admin, "get", section).status_code == 200


def test_what_it_does_not_know_is_refused(admin: Client, bot: Subject) -> None:
    """A mistyped end of a key would otherwise make one that never ends."""
    answer = rest(admin, "post", f"subjects/{bot.pk}/keys", {"expires": "2030-01-01T00:00:00Z"})
    assert answer.status_code == 400
    assert "expires_at" in answer.json()["detail"]
    assert not ApiKey.objects.exists()
    assert rest(admin, "post", "users", {"username": "eve", "is_superuser": True, "is_staff": True}).status_code == 400
    assert rest(admin, "post", "enrolment-tokens", {"name": "a", "hours": 1}).status_code == 400
    # What was read can be sent back.
    given = rest(admin, "get", f"subjects/{bot.pk}").json()
    assert rest(admin, "patch", f"subjects/{bot.pk}", given).status_code == 200
