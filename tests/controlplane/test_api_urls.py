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
    people = (
        "groups users subjects subjects/{subject_id}/keys connections grants masking-rules statement-rules workflows workers "
        "enrolment-tokens bundles approvals"
    )
    workers = "enrol bundle heartbeat audit approvals/claim approvals/{id}"
    assert {f"/api/v1/{name}" for name in people.split()} <= paths
    assert {f"/api/v1/worker/{name}" for name in workers.split()} <= paths
    assert Client().get("/api/v1/schema").status_code == 401


def test_its_page_needs_nothing_from_elsewhere(admin: Client) -> None:
    page = admin.get("/api/v1/docs").content.decode()
    assert "swagger" in page
    assert "https://" not in page


def test_the_policy_schema_is_public() -> None:
    answer = Client().get("/api/v1/policy-schema")
    assert answer.status_code == 200
    assert json.loads(answer.content)["title"] == "Tidegate policy"
