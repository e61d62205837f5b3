"""Addresses of the REST interface that other people's scripts rely on."""

from __future__ import annotations

import json

import pytest
import yaml
from django.test import Client

pytestmark = pytest.mark.django_db


def test_the_description_names_every_interface(admin: Client) -> None:
    described = yaml.safe_load(admin.get("/api/v1/schema").content)
    paths = {path.rstrip("/") for path in described["paths"]}
    assert {
        "/api/v1/groups", "/api/v1/users", "/api/v1/subjects", "/api/v1/subjects/{subject_id}/keys", "/api/v1/connections", "/api/v1/grants",
        "/api/v1/masking-rules", "/api/v1/statement-rules", "/api/v1/workflows", "/api/v1/workers", "/api/v1/enrolment-tokens",
        "/api/v1/worker/enrol", "/api/v1/worker/bundle", "/api/v1/worker/heartbeat", "/api/v1/worker/audit",
        "/api/v1/worker/approvals/claim", "/api/v1/worker/approvals/{id}",
    } <= paths  # fmt: skip
    assert Client().get("/api/v1/schema").status_code == 401


def test_its_page_needs_nothing_from_elsewhere(admin: Client) -> None:
    page = admin.get("/api/v1/docs").content.decode()
    assert "swagger" in page
    assert "https://" not in page


def test_the_policy_schema_is_public() -> None:
    answer = Client().get("/api/v1/policy-schema")
    assert answer.status_code == 200
    assert json.loads(answer.content)["title"] == "Tidegate policy"
