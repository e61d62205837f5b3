from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse

from controlplane.models import BundleVersion
from policies.models import MaskingRule, Retention, StatementRule

pytestmark = pytest.mark.django_db


def test_rules_are_made_changed_and_published(admin: Client) -> None:
    form = {"name": "m", "columns": '["*.*.ssn"]', "method": '{"name": "redact"}'}
    answer = admin.post(reverse("admin:policies_maskingrule_add"), form)
    assert answer.status_code == 302, answer.content[:3000]
    change = reverse("admin:policies_maskingrule_change", args=[MaskingRule.objects.get().pk])
    assert admin.post(change, {**form, "method": '{"name": "hash"}'}).status_code == 302
    assert json.loads(BundleVersion.objects.first().payload)["masking"][0]["method"] == {"name": "hash"}
    assert "redact" not in admin.get(reverse("admin:policies_maskingrule_changelist")).content.decode()
    wrong = admin.post(change, {**form, "columns": '["ssn"]'})
    assert "schema.table.column" in wrong.content.decode()


def test_conditions_are_readable(admin: Client) -> None:
    StatementRule.objects.create(name="r", when={"actions": ["drop", "alter"], "without_where": True}, then="deny")
    assert "actions: drop, alter; without_where: True" in admin.get(reverse("admin:policies_statementrule_changelist")).content.decode()


def test_there_is_one_retention(admin: Client) -> None:
    add = reverse("admin:policies_retention_add")
    assert admin.post(add, {"entries_days": 400}).status_code == 302
    assert Retention.objects.get().pk == 1
    assert admin.get(add).status_code == 403
