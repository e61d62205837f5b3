"""People of each role, a small policy, and a worker that is enrolled the way real ones are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from controlplane import services, workers
from controlplane.models import Connection, Grant, Subject, User
from worker.identity import Identity, Stored, _new_keys, _public_keys

ACTOR = "a test"
Call = Callable[..., Any]


def person(username: str, **roles: bool) -> User:
    return User.objects.create(username=username, email=f"{username}@example.com", **roles)


@pytest.fixture
def admin_user(db: None) -> User:
    return person("root", is_superuser=True)


@pytest.fixture
def client_of(db: None) -> Callable[[User], Client]:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def admin(admin_user: User, client_of: Callable[[User], Client]) -> Client:
    """A browser in which an admin is signed in."""
    return client_of(admin_user)


@pytest.fixture
def auditor(client_of: Callable[[User], Client]) -> Client:
    return client_of(person("ari", is_auditor=True))


@pytest.fixture
def approver(client_of: Callable[[User], Client]) -> Client:
    return client_of(person("dana", is_approver=True))


def rest(client: Client, method: str, path: str, body: Any = None) -> Any:
    """A JSON request to the REST interface."""
    send = getattr(client, method)
    return send(f"/api/v1/{path}") if method == "get" else send(f"/api/v1/{path}", body, content_type="application/json")


@pytest.fixture
def agents(db: None) -> Group:
    return services.save(Group(name="agents"), actor=ACTOR)


@pytest.fixture
def crm(db: None) -> Connection:
    connection = services.save(
        Connection(name="crm", host="db.internal", dbname="crm", user="tidegate_agent", tls_mode="disable"), actor=ACTOR
    )
    services.set_password(connection, password="target-password", actor=ACTOR)
    return connection


@pytest.fixture
def bot(agents: Group) -> Subject:
    return services.save(Subject(name="report-bot"), actor=ACTOR, links={"groups": [agents]})


@pytest.fixture
def grant(agents: Group, crm: Connection) -> Grant:
    return services.save(Grant(actions=["select"]), actor=ACTOR, links={"groups": [agents], "subjects": [], "connections": [crm]})


class EnrolledWorker:
    """A worker's own identity code, enrolled over the real endpoint."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.keys: Stored = _new_keys()
        _, self.token = workers.create_token(name="host-a", actor=ACTOR)
        self.answer = self.enrol()
        self.identity = Identity(Stored(self.keys.signing_key, self.keys.sealing_key, self.answer.json()["worker"]))

    def enrol(self) -> Any:
        body = {"token": self.token, "name": "host-a", **_public_keys(self.keys)}
        return rest(Client(), "post", "worker/enrol", body)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {self.identity.token()}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        send = getattr(Client(), method)
        if method == "get":
            return send(f"/api/v1/worker/{path}", headers=sent)
        return send(f"/api/v1/worker/{path}", body, content_type="application/json", headers=sent)


@pytest.fixture
def worker(db: None, tmp_path: Path) -> EnrolledWorker:
    return EnrolledWorker(tmp_path)
