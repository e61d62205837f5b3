"""Reports, saved reports and files by REST."""

from __future__ import annotations

import pytest
from django.test import Client

from audit import web_exports
from audit.models import Export, SavedReport
from audit.reports import REPORTS
from tests.audit.conftest import Process

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def ledger(process: Process) -> Process:
    process.ship(process.session("SELECT 1", "SELECT 2", "SELECT 3", columns=["crm.customers.ssn"]))
    process.ship(process.session("SELECT 4", subject="report-bot"))
    return process


def test_kinds_say_their_columns_and_parameters(auditor):
    found = {kind["kind"]: kind for kind in auditor.get("/api/v1/audit/reports").json()}
    assert set(found) == set(REPORTS)
    assert found["column"]["parameters"] == ["column", "subject", "connection", "masked", "period", "since", "until"]
    assert found["changes"]["columns"][0] == "time"


def test_lines_come_in_pages(ledger, auditor):
    first = auditor.get("/api/v1/audit/reports/access/?subject=support-bot&page_size=2").json()
    second = auditor.get(first["next"]).json()
    assert [line["statement"] for line in first["results"] + second["results"]] == ["SELECT 3", "SELECT 2", "SELECT 1"]
    assert second["next"] is None
    assert auditor.get(second["previous"]).json()["results"] == first["results"]


@pytest.mark.parametrize(("path", "status"), [
    ("none/", 404), ("access/?subjekt=x", 400), ("access/?since=never", 400), ("column/", 400), ("column/?column=ssn", 200),
    ("access/?cursor=x", 400),
])  # fmt: skip
def test_what_cannot_be_is_told(ledger, auditor, path, status):
    response = auditor.get(f"/api/v1/audit/reports/{path}")
    assert response.status_code == status, response.content
    assert status == 200 or response["Content-Type"] == "application/problem+json"


def test_a_file_is_asked_for_and_followed(ledger, auditor):
    asked = auditor.post(
        "/api/v1/audit/exports/report", {"report": "access", "format": "csv", "parameters": {"subject": "report-bot"}}, content_type=JSON
    )
    assert (asked.status_code, asked.json()["state"]) == (202, "QUEUED")
    address = f"/api/v1/audit/exports/{asked.json()['id']}"
    assert auditor.get(f"{address}/download").status_code == 404
    web_exports.make(Export.objects.get().pk)
    found = auditor.get(address).json()
    assert (found["state"], found["entries"], found["report"], found["format"]) == ("READY", 1, "access", "csv")
    assert b"report-bot" in b"".join(auditor.get(f"{address}/download").streaming_content)


@pytest.mark.parametrize("body", [
    {"report": "none", "format": "csv"}, {"report": "access", "format": "zip"}, {"report": "column", "format": "csv"}, {}, [],
    {"report": "access", "format": "csv", "parameters": {"subjekt": "x"}}, {"report": "access", "format": "csv", "parameters": "x"},
])  # fmt: skip
def test_a_file_of_nonsense_is_refused(ledger, auditor, body):
    assert auditor.post("/api/v1/audit/exports/report", body, content_type=JSON).status_code == 400
    assert auditor.post("/api/v1/audit/saved-reports", body, content_type=JSON).status_code == 400
    assert (Export.objects.count(), SavedReport.objects.count()) == (0, 0)


def test_saved_reports(ledger, auditor):
    body = {"name": "weekly", "report": "access", "parameters": {"period": "7d"}, "shared": True}
    made = auditor.post("/api/v1/audit/saved-reports", body, content_type=JSON)
    assert made.status_code == 201
    assert auditor.post("/api/v1/audit/saved-reports", {**body, "shared": False}, content_type=JSON).json()["id"] == made.json()["id"]
    found = auditor.get(f"/api/v1/audit/saved-reports/{made.json()['id']}").json()
    assert (found["owner"], found["shared"], found["parameters"]) == ("ari", False, {"period": "7d"})
    assert auditor.delete(f"/api/v1/audit/saved-reports/{found['id']}").status_code == 204
    assert auditor.get("/api/v1/audit/saved-reports").json()["results"] == []


@pytest.mark.parametrize("who", ["dana", "nobody", "left", None])
def test_nobody_else_asks_or_saves(ledger, people, who):
    client = Client()
    if who:
        client.force_login(people[who])
    for path, body in (
        ("exports/report", {"report": "access", "format": "csv"}), ("saved-reports", {"name": "x", "report": "access"}),
    ):  # fmt: skip
        assert client.post(f"/api/v1/audit/{path}", body, content_type=JSON).status_code in (401, 403)
    for kind in REPORTS:
        assert client.get(f"/api/v1/audit/reports/{kind}/?column=x").status_code in (401, 403)
    assert (Export.objects.count(), SavedReport.objects.count()) == (0, 0)
