"""REST: the workers' endpoints as docs/contracts.md §4 has them, and what people of each role may do."""

from __future__ import annotations

import uuid

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from approvals import services, shapes, webhooks
from approvals.models import ApprovalRequest, Workflow
from approvals.states import State
from audit.models import Entry
from controlplane.models import User, Worker
from tests.approvals.conftest import BINDING, SECRET, person

pytestmark = pytest.mark.django_db
WORKER = "/api/v1/worker/approvals"
STATEMENT = {"binding": BINDING, "subject": "support-bot", "connection": "crm", "workflow": "owners"}


def call(host, method: str, path: str, body: dict | None = None):
    return getattr(Client(), method)(f"{WORKER}/{path}", body, content_type="application/json", headers={"Authorization": host.bearer()})


# --- workers ------------------------------------------------------------------------------------------------------------


def test_claim(host, ask, dana):
    assert call(host, "post", "claim", STATEMENT).status_code == 404
    request = ask()
    waiting = call(host, "post", "claim", STATEMENT)
    assert (waiting.status_code, waiting.json()["id"], waiting.json()["state"]) == (409, str(request.pk), "PENDING")
    assert waiting.json()["url"] == f"{settings.TIDEGATE_PUBLIC_URL}/approvals/{request.pk}/"
    services.decide(request, actor=dana, approve=True)
    used = call(host, "post", "claim", STATEMENT)
    assert (used.status_code, used.json()["id"], used.json()["state"]) == (200, str(request.pk), "CONSUMED")
    assert call(host, "post", "claim", STATEMENT).status_code == 404


def test_claim_by_shape(host, ask, dana, workflow):
    workflow.shapes = True
    workflow.save()
    sql, shape = "DELETE FROM crm.orders WHERE id = $1", "5a" * 32
    terms = shapes.Terms(60, 1, frozenset({1}))
    services.decide(ask(sql=sql, normalised=sql, shape=shape, bound=1), actor=dana, approve=True, shape=terms)
    run = {"shape": shape, "sql": sql, "normalised": sql, "parameters": [{"n": 1, "oid": 20, "text": "8"}]}
    for wrong in ({"shape": "x"}, {"parameters": [{"n": "1"}]}, {"parameters": None}):
        assert call(host, "post", "claim", STATEMENT | {"binding": "cd" * 32, "run": run | wrong}).status_code == 400
    used = call(host, "post", "claim", STATEMENT | {"binding": "cd" * 32, "run": run})
    assert (used.status_code, used.json()["state"], used.json()["bound"]) == (200, "CONSUMED", 1)
    assert call(host, "post", "claim", STATEMENT | {"binding": "cd" * 32, "run": run}).status_code == 404


def test_consume(host, ask, dana):
    request = ask()
    path = f"{request.pk}/consume"
    assert call(host, "post", f"{uuid.uuid4()}/consume", {"binding": BINDING}).status_code == 404
    assert call(host, "post", path, {"binding": "cd" * 32}).status_code == 404
    waiting = call(host, "post", path, {"binding": BINDING})
    assert (waiting.status_code, waiting.json()["state"]) == (409, "PENDING")
    services.decide(request, actor=dana, approve=True, comment="go")
    used = call(host, "post", path, {"binding": BINDING})
    assert (used.status_code, used.json()["state"], used.json()["comment"]) == (200, "CONSUMED", "go")
    again = call(host, "post", path, {"binding": BINDING})
    assert (again.status_code, again.json()["state"]) == (409, "CONSUMED")


def test_consume_tells_why_nobody_could_say_yes(host, ask):
    request = ask(workflow="nobody")
    answer = call(host, "post", f"{request.pk}/consume", {"binding": BINDING})
    assert (answer.status_code, answer.json()["state"], answer.json()["reason"]) == (409, "REJECTED", "no_approver")


def test_cancel_and_get(host, ask):
    request = ask()
    assert call(host, "get", f"{request.pk}").json()["state"] == "PENDING"
    cancelled = call(host, "post", f"{request.pk}/cancel", {"reason": "client disconnected"})
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "CANCELLED")
    assert call(host, "post", f"{request.pk}/cancel", {}).status_code == 200
    assert call(host, "get", f"{uuid.uuid4()}").status_code == 404
    assert call(host, "post", f"{uuid.uuid4()}/cancel", {"reason": ""}).status_code == 404


@pytest.mark.parametrize("body", [{}, {"binding": "x"}, {"binding": 7}, {"binding": BINDING.upper()}, {"binding": None}])
def test_a_malformed_call_changes_nothing(host, ask, dana, body):
    request = services.decide(ask(), actor=dana, approve=True)
    assert call(host, "post", f"{request.pk}/consume", body).status_code == 400
    assert call(host, "post", "claim", body | {"subject": "support-bot", "connection": "crm"}).status_code == 400
    assert ApprovalRequest.objects.get().state == State.APPROVED


