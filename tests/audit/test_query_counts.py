"""How many queries each page makes, whatever it shows: the committed baseline is query_counts.json.

A number that grows fails here; one that shrinks is to be written down: TIDEGATE_WRITE_QUERY_COUNTS=1 does.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import sealing, services, web_exports
from audit.models import Entry, Export, SavedReport, Session, Statement
from audit.reports import REPORTS
from tests.audit.conftest import Process

BASELINE = Path(__file__).with_name("query_counts.json")
APPROVAL = "6a7c7f3e-0f0b-4f6e-9a3c-{:012}"
pytestmark = pytest.mark.django_db


def fill(process: Process, user, number: int) -> None:
    """Something on every page."""
    said = {"actions": ["delete"], "relations": ["crm.customers"], "columns": ["crm.customers.ssn"], "masked": ["crm.customers.ssn"]}
    process.ship(process.session("DELETE FROM crm.customers", decision="approve", approval=APPROVAL.format(number), **said))
    for kind in ("requested", "approved", "consumed"):
        told = {"request": APPROVAL.format(number), "subject": "support-bot", "connection": "crm", "binding": "ab"}
        services.record(f"approval.{kind}", {**told, "by": "dana", "comment": "so be it"})
    process.ship(process.session("DROP TABLE t", decision="deny", outcome="refused", rules=["no ddl"]))
    services.record("admin.changed", {"model": "m", "object": str(number), "action": "changed", "actor": "root", "before": {}, "after": {}})
    services.save_report(actor=user, name=str(number), shared=True, report="access", parameters={})
    web_exports.make(web_exports.ask_report(actor=user, kind="access", form="csv", parameters={}).pk)
    sealing.seal()


def addresses() -> dict[str, str]:
    """Each page by the name under which its number is kept."""
    row = Statement.objects.exclude(approval="").first()
    api, saved = "/api/v1/audit", SavedReport.objects.first()
    pages = {
        "statements": "/audit/", "statements, searched": "/audit/?q=customers&table=customers&decision=approve",
        "statement": f"/audit/statements/{row.pk}/",
        "sessions": "/audit/sessions/?client=10.", "session": f"/audit/sessions/{row.session}/",
        "entries": "/audit/entries/", "entry": f"/audit/entries/{row.pk}/", "reports": "/audit/reports/", "exports": "/audit/exports/",
        **{f"report {kind}": f"/audit/reports/{kind}/?column=ssn" for kind in REPORTS},
        "REST statements": f"{api}/statements", "REST statement": f"{api}/statements/{row.pk}", "REST sessions": f"{api}/sessions",
        "REST session": f"{api}/sessions/{Session.objects.first().pk}", "REST entries": f"{api}/entries",
        "REST entry": f"{api}/entries/{Entry.objects.first().pk}", "REST exports": f"{api}/exports",
        "REST export": f"{api}/exports/{Export.objects.first().pk}", "REST reports": f"{api}/reports",
        "REST report approvals": f"{api}/reports/approvals", "REST saved reports": f"{api}/saved-reports",
        "REST saved report": f"{api}/saved-reports/{saved.pk}", "REST checkpoint": f"{api}/checkpoints/latest",
    }  # fmt: skip
    return pages


def counted(client: Client) -> dict[str, int]:
    found = {}
    for name, address in addresses().items():
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200, address
        found[name] = len(queries)
    return found


def test_each_page_makes_as_many_queries_as_are_written_down(process, auditor, people):
    fill(process, people["ari"], 1)
    auditor.get("/audit/")  # fills what a process keeps
    few = counted(auditor)
    if os.environ.get("TIDEGATE_WRITE_QUERY_COUNTS"):
        BASELINE.write_text(json.dumps(few, indent=2) + "\n", encoding="utf-8")
    assert few == json.loads(BASELINE.read_text(encoding="utf-8"))
    for number in range(2, 8):
        fill(process, people["ari"], number)
    assert counted(auditor) == few  # more rows, as many queries
