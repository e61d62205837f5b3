"""The auditor's pages and REST: who may read, and what they show."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from audit import sealing, services, web_exports
from audit.models import Entry, Export
from tests.audit.conftest import Process

pytestmark = pytest.mark.django_db
ROW = '<li class="panel'


@pytest.fixture
def ledger(process: Process) -> Process:
    process.ship(process.session("SELECT *\n FROM crm.customers -- \u202e", "DELETE FROM crm.orders", decision="approve"))
    process.ship(process.session("SELECT 3", subject="report-bot", connection="erp"))
    sealing.seal()
    return process


def statement(number: int = 0) -> Entry:
    return Entry.objects.statements().order_by("id")[number]


def text(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status, response.content
    return response.content.decode()


# --- who may read -------------------------------------------------------------------------------------------------------


@pytest.fixture
def addresses(ledger: Process, people) -> list[str]:
    export = web_exports.ask(actor=people["ari"], selection={})
    web_exports.make(export.pk)
    entry = statement()
    return [
        "/audit/", f"/audit/entries/{entry.pk}/", f"/audit/sessions/{entry.session}/", "/audit/exports/",
        f"/audit/exports/{export.pk}/download",
        "/api/v1/audit/entries/", f"/api/v1/audit/entries/{entry.pk}/", "/api/v1/audit/checkpoints/latest", "/api/v1/audit/exports/",
        f"/api/v1/audit/exports/{export.pk}/", f"/api/v1/audit/exports/{export.pk}/download/",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("who", "may"), [("ari", True), ("root", True), ("dana", False), ("nobody", False), ("left", False), (None, False)]
)
def test_who_reads_the_ledger(addresses, people, who, may):
    client = Client()
    if who:
        client.force_login(people[who])
    for address in addresses:
        response = client.get(address)
        if may:
            assert response.status_code == 200, address
        else:
            assert response.status_code in (302, 401, 403), address
            assert b"customers" not in (b"" if response.streaming else response.content)


@pytest.mark.parametrize(("who", "status"), [("ari", 202), ("root", 202), ("dana", 403), ("nobody", 403), (None, 401)])
def test_who_asks_for_exports(ledger, people, who, status):
    client = Client()
    if who:
        client.force_login(people[who])
    assert client.post("/api/v1/audit/exports/", {"subject": "support-bot"}, content_type="application/json").status_code == status
    assert client.post("/audit/exports/", {}).status_code == {202: 302, 403: 403, 401: 302}[status]
    assert Export.objects.count() == (2 if status == 202 else 0)


def test_nobody_writes_the_ledger_by_rest(ledger, people):
    client = Client()
    client.force_login(people["root"])
    for path in ("/api/v1/audit/entries/", f"/api/v1/audit/entries/{statement().pk}/"):
        for method in ("post", "put", "patch", "delete"):
            assert getattr(client, method)(path, {}, content_type="application/json").status_code in (403, 405)


# --- what the pages show ------------------------------------------------------------------------------------------------


def test_the_list_shows_statements_with_their_outcome(ledger, auditor):
    page = text(auditor, "/audit/")
    assert page.count(ROW) - page.count('class="panel details') == 3
    for part in ("support-bot", "erp", "approve", "ok, 3 rows", "SELECT * FROM crm.customers -- ⟦U+202E⟧", "UTC"):
        assert part in page
    assert "\u202e" not in page


@pytest.mark.parametrize(("query", "count"), [
    ("subject=report-bot", 1), ("connection=crm", 2), ("decision=approve", 2), ("decision=deny", 0), ("sql=delete", 1), ("sql=%00", 0),
    ("kind=", 10), ("kind=session.opened", 2), ("kind=nonsense", 0), ("since=2020-01-01T00:00", 3), ("until=2020-01-01T00:00", 0),
    ("since=never", 0), ("page=99", 3), ("sql=%25", 0),
])  # fmt: skip
def test_filters(ledger, auditor, query, count):
    page = text(auditor, f"/audit/?{query}")
    assert page.count(ROW) == count
    assert ("Nothing found" in page) == (count == 0)


def test_an_empty_ledger_says_so(auditor):
    assert "No statement has been recorded yet" in text(auditor, "/audit/")
    assert "No export has been asked for yet" in text(auditor, "/audit/exports/")


def test_many_statements_come_in_pages(process, auditor):
    process.ship(process.session(*["SELECT 1"] * 60))
    first = text(auditor, "/audit/?subject=support-bot")
    assert first.count(ROW) == 50
    assert "?subject=support-bot&amp;page=2" in first
    assert text(auditor, "/audit/?subject=support-bot&page=2").count(ROW) == 10


def test_a_statement_is_shown_whole(ledger, auditor):
    page = text(auditor, f"/audit/entries/{statement().pk}/")
    assert 'SELECT *\n FROM crm.customers -- <span class="hidden"' in page
    assert '<code class="value">7</code>' in page
    assert "<em>NULL</em>" in page
    assert "statement.completed" in page
    assert statement().hash in page
    assert "checkpoint of 10 entries" in page


def test_withheld_values_are_named(process, auditor):
    items = process.session("SELECT secret")
    process.ship([item | {"disclosures": {}} for item in items])
    page = text(auditor, f"/audit/entries/{statement().pk}/")
    assert page.count("withheld or erased") == 2
    assert "not yet: entries are sealed" in page


def test_a_session_is_told_in_order(ledger, auditor):
    page = text(auditor, f"/audit/sessions/{statement().session}/")
    found = [page.index(word) for word in ("session.opened", "crm.customers", "DELETE FROM", "session.closed")]
    assert found == sorted(found)
    assert page.count(ROW) == 6
    text(auditor, "/audit/sessions/unknown/", 404)
    text(auditor, "/audit/sessions/%00/", 404)
    text(auditor, "/audit/entries/999999999/", 404)


def test_every_kind_of_entry_has_a_page(ledger, auditor):
    services.record(
        "admin.changed", {"model": "m", "object": "o", "action": "change", "actor": "root", "before": None, "after": {"a": ["<b>"]}}
    )
    for entry in Entry.objects.all():
        page = text(auditor, f"/audit/entries/{entry.pk}/")
        assert "<b>" not in page


def test_alarms_are_prominent(ledger, auditor):
    assert 'role="alert"' not in text(auditor, "/audit/")
    lost = ledger.session("SELECT lost")
    with pytest.raises(services.BatchRefused):
        ledger.ship(ledger.session("SELECT 9"))
    page = text(auditor, "/audit/")
    assert "1 alarm: evidence that a worker sent was refused" in page
    assert "chains are broken now" in page
    assert str(ledger.worker.pk) in page
    ledger.ship(lost)
    assert "All chains go on" in text(auditor, "/audit/")
    assert text(auditor, "/audit/?kind=worker.gap").count(ROW) == 1


def test_pages_hold_nothing_inline_and_are_not_cached(addresses, auditor):
    for address in addresses[:4]:
        response = auditor.get(address)
        assert "no-store" in response["Cache-Control"]
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", response.content.decode())


# --- exports ------------------------------------------------------------------------------------------------------------


def test_export_and_download_on_the_page(ledger, auditor, people):
    page = auditor.post("/audit/exports/", {"subject": "support-bot"}, follow=True).content.decode()
    assert "being made" in page
    web_exports.make(Export.objects.get().pk)
    page = text(auditor, "/audit/exports/")
    address = re.search(r'href="(/audit/exports/[^"]+/download)"', page)[1]
    response = auditor.get(address)
    content = b"".join(response.streaming_content)
    assert response["Content-Disposition"].startswith('attachment; filename="tidegate-audit-')
    assert int(response["Content-Length"]) == len(content)
    assert content.startswith(b"PK")
    assert sealing.verifier_key() in page


def test_a_selection_that_cannot_be_is_refused(ledger, auditor):
    for selection in ({"since": "never"}, {"since": "2026-01-02T00:00", "until": "2026-01-01T00:00"}):
        assert auditor.post("/audit/exports/", selection).status_code == 400
    for selection in ({"since": "never"}, {"subjekt": "support-bot"}):
        assert auditor.post("/api/v1/audit/exports/", selection, content_type="application/json").status_code == 400
    assert not Export.objects.exists()


def test_an_export_in_the_making_has_no_file(ledger, auditor, people):
    export = web_exports.ask(actor=people["ari"], selection={})
    assert auditor.get(f"/audit/exports/{export.pk}/download").status_code == 404
    assert auditor.get(f"/api/v1/audit/exports/{export.pk}/download/").status_code == 404


# --- REST ---------------------------------------------------------------------------------------------------------------


def test_entries_by_rest(ledger, auditor):
    found = auditor.get("/api/v1/audit/entries/?kind=statement.intended&subject=report-bot").json()
    assert found["count"] == 1
    (entry,) = found["results"]
    assert entry["entry"] == statement(2).canonical
    assert entry["disclosures"]["sql"]["value"] == "SELECT 3"
    assert entry["worker"] == str(ledger.worker.pk)


def test_the_latest_checkpoint_by_rest(process, auditor):
    assert auditor.get("/api/v1/audit/checkpoints/latest").status_code == 404
    process.ship(process.session("SELECT 1"))
    sealing.seal()
    found = auditor.get("/api/v1/audit/checkpoints/latest").json()
    assert (found["size"], found["key"]) == (4, sealing.verifier_key())