@pytest.mark.parametrize(("method", "path"), [("post", "claim"), ("post", "{}/consume"), ("post", "{}/cancel"), ("get", "{}")])
def test_only_enrolled_workers_may_call(host, ask, method, path):
    path = path.format(ask().pk)
    admin = Client()
    admin.force_login(person("root", is_superuser=True))
    body = STATEMENT | {"reason": ""}
    assert getattr(Client(), method)(f"{WORKER}/{path}", body, content_type="application/json").status_code == 401
    assert getattr(admin, method)(f"{WORKER}/{path}", body, content_type="application/json").status_code in (401, 403)
    Worker.objects.update(revoked_at=timezone.now())
    assert call(host, method, path, body).status_code == 401
    assert ApprovalRequest.objects.get().state == State.PENDING


# --- people -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def people(dana, owner, workflow) -> dict[str, User]:
    return {
        "dana": dana, "olga": owner, "sam": person("sam", is_approver=True), "ari": person("ari", is_auditor=True),
        "root": person("root", is_superuser=True), "nobody": person("nobody"),
    }  # fmt: skip


def as_user(user: User | None) -> Client:
    client = Client()
    if user:
        client.force_login(user)
    return client


@pytest.mark.parametrize(("who", "seen"), [("dana", 1), ("olga", 1), ("ari", 1), ("root", 1), ("sam", 0), ("nobody", 0)])
def test_who_reads_requests(ask, people, who, seen):
    request = ask()
    client = as_user(people[who])
    assert client.get("/api/v1/approvals/").json()["count"] == seen
    assert client.get(f"/api/v1/approvals/{request.pk}/").status_code == (200 if seen else 404)
    assert as_user(None).get("/api/v1/approvals/").status_code in (401, 403)


@pytest.mark.parametrize(
    ("who", "status"), [("dana", 200), ("olga", 403), ("ari", 403), ("root", 403), ("sam", 404), ("nobody", 404), (None, 401)]
)
@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_who_decides_requests(ask, people, who, status, verb):
    request = ask()
    response = as_user(people.get(who)).post(
        f"/api/v1/approvals/{request.pk}/{verb}/", {"comment": "so be it"}, content_type="application/json"
    )
    assert response.status_code == status
    request.refresh_from_db()
    decided = {"approve": State.APPROVED, "reject": State.REJECTED}[verb]
    assert request.state == (decided if status == 200 else State.PENDING)


def test_deciding_again_is_a_conflict(ask, dana):
    request = ask()
    client = as_user(dana)
    assert client.post(f"/api/v1/approvals/{request.pk}/approve/", {}, content_type="application/json").status_code == 200
    second = client.post(f"/api/v1/approvals/{request.pk}/reject/", {}, content_type="application/json")
    assert second.status_code == 409
    assert "already approved" in second.json()["detail"]


@pytest.mark.parametrize(
    ("who", "read", "write"), [("root", 200, 201), ("ari", 200, 403), ("dana", 403, 403), ("nobody", 403, 403), (None, 401, 401)]
)
def test_who_reads_and_writes_workflows(people, who, read, write):
    client = as_user(people.get(who))
    body = {"name": "two", "approvers": ["dana"], "approver_groups": ["data-owners"], "quorum": 2}
    assert client.get("/api/v1/workflows/").status_code == read
    assert client.post("/api/v1/workflows/", body, content_type="application/json").status_code == write
    assert Workflow.objects.filter(name="two").exists() == (write == 201)


def test_workflow_changes_are_audited_and_removable(people, workflow):
    client, path = as_user(people["root"]), f"/api/v1/workflows/{workflow.pk}/"
    assert client.patch(path, {"quorum": 3, "approvers": []}, content_type="application/json").status_code == 200
    workflow.refresh_from_db()
    assert (workflow.quorum, list(workflow.approvers.all())) == (3, [])
    assert client.delete(path).status_code == 204
    said = [entry for entry in Entry.objects.filter(kind="admin.changed").order_by("id") if '"approvals.Workflow"' in entry.canonical]
    assert ['"action":"change"' in said[0].canonical, '"action":"remove"' in said[1].canonical] == [True, True]
    assert '"actor":"root"' in said[0].canonical


def test_a_webhook_is_never_given_back_and_stays(people, workflow):
    kept = webhooks.sealed({"url": "https://hooks.example.com/x", "secret": SECRET, "format": "slack"})
    workflow.notify = {"email": True, "webhook": kept}
    workflow.save()
    client, path = as_user(people["root"]), f"/api/v1/workflows/{workflow.pk}/"
    for response in (
        client.get(path),
        client.get("/api/v1/workflows/"),
        client.patch(path, {"notify": {"email": False}}, content_type="application/json"),
        client.get(f"/admin/approvals/workflow/{workflow.pk}/change/"),
    ):
        assert response.status_code == 200
        for secret in (kept["url"], kept["secret"], "hooks.example.com", SECRET):
            assert secret not in response.content.decode()
    workflow.refresh_from_db()
    assert workflow.notify == {"email": False, "webhook": kept}


@pytest.mark.parametrize(
    "change",
    [
        {"quorum": 0},
        {"notify": {"email": True, "webhook": {}}},
        {"expires": 0},
        {"hold": "maybe"},
        {"notify": []},
        {"approvers": ["nobody-of-that-name"]},
    ],
)
def test_impossible_workflows_are_refused(people, workflow, change):
    response = as_user(people["root"]).patch(f"/api/v1/workflows/{workflow.pk}/", change, content_type="application/json")
    assert response.status_code == 400
