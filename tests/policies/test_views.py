"""The tools of the admin site: who may use them, what they say, and that they change nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Entry
from controlplane import catalogs, services
from controlplane.models import Connection, Grant, Subject, Worker
from policies import trial_process
from policies.models import MaskingRule, StatementRule
from tests.controlplane.conftest import ACTOR, approver, auditor  # noqa: F401
from tests.controlplane.test_catalogs import DIGEST, ROWS, packed

pytestmark = pytest.mark.django_db


@pytest.fixture
def catalog(crm: Connection) -> None:
    import base64

    told = {"connection": "crm", "database": "crm", "digest": DIGEST, "content": base64.b64decode(packed(ROWS))}
    catalogs.note(Worker(name="host-a"), **told)


def tried(client: Client, sql: str, **fields: str) -> Any:
    given = {"sql": sql, "subject": "report-bot", "database": "crm", "search_path": "public", **fields}
    return client.post(reverse("admin:try"), given)


@pytest.mark.parametrize("tool", ["try", "what-ifs", "effective", "who"])
def test_only_admins_use_the_tools(tool: str, admin: Client, auditor: Client, approver: Client) -> None:  # noqa: F811
    for client in (auditor, approver, Client()):
        assert client.get(reverse(f"admin:{tool}")).status_code == 302
        assert client.post(reverse(f"admin:{tool}"), {}).status_code == 302
    assert admin.get(reverse(f"admin:{tool}")).status_code == 200


def test_a_statement_is_tried_with_the_catalog(admin: Client, grant: Grant, bot: Subject, catalog: None) -> None:
    services.save(MaskingRule(name="ssn", columns=["*.*.ssn"], method={"name": "redact"}), actor=ACTOR)
    entries = Entry.objects.count()
    answer = tried(admin, "SELECT upper(ssn)\r\nFROM customers", search_path="crm, public")
    said = answer.content.decode()
    assert answer.context["tried"].before.plan == "scan"
    assert "the statement is rewritten" in said
    assert "Names are read with the structure of crm/crm" in said
    assert "no-store" in answer["Cache-Control"]
    assert Entry.objects.count() == entries


def test_without_a_catalog_it_says_so(admin: Client, grant: Grant, bot: Subject) -> None:
    assert "names are taken as written" in tried(admin, "SELECT 1").content.decode()


def test_what_is_wrong_is_said(admin: Client, grant: Grant, bot: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Paste a statement." in tried(admin, " ").content.decode()
    assert "This is no IP address." in tried(admin, "SELECT 1", client_ip="here").content.decode()
    assert "Select a valid choice" in tried(admin, "SELECT 1", database="nowhere").content.decode()
    monkeypatch.setattr(trial_process.ask, "__defaults__", (0.001,))
    assert "took more than 0.001 seconds. A worker would refuse the statement" in tried(admin, "SELECT 1").content.decode()


def test_html_in_a_statement_stays_text(admin: Client, grant: Grant, bot: Subject) -> None:
    assert "<b>x" not in tried(admin, "SELECT '<b>x</b>'").content.decode()


def test_the_effective_policy_of_a_subject(admin: Client, grant: Grant, bot: Subject, catalog: None) -> None:
    services.create_key(bot, actor=ACTOR)
    services.save(MaskingRule(name="ssn", columns=["*.*.ssn"], method={"name": "redact"}), actor=ACTOR)
    services.save(StatementRule(name="no ddl", when={"actions": ["drop"], "connections": ["crm"]}, then="deny"), actor=ACTOR)
    services.save(StatementRule(name="others", when={"subjects": ["report-bot"], "without_where": True}, then="deny"), actor=ACTOR)
    answer = admin.get(reverse("admin:effective"), {"subject": "report-bot", "connection": "crm"})
    found = answer.context["effective"]
    assert (found.refused, found.actions) == ("", ("select",))
    assert [one.via for one in found.grants] == [("group agents",)]
    assert found.masking[0].columns == ("crm.customers.ssn", "crm.people.ssn", "crm.staff.ssn")
    said = answer.content.decode()
    assert "without_where: yes" in said
    assert "actions: drop; connections: crm" in said
    assert str(bot.keys.get()) in said
    assert "Columns of crm/crm as of" in said


def test_a_subject_that_is_off(admin: Client, grant: Grant, bot: Subject) -> None:
    bot.enabled = False
    services.save(bot, actor=ACTOR)
    said = admin.get(reverse("admin:effective"), {"subject": "report-bot", "connection": "crm"}).content.decode()
    assert "switched off" in said


def test_who_can(admin: Client, grant: Grant, bot: Subject, catalog: None) -> None:
    services.save(MaskingRule(name="ssn", columns=["*.*.ssn"], method={"name": "redact"}), actor=ACTOR)
    answer = admin.get(reverse("admin:who"), {"connection": "crm", "column": "crm.Customers.ssn", "action": "select"})
    assert [(one.subject, one.rule) for one in answer.context["sees"]] == [("report-bot", "ssn")]
    assert [(one.subject, one.by) for one in answer.context["may"]] == [("report-bot", "group agents")]
    unknown = admin.get(reverse("admin:who"), {"connection": "crm", "column": "crm.customers.shoes"})
    assert "no such column" in unknown.content.decode()
    assert "in place of 3" in admin.get(reverse("admin:who"), {"connection": "crm", "column": "ssn"}).content.decode()
    assert "Select a valid choice" in admin.get(reverse("admin:who"), {"connection": "x"}).content.decode()


def test_a_subject_leads_to_its_policy(admin: Client, bot: Subject, crm: Connection) -> None:
    page = admin.get(reverse("admin:controlplane_subject_change", args=[bot.pk])).content.decode()
    assert "effective/?subject=report-bot&amp;connection=crm" in page


def test_a_masking_rule_says_what_it_covers(admin: Client, grant: Grant, bot: Subject, catalog: None) -> None:
    rule = services.save(MaskingRule(name="ssn", columns=["*.*.ssn"], method={"name": "redact"}), actor=ACTOR)
    shown = admin.get(reverse("admin:policies_maskingrule_change", args=[rule.pk])).content.decode()
    assert "crm/crm: crm.customers.ssn, crm.people.ssn, crm.staff.ssn" in shown
    form = {"name": "ssn", "columns": "crm.*.card", "method_name": "card", "try-sql": "SELECT 1", "try-subject": "report-bot"}
    there = reverse("admin:policies_maskingrule_test", args=[rule.pk])
    answer = admin.post(there, {**form, "try-database": "crm", "try-search_path": "public"})
    assert answer.context["tried"].covered == ("crm.orders.card",)
    assert "host-a" in admin.get(reverse("admin:controlplane_connection_change", args=[grant.connections.get().pk])).content.decode()
