from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from controlplane.models import BundleVersion, Connection, Grant, Subject
from policies.models import MaskingRule, Retention, StatementRule
from tests.controlplane.conftest import approver, auditor, worker  # noqa: F401

pytestmark = pytest.mark.django_db
RULE = {"name": "no drops", "then": "deny", "message": "Ask first."}
TRY = {"try-sql": "DROP TABLE crm.orders", "try-subject": "report-bot", "try-database": "crm", "try-search_path": "public"}


def conditions(client: Client, **fields: Any) -> Any:
    answer = client.post(reverse("admin:policies_statementrule_add"), {**RULE, **fields})
    assert answer.status_code == 302, answer.context["errors"]
    return StatementRule.objects.get().when


def test_masking_rules_are_made_changed_and_published(admin: Client) -> None:
    form = {"name": "m", "columns": "*.*.ssn\n\n crm.customers.pin ", "method_name": "redact"}
    answer = admin.post(reverse("admin:policies_maskingrule_add"), form)
    assert answer.status_code == 302, answer.context["errors"]
    assert MaskingRule.objects.get().columns == ["*.*.ssn", "crm.customers.pin"]
    change = reverse("admin:policies_maskingrule_change", args=[MaskingRule.objects.get().pk])
    assert admin.post(change, {**form, "method_name": "partial", "last": "4"}).status_code == 302
    assert json.loads(BundleVersion.objects.first().payload)["masking"][0]["method"] == {"name": "partial", "first": 0, "last": 4}
    assert "partial (first 0, last 4)" in admin.get(reverse("admin:policies_maskingrule_changelist")).content.decode()
    shown = admin.get(change).context["adminform"].form
    assert (shown.initial["method_name"], shown.initial["last"]) == ("partial", 4)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"columns": "ssn"}, "schema.table.column"),
        ({"columns": ""}, "required"),
        ({"method_name": "round"}, "The method round needs it."),
        ({"method_name": "partial", "first": "-1"}, "greater than or equal to 0"),
    ],
)
def test_what_is_wrong_with_a_masking_rule_stands_at_its_field(admin: Client, fields: dict[str, str], said: str) -> None:
    form = {"name": "m", "columns": "*.*.ssn", "method_name": "redact", **fields}
    answer = admin.post(reverse("admin:policies_maskingrule_add"), form)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not MaskingRule.objects.exists()


def test_conditions_are_fields(admin: Client, bot: Subject, crm: Connection, agents: Group) -> None:
    when = conditions(
        admin, actions=["drop", "alter"], relations="crm.*", without_where="yes", touches_masked="no", estimated_rows_over="1000",
        text_matches="(?i)x", subjects=["report-bot"], groups=["agents"], connections=["crm"], client_from="10.0.0.0/8",
        client_not_from="10.1.0.0/16",
        hours_from="22:00", hours_to="06:00",
    )  # fmt: skip
    assert when == {
        "actions": ["drop", "alter"], "relations": ["crm.*"], "without_where": True, "touches_masked": False,
        "estimated_rows": {"over": 1000}, "matches": "(?i)x",
        "subjects": ["report-bot"], "groups": ["agents"], "connections": ["crm"], "from": ["10.0.0.0/8"],
        "not_from": ["10.1.0.0/16"], "between": {"from": "22:00", "to": "06:00", "tz": "UTC"},
    }  # fmt: skip
    change = reverse("admin:policies_statementrule_change", args=[StatementRule.objects.get().pk])
    initial = admin.get(change).context["adminform"].form.initial
    assert (initial["without_where"], initial["hours_to"], initial["estimated_rows_over"]) == ("yes", "06:00", 1000)
    assert admin.post(change, {**RULE, "actions": ["drop"]}).status_code == 302
    assert StatementRule.objects.get().when == {"actions": ["drop"]}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"relations": "a.b.c"}, "relations"),
        ({"text_matches": "("}, "text_matches"),
        ({"client_from": "10.0.0.1/8"}, "client_from"),
        ({"hours_from": "25:00"}, "hours_from"),
        ({"hours_from": "10:00"}, "hours_from"),
        ({"hours_from": "10:00", "hours_to": "11:00", "hours_zone": "Mars/Olympus"}, "hours_from"),
        ({"then": "approve"}, "workflow"),
    ],
)
def test_what_is_wrong_with_a_condition_stands_at_its_field(admin: Client, fields: dict[str, str], place: str) -> None:
    answer = admin.post(reverse("admin:policies_statementrule_add"), {**RULE, **fields})
    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == [place]
    assert not StatementRule.objects.exists()


