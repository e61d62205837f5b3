"""The auditor's pages and REST: who may read, and what they show."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from audit import sealing, services, web_exports
from audit.models import Entry, Export, Session
from audit.reports import REPORTS
from controlplane.models import Subject
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
        "/audit/", f"/audit/statements/{entry.pk}/", "/audit/sessions/", f"/audit/sessions/{entry.session}/",
        "/audit/entries/", f"/audit/entries/{entry.pk}/", "/audit/exports/", f"/audit/exports/{export.pk}/download",
        "/audit/reports/", *(f"/audit/reports/{kind}/" for kind in REPORTS),
        "/api/v1/audit/statements/", f"/api/v1/audit/statements/{entry.pk}/", "/api/v1/audit/sessions/",
        f"/api/v1/audit/sessions/{Session.objects.order_by('pk')[0].pk}/", "/api/v1/audit/reports/", "/api/v1/audit/saved-reports/",
        *(f"/api/v1/audit/reports/{kind}/{'?column=ssn' if kind == 'column' else ''}" for kind in REPORTS),
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


@pytest.fixture
def owner(ledger, people) -> Client:
    """Someone without a role, who answers for one of the two subjects."""
    Subject.objects.create(name="report-bot", owner=people["nobody"])
    client = Client()
    client.force_login(people["nobody"])
    return client


def test_an_owner_sees_what_the_own_subject_did_and_nothing_else(owner, addresses):
    own, others = statement(2), statement(0)
    assert rows(text(owner, "/audit/")) == rows(text(owner, "/audit/sessions/")) == 1
    for query in ("q=select", "subject=report-bot", "connection=erp", "decision=approve", "outcome=ok"):
        page = text(owner, f"/audit/?{query}")
        assert rows(page) == (query != "decision=approve"), query
    for page in (text(owner, "/audit/"), text(owner, f"/audit/statements/{own.pk}/"), text(owner, f"/audit/sessions/{own.session}/")):
        assert "SELECT 3" in page
        for part in ("crm.customers", "support-bot", "/audit/entries/", "/audit/exports/", "/audit/reports/", "/proof"):
            assert part not in page, part
    text(owner, f"/audit/statements/{others.pk}/", 404)
    text(owner, f"/audit/sessions/{others.session}/", 404)
    assert "Nothing found" in text(owner, f"/audit/?session={others.session}")
    for address in addresses:
        if re.search(r"/audit/(entries|exports|reports|saved|checkpoints)", address):
            assert owner.get(address).status_code == 403, address
    assert owner.post(f"/audit/statements/{own.pk}/proof").status_code == 403
    assert '<a href="/audit/">' in text(owner, "/")


def test_an_owner_by_rest(owner):
    own, others = statement(2), statement(0)
    for query in ("", "?q=select"):
        assert [row["id"] for row in owner.get(f"/api/v1/audit/statements{query}").json()["results"]] == [own.pk]
    assert owner.get("/api/v1/audit/statements?subject=support-bot").json()["results"] == []
    assert [row["subject"] for row in owner.get("/api/v1/audit/sessions").json()["results"]] == ["report-bot"]
    assert owner.get(f"/api/v1/audit/statements/{own.pk}").json()["sql"] == "SELECT 3"
    assert owner.get(f"/api/v1/audit/statements/{others.pk}").status_code == 404
    assert owner.get(f"/api/v1/audit/sessions/{Session.objects.get(subject='support-bot').pk}").status_code == 404


def test_nobody_writes_the_ledger_by_rest(ledger, people):
    client = Client()
    client.force_login(people["root"])
    for path in (f"/api/v1/audit/{what}/{one}" for what in ("entries", "statements", "sessions") for one in ("", f"{statement().pk}/")):
        for method in ("post", "put", "patch", "delete"):
            assert getattr(client, method)(path, {}, content_type="application/json").status_code in (403, 405)


# --- what the pages show ------------------------------------------------------------------------------------------------


def rows(page: str) -> int:
    return page.count(ROW) - page.count('class="panel details')


def test_the_list_shows_statements_with_their_outcome(ledger, auditor):
    page = text(auditor, "/audit/")
    assert rows(page) == 3
    for part in ("support-bot", "erp", "approve", ">ok<", "3 rows", "1.5 ms", "SELECT * FROM crm.customers -- ⟦U+202E⟧", "UTC"):
        assert part in page
    assert "\u202e" not in page


@pytest.mark.parametrize(("query", "count"), [
    ("subject=report-bot", 1), ("connection=crm", 2), ("decision=approve", 2), ("decision=deny", 0), ("q=delete", 1), ("q=%00", 0),
    ("since=2020-01-01T00:00", 3), ("until=2020-01-01T00:00", 0), ("since=never", 0), ("before=99", 3), ("before=1.1", 0), ("q=%25", 0),
    ("q=crm", 2), ("q=crm.orders", 1), ("q=cust*", 1), ("q=%22ELETE+FROM%22", 0), ("q=%22DELETE+FROM+crm.ord%22", 1), ("q=crm+-orders", 1),
    ("outcome=ok", 3), ("outcome=error", 0), ("outcome=none", 0), ("outcome=nonsense", 0), ("masked=yes", 0), ("masked=no", 3),
    ("table=orders", 0), ("subject=%00", 0),
])  # fmt: skip
def test_filters(ledger, auditor, query, count):
    page = text(auditor, f"/audit/?{query}")
    assert rows(page) == count
    assert ("Nothing found" in page) == (count == 0)


@pytest.mark.parametrize(("query", "count"), [
    ("action=select", 1), ("action=drop", 1), ("table=crm.customers", 1), ("table=customers", 1), ("table=customer", 0), ("column=ssn", 1),
    ("column=customers.ssn", 1), ("column=crm.customers.id", 1), ("masked=yes", 1), ("rule=no+ddl", 1), ("rule=no", 0),
    ("outcome=refused", 1),    ("decision=deny&outcome=refused&action=drop", 1), ("decision=deny&masked=yes", 0), ("table=x%00", 0),
    ("outcome=none", 0),
])  # fmt: skip
def test_filters_on_what_statements_touched(process, auditor, query, count):
    columns = ["crm.customers.id", "crm.customers.ssn"]
    process.ship(process.session(
        "SELECT id, ssn FROM crm.customers", actions=["select"], relations=["crm.customers"], columns=columns, masked=columns[1:],
        masked_cells=3,
    ))  # fmt: skip
    refused = {"decision": "deny", "outcome": "refused", "rules": ["no ddl"]}
    process.ship(process.session("DROP TABLE crm.old", actions=["drop"], relations=["crm.old"], **refused))
    assert rows(text(auditor, f"/audit/?{query}")) == count


def test_a_filter_suggests_the_names_that_occur(process, auditor):
    process.ship(process.session("SELECT 1", relations=["crm.customers"], rules=["r"]))
    page = text(auditor, "/audit/")
    assert '<datalist id="names-relation"><option value="crm.customers"></datalist>' in page
    assert 'list="names-relation"' in page


def test_an_empty_ledger_says_so(auditor):
    assert "No statement has been recorded yet" in text(auditor, "/audit/")
    assert "No agent has connected yet" in text(auditor, "/audit/sessions/")
    assert "No file has been asked for yet" in text(auditor, "/audit/exports/")


@pytest.mark.parametrize("address", ["/audit/", "/audit/entries/"])
def test_many_come_in_pages_and_back(process, auditor, address):
    process.ship(process.session(*[f"SELECT {number}" for number in range(120)]))
    seen, pages, query = [], [], "kind=statement.intended&subject=support-bot"
    while query:
        page = text(auditor, f"{address}?{query}")
        pages.append(re.findall(r"SELECT (\d+)<", page))
        seen += pages[-1]
        query = html.unescape(found[1]) if (found := re.search(r'rel="next" href="\?([^"]+)"', page)) else ""
    assert [len(page) for page in pages] == [50, 50, 20]
    assert seen == [str(number) for number in reversed(range(120))]
    back = html.unescape(re.search(r'rel="prev" href="\?([^"]+)"', page)[1])
    assert "subject=support-bot" in back
    assert re.findall(r"SELECT (\d+)<", text(auditor, f"{address}?{back}")) == pages[1]


def test_a_statement_is_shown_whole(ledger, auditor):
    for page in (text(auditor, f"/audit/entries/{statement().pk}/"), text(auditor, f"/audit/statements/{statement().pk}/")):
        assert 'SELECT *\n FROM crm.customers -- <span class="hidden"' in page
        assert '<code class="value">7</code>' in page
        assert "<em>NULL</em>" in page
        assert statement().hash in page
        assert "checkpoint of 10 entries" in page
        assert "a grant" in page
    assert "SELECT 3" in page  # the tag of its end
    assert 'rel="next"' in page
    assert 'rel="prev"' not in page


def test_a_statement_tells_of_its_approval(process, auditor):
    process.ship(process.session("DELETE FROM t", decision="approve", approval="6a7c7f3e-0f0b-4f6e-9a3c-000000000001"))
    for kind, by in (("requested", ""), ("voted", "dana"), ("approved", "rob"), ("consumed", "bot")):
        told = {"request": "6a7c7f3e-0f0b-4f6e-9a3c-000000000001", "subject": "support-bot", "connection": "crm", "binding": "ab"}
        services.record(f"approval.{kind}", {**told, "by": by, "comment": f"so says {by}\u202e" if by == "rob" else ""})
    for address in (f"/audit/statements/{statement().pk}/", f"/audit/sessions/{statement().session}/"):
        page = text(auditor, address)
        found = [page.index(word) for word in (">requested<", ">voted<", ">dana<", ">approved<", ">rob<", "so says rob", ">consumed<")]
        assert found == sorted(found)
        assert "after it was asked for" in page
        assert "\u202e" not in page


def test_withheld_values_are_named(process, auditor):
    items = process.session("SELECT secret")
    process.ship([item | {"disclosures": {}} for item in items])
    page = text(auditor, f"/audit/entries/{statement().pk}/")
    assert page.count("withheld or erased") == 2
    assert "not yet: entries are sealed" in page
    assert "withheld or erased" in text(auditor, f"/audit/statements/{statement().pk}/")
    assert "(text withheld)" in text(auditor, "/audit/")


def test_a_session_is_told_in_order(ledger, auditor):
    page = text(auditor, f"/audit/sessions/{statement().session}/")
    told = ("<strong>opened</strong>", "crm.customers", "DELETE FROM", "<strong>ended</strong> client closed")
    found = [page.index(word) for word in told]
    assert found == sorted(found)
    for part in ("10.1.2.3:5", "psql", "<strong>2</strong> statements", "<strong>2</strong> held", "<strong>6</strong> rows"):
        assert part in page
    text(auditor, "/audit/sessions/unknown/", 404)
    text(auditor, "/audit/sessions/%00/", 404)
    text(auditor, "/audit/entries/999999999/", 404)
    text(auditor, "/audit/statements/999999999/", 404)


def test_a_long_session_comes_in_pages(process, auditor):
    process.ship(process.session(*[f"SELECT {number}" for number in range(130)]))
    page = text(auditor, f"/audit/sessions/{statement().session}/")
    assert re.findall(r"SELECT (\d+)<", page) == [str(number) for number in range(100)]
    later = html.unescape(re.search(r'rel="next" href="\?([^"]+)"', page)[1])
    page = text(auditor, f"/audit/sessions/{statement().session}/?{later}")
    assert re.findall(r"SELECT (\d+)<", page) == [str(number) for number in range(100, 130)]
    assert "<strong>ended</strong>" in page
    assert "<strong>opened</strong>" not in page


@pytest.mark.parametrize(("query", "count"), [
    ("", 2), ("subject=report-bot", 1), ("connection=crm", 1), ("client=10.1.", 2), ("client=10.2.", 0), ("run=r", 0),
    ("application=psql", 2),    ("state=open", 0), ("state=closed", 2), ("state=x", 0), ("since=2020-01-01T00:00", 2),
    ("until=2020-01-01T00:00", 0), ("client=%00", 0),
])  # fmt: skip
def test_sessions(ledger, auditor, query, count):
    page = text(auditor, f"/audit/sessions/?{query}")
    assert rows(page) == count
    assert ("Nothing found" in page) == (count == 0)


def test_a_session_that_goes_on_is_open(process, auditor):
    process.ship(process.session("SELECT 1")[:2])
    assert ">open<" in text(auditor, "/audit/sessions/?state=open")
    assert "no end recorded" in text(auditor, "/audit/?outcome=none")
    assert "not recorded (yet)" in text(auditor, f"/audit/statements/{statement().pk}/")


def test_times_are_the_readers(ledger, auditor):
    time = statement().time
    auditor.cookies["tidegate-zone"] = "Asia/Tokyo"
    tokyo = time.astimezone(ZoneInfo("Asia/Tokyo"))
    page = text(auditor, "/audit/")
    assert f"{tokyo:%Y-%m-%d %H:%M:%S} JST" in page
    assert ">Asia/Tokyo<" in page
    for name in ("since", "until"):
        wall = tokyo + timedelta(minutes=-1 if name == "since" else 1)
        assert rows(text(auditor, f"/audit/?subject=support-bot&{name}={wall:%Y-%m-%dT%H:%M:%S}")) == 2
    auditor.cookies["tidegate-zone"] = "Mars/Olympus"
    assert f"{time:%Y-%m-%d %H:%M:%S} UTC" in text(auditor, "/audit/")


@pytest.mark.parametrize(("query", "count"), [("", 10), ("kind=session.opened", 2), ("kind=nonsense", 0), ("kind=&connection=erp", 2)])
def test_the_ledger(ledger, auditor, query, count):
    assert rows(text(auditor, f"/audit/entries/?{query}")) == count


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
    assert "Alarm: evidence that a worker sent was refused" in page
    assert "chains are broken now" in page
    assert str(ledger.worker.pk) in page
    ledger.ship(lost)
    assert "All chains go on" in text(auditor, "/audit/")
    assert rows(text(auditor, "/audit/entries/?kind=worker.gap")) == 1


def test_pages_hold_nothing_inline_and_are_not_cached(addresses, auditor):
    for address in addresses:
        response = auditor.get(address)
        if response["Content-Type"].startswith("text/html"):
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
    assert (found["next"], found["previous"]) == (None, None)
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
