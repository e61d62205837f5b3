"""Pages of reports and files: who may, what they show, and what is made."""

from __future__ import annotations

import csv
import html
import io
import json
import re

import pytest
from django.test import Client

from audit import report_files, sealing, web_exports
from audit.models import Entry, Export, SavedReport, Statement
from audit.reports import REPORTS
from tests.audit.conftest import Process, elsewhere, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def ledger(process: Process) -> Process:
    process.ship(process.session("SELECT 1", "SELECT 2", relations=["crm.customers"], columns=["crm.customers.ssn"]))
    process.ship(process.session("SELECT 3", subject="report-bot"))
    return process


def text(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status, response.content
    return response.content.decode()


@pytest.mark.parametrize("kind", sorted(REPORTS))
def test_a_page_of_each_report(ledger, auditor, kind):
    page = text(auditor, f"/audit/reports/{kind}/")
    assert f"<h1>{REPORTS[kind].title}</h1>" in page
    assert ("Nothing found" in page or "Name a column" in page) == (kind != "access")
    assert ('class="lines"' in page) == (kind == "access")
    text(auditor, "/audit/reports/none/", 404)


def test_a_report_narrows_and_comes_in_pages(ledger, auditor):
    ledger.ship(ledger.session(*["SELECT 9"] * 60))
    page = text(auditor, "/audit/reports/access/?subject=report-bot")
    assert "SELECT 3" in page
    assert "SELECT 2" not in page
    page = text(auditor, "/audit/reports/access/?subject=support-bot")
    assert page.count("<tr>") == 51
    page = text(auditor, "/audit/reports/access/?" + html.unescape(re.search(r'rel="next" href="\?([^"]+)"', page)[1]))
    assert page.count("<tr>") == 13
    assert "Access to a column" in text(auditor, "/audit/reports/column/?column=ssn")
    assert text(auditor, "/audit/reports/column/?column=ssn").count("<tr>") == 3
    assert 'role="alert"' in text(auditor, "/audit/reports/access/?since=never")


@pytest.mark.parametrize("form", ["csv", "parquet", "pdf"])
def test_a_file_is_made_of_what_the_page_shows(ledger, auditor, form):
    page = auditor.post("/audit/reports/access/file?subject=report-bot&before=1.1", {"format": form}, follow=True).content.decode()
    assert "the file is being made" in page.lower()
    export = Export.objects.get()
    assert (export.report, export.format, export.filters) == ("access", form, {"subject": "report-bot"})
    assert f"/api/v1/audit/exports/{export.pk}" in page
    web_exports.make(export.pk)
    response = auditor.get(f"/audit/exports/{export.pk}/download")
    content = b"".join(response.streaming_content)
    assert response["Content-Disposition"].endswith(f'.{form}"')
    export.refresh_from_db()
    assert (export.state, export.entries, export.bytes) == (Export.State.READY, 1, len(content))
    made = Entry.objects.get(kind="export.made")
    assert export.sha256 in made.canonical
    assert '"report":"access"' in made.canonical
    if form == "csv":
        assert list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))[1][1] == "report-bot"


def test_the_file_holds_what_its_owner_may_see_when_it_is_made(ledger, auditor, people):
    auditor.post("/audit/reports/access/file", {"format": "csv"})
    people["ari"].is_auditor = False
    people["ari"].save()
    export = Export.objects.get()
    web_exports.make(export.pk)
    export.refresh_from_db()
    assert export.entries == 0


def test_what_no_report_can_be_made_of_is_refused(ledger, auditor):
    for path, form in (
        ("access/file", "zip"), ("access/file", ""), ("none/file", "csv"), ("column/file", "csv"), ("access/file?since=never", "csv")
    ):  # fmt: skip
        assert auditor.post(f"/audit/reports/{path}", {"format": form}).status_code == 404, path
    assert auditor.get("/audit/reports/access/file").status_code == 405
    assert not Export.objects.exists()


def test_a_pdf_of_too_many_lines_says_what_to_do(ledger, auditor, monkeypatch):
    monkeypatch.setattr("audit.report_files.PRINTED", 2)
    auditor.post("/audit/reports/access/file", {"format": "pdf"})
    web_exports.make(Export.objects.get().pk)
    assert "not for paper" in text(auditor, "/audit/exports/")