def test_conditions_are_readable(admin: Client) -> None:
    StatementRule.objects.create(name="r", when={"actions": ["drop", "alter"], "without_where": True}, then="deny")
    assert "actions: drop, alter; without_where: True" in admin.get(reverse("admin:policies_statementrule_changelist")).content.decode()


def test_there_is_one_retention(admin: Client) -> None:
    add = reverse("admin:policies_retention_add")
    assert admin.post(add, {"entries_days": 400}).status_code == 302
    assert Retention.objects.get().pk == 1
    assert admin.get(add).status_code == 403


def test_a_rule_is_tested_before_it_is_saved(admin: Client, grant: Grant, bot: Subject) -> None:
    grant.actions = ["drop"]
    grant.save()
    assert "Test this rule" in admin.get(reverse("admin:policies_statementrule_add")).content.decode()
    there = reverse("admin:policies_statementrule_test_new")
    tried = admin.post(there, {**RULE, **TRY, "actions": ["drop"]}).context["tried"]
    assert (tried.before.kind, tried.after.kind, tried.differs) == ("allow", "deny", True)
    assert tried.after.rules == ["no drops"]
    other = admin.post(there, {**RULE, **TRY, "actions": ["alter"]})
    assert not other.context["tried"].differs
    assert "✗ not met" in other.content.decode()
    assert not StatementRule.objects.exists()


def test_a_masking_rule_is_tested_as_edited(admin: Client, grant: Grant, bot: Subject) -> None:
    rule = MaskingRule.objects.create(name="m", columns=["crm.customers.ssn"], method={"name": "redact"})
    there = reverse("admin:policies_maskingrule_test", args=[rule.pk])
    form = {**TRY, "try-sql": "SELECT 1 FROM crm.orders", "name": "m", "columns": "crm.orders.card", "method_name": "card"}
    part = admin.post(there, form, headers={"X-Tidegate-Part": "1"})
    assert [masked.column for masked in part.context["tried"].after.masked] == ["crm.orders.card"]
    assert part.context["tried"].before.masked == []
    assert "<html" not in part.content.decode()
    assert MaskingRule.objects.get().columns == ["crm.customers.ssn"]


def test_a_rule_that_is_wrong_is_not_tested(admin: Client, grant: Grant, bot: Subject) -> None:
    answer = admin.post(reverse("admin:policies_statementrule_test_new"), {**RULE, **TRY, "name": "", "text_matches": "("})
    said = answer.content.decode()
    assert "cannot be tested until this is put right" in said
    assert "Name: This field is required." in said
    assert "Text matches" in said
    assert admin.get(reverse("admin:policies_statementrule_test_new")).status_code == 405


def test_only_admins_test_rules(auditor: Client, approver: Client, grant: Grant, bot: Subject) -> None:  # noqa: F811
    rule = StatementRule.objects.create(name="r", when={}, then="deny")
    for client in (auditor, approver, Client()):
        for address in (reverse("admin:policies_statementrule_test_new"), reverse("admin:policies_statementrule_test", args=[rule.pk])):
            assert client.post(address, {**RULE, **TRY}).status_code == 302


def test_rules_are_tried_in_shadow(admin: Client) -> None:
    rule = StatementRule.objects.create(name="r", when={}, then="deny")
    listing = reverse("admin:policies_statementrule_changelist")
    admin.post(listing, {"action": "put_in_shadow", "_selected_action": [rule.pk]})
    assert json.loads(BundleVersion.objects.first().payload)["rules"][0]["shadow"] is True
    admin.post(listing, {"action": "enforce", "_selected_action": [rule.pk]})
    assert json.loads(BundleVersion.objects.first().payload)["rules"][0]["shadow"] is False
