"""A small office: a subject, its owner, approvers, a workflow, an enrolled worker, and the requests that it sends."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth.models import Group
from django.test import Client
from joserfc import jws
from joserfc.jwk import OKPKey

from approvals import services
from approvals.models import ApprovalRequest, Workflow
from controlplane.models import Subject, User, Worker

BINDING, SHAPE = "ab" * 32, "5a" * 32
SECRET = "whsec_c2VjcmV0LW9mLXR3ZW50eS1mb3VyLWJ5dGVz"
PREVIEW = {
    "estimated_rows": 9, "affected_rows": 12, "plan": "Delete on orders", "columns": ["crm.orders.id"], "notes": [],
    "triggers": [{"relation": "crm.orders", "name": "audit", "event": "DELETE"}],
    "cascades": [{"relation": "crm.order_lines", "columns": ["order_id"], "action": "DELETE CASCADE"}],
}  # fmt: skip


class Host:
    """An enrolled worker with its key."""

    def __init__(self, name: str = "host-a") -> None:
        self.key = Ed25519PrivateKey.generate()
        public = base64.b64encode(self.key.public_key().public_bytes_raw()).decode()
        self.row = Worker.objects.create(name=name, public_key=public, sealing_key="")

    def sign(self, content: Any, **header: str) -> str:
        protected = {"alg": "EdDSA", "kid": str(self.row.pk)} | header
        with pytest.warns(Warning, match="EdDSA is deprecated"):
            return jws.serialize_compact(protected, json.dumps(content).encode(), OKPKey.import_key(self.key), algorithms=["EdDSA"])

    def bearer(self) -> str:
        import time

        now = int(time.time())
        claims = {"iss": str(self.row.pk), "aud": "tidegate-control", "iat": now, "exp": now + 55, "jti": str(uuid.uuid4())}
        return f"Bearer {self.sign(claims)}"


def person(username: str, **fields: Any) -> User:
    return User.objects.create(username=username, email=f"{username}@example.com", **fields)


@pytest.fixture
def host(db: None) -> Host:
    return Host()


@pytest.fixture
def owner(db: None) -> User:
    return person("olga", is_approver=True)


@pytest.fixture
def dana(db: None) -> User:
    return person("dana", is_approver=True)


@pytest.fixture
def subject(owner: User) -> Subject:
    return Subject.objects.create(name="support-bot", kind="human", owner=owner)


@pytest.fixture
def workflow(dana: User, owner: User, subject: Subject) -> Workflow:
    """dana by a group, the subject's owner by name."""
    group = Group.objects.create(name="data-owners")
    group.user_set.add(dana)
    workflow = Workflow.objects.create(name="owners")
    workflow.approver_groups.add(group)
    workflow.approvers.add(owner)
    return workflow


def payload(host: Host, **changes: Any) -> dict[str, Any]:
    """A request as the worker sends it (docs/contracts.md §4)."""
    return {
        "id": str(uuid.uuid4()), "worker": str(host.row.pk), "binding": BINDING, "workflow": "owners", "subject": "support-bot",
        "issuer": "api-key", "connection": "crm", "database": "crm", "session": str(uuid.uuid4()), "statement": str(uuid.uuid4()),
        "decision": "d-17", "sql": "DELETE FROM crm.orders\n  WHERE id = $1", "parameters": [{"n": 1, "oid": 20, "text": "7"}],
        "actions": ["delete"], "relations": ["crm.orders"], "reason": "deletes need a yes", "rules": ["deletes need a yes"],
        "masked": ["crm.customers.ssn"], "bundle": "0" * 64, "in_transaction": False, "client": "10.1.2.3:5555", "application": "psql",
        "run": "nightly",
    } | changes  # fmt: skip


@pytest.fixture
def ask(host: Host, workflow: Workflow) -> Callable[..., ApprovalRequest]:
    """Open a request as the worker would."""
    return lambda **changes: services.open_request(payload(host, **changes), host.row)


@pytest.fixture
def browser() -> Client:
    """A browser that insists on CSRF tokens."""
    return Client(enforce_csrf_checks=True)