def test_proof_of_a_statement(ledger, auditor):
    row = Statement.objects.get(subject="report-bot")
    assert auditor.get(f"/audit/statements/{row.pk}/proof").status_code == 405
    auditor.post(f"/audit/statements/{row.pk}/proof")
    assert Export.objects.get().filters == {"statement": row.statement}
    web_exports.make(Export.objects.get().pk)
    assert Export.objects.get().entries == 2
    assert auditor.post("/audit/statements/99999999/proof").status_code == 404


# --- saved reports ------------------------------------------------------------------------------------------------------


def save(client: Client, name: str, query: str = "subject=report-bot&period=7d", **more: str):
    return client.post(f"/audit/reports/access/save?{query}", {"name": name, **more}, follow=True).content.decode()


def test_a_report_is_saved_opened_replaced_and_deleted(ledger, auditor):
    page = save(auditor, "weekly <b>")
    assert "weekly &lt;b&gt;" in page
    address = html.unescape(re.search(r'href="(/audit/reports/access/\?[^"]+)"', page)[1])
    assert "SELECT 3" in text(auditor, address)
    assert "SELECT 2" not in text(auditor, address)
    save(auditor, "weekly <b>", "since=2026-01-01T00:00")
    saved = SavedReport.objects.get()
    assert saved.parameters == {"since": "2026-01-01T00:00:00+00:00"}
    assert 'value="2026-01-01T00:00:00"' in text(auditor, "/audit/reports/access/?since=2026-01-01T00%3A00%3A00%2B00%3A00")
    assert auditor.get(f"/audit/saved/{saved.pk}/delete").status_code == 405
    auditor.post(f"/audit/saved/{saved.pk}/delete")
    assert not SavedReport.objects.exists()
    changes = Entry.objects.filter(kind="admin.changed").order_by("pk")
    assert [json.loads(entry.canonical)["fields"]["action"] for entry in changes] == ["created", "changed", "deleted"]
    assert "Control characters" in save(auditor, "a\x01b")
    assert "required" in save(auditor, "")


def test_only_shared_reports_are_seen_by_others_and_only_owners_delete(ledger, auditor, people):
    save(auditor, "mine")
    save(auditor, "ours", shared="on")
    other = Client()
    other.force_login(person("eve", is_auditor=True))
    page = text(other, "/audit/reports/")
    assert "ours" in page
    assert "mine" not in page
    assert "/delete" not in page
    for saved in SavedReport.objects.all():
        assert other.post(f"/audit/saved/{saved.pk}/delete").status_code == 404
        assert other.delete(f"/api/v1/audit/saved-reports/{saved.pk}/").status_code == 404
    assert [found["name"] for found in other.get("/api/v1/audit/saved-reports/").json()["results"]] == ["ours"]
    assert SavedReport.objects.count() == 2
    save(other, "ours", shared="on")
    assert SavedReport.objects.filter(name="ours").count() == 2  # a name is a person's own


@pytest.mark.parametrize("who", ["dana", "nobody", "left", None])
def test_nobody_else_makes_or_saves_anything(ledger, auditor, people, who):
    save(auditor, "ours", shared="on")
    client, row = Client(), Statement.objects.first()
    if who:
        client.force_login(people[who])
    for path in (
        "/audit/reports/access/file", "/audit/reports/access/save", f"/audit/statements/{row.pk}/proof",
        f"/audit/saved/{SavedReport.objects.get().pk}/delete",
    ):  # fmt: skip
        assert client.post(path, {"format": "csv", "name": "x"}).status_code in (302, 403), path
    assert (Export.objects.count(), SavedReport.objects.count()) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_sealing_goes_on_while_a_file_is_made(ledger, people, monkeypatch):
    """Making a report holds no lock of the ledger."""
    export = Export.objects.create(created_by=people["ari"], report="access", format="csv")
    write, sealed = report_files.write, []

    def watched(*arguments, **options):
        count = write(*arguments, **options)
        sealed.append(elsewhere(sealing.seal))
        return count

    monkeypatch.setattr(report_files, "write", watched)
    web_exports.make(export.pk)
    assert [checkpoint.size for checkpoint in sealed] == [10]
    export.refresh_from_db()
    assert export.state == Export.State.READY
