"""The admin site: workflows are changed through services, requests are looked at and nothing else."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from approvals.models import ApprovalRequest, Workflow
from approvals.states import State
from audit.models import Entry
from tests.approvals.conftest import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(person("root", is_superuser=True))
    return client


def form(**changes: object) -> dict[str, object]:
    return {
        "name": "two", "quorum": 2, "hold": "ticket", "max_wait": 600, "expires": 900, "step_up": "none",
        "approver_groups": [], "approvers": [],
        "escalate_groups": [], "escalate_users": [], "break_glass_groups": [], "break_glass_users": [], "auto_approve_actions": "",
    } | changes  # fmt: skip


def test_a_workflow_is_made_and_changed_with_its_record(admin, dana, workflow):
    response = admin.post("/admin/approvals/workflow/add/", form(approvers=[dana.pk]))
    assert response.status_code == 302, response.content.decode()
    made = Workflow.objects.get(name="two")
    assert (made.quorum, list(made.approvers.all())) == (2, [dana])
    assert admin.post(f"/admin/approvals/workflow/{made.pk}/change/", form(quorum=1)).status_code == 302
    said = [json.loads(entry.canonical)["fields"] for entry in Entry.objects.filter(kind="admin.changed").order_by("id")]
    mine = [(item["action"], item["actor"]) for item in said if item["object"] == "two"]
    assert mine == [("create", "root"), ("change", "root")]


def test_an_impossible_workflow_is_explained(admin):
    response = admin.post("/admin/approvals/workflow/add/", form(quorum=0))
    assert response.status_code == 200
    assert not Workflow.objects.exists()


def test_a_request_is_only_looked_at(admin, ask):
    request = ask()
    assert "DELETE FROM crm.orders" in admin.get("/admin/approvals/approvalrequest/").content.decode()
    address = f"/admin/approvals/approvalrequest/{request.pk}"
    assert admin.get(f"{address}/change/").status_code == 200
    assert admin.get("/admin/approvals/delivery/").status_code == 200
    assert admin.post(f"{address}/change/", {"state": "APPROVED"}).status_code == 403
    assert admin.post(f"{address}/delete/", {"post": "yes"}).status_code == 403
    assert admin.get("/admin/approvals/approvalrequest/add/").status_code == 403
    assert ApprovalRequest.objects.get().state == State.PENDING


@pytest.mark.parametrize("role", ["is_approver", "is_auditor"])
def test_others_do_not_get_in(ask, role):
    client = Client()
    client.force_login(person("sam", **{role: True}))
    assert client.get("/admin/approvals/workflow/").status_code in (302, 403)
