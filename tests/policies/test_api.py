from __future__ import annotations

import json

import pytest
from django.test import Client

from controlplane.models import BundleVersion, Connection
from tests.controlplane.conftest import rest

pytestmark = pytest.mark.django_db


def test_rules_are_written_and_published(admin: Client, crm: Connection) -> None:
    mask = {"name": "m", "connections": ["crm"], "columns": ["*.*.ssn"], "method": {"name": "redact"}}
    made = rest(admin, "post", "masking-rules", mask)
    assert made.status_code == 201, made.content
    rule = rest(admin, "post", "statement-rules", {"name": "r", "when": {"actions": ["drop"]}, "then": "deny"})
    assert rule.status_code == 201, rule.content
    published = json.loads(BundleVersion.objects.first().payload)
    assert (published["masking"][0]["name"], published["rules"][0]["name"]) == ("m", "r")
    assert rest(admin, "delete", f"masking-rules/{made.json()['id']}").status_code == 204
    assert json.loads(BundleVersion.objects.first().payload)["masking"] == []
    assert rest(admin, "get", "statement-rules?then=deny").json()["count"] == 1


@pytest.mark.parametrize(
    ("section", "body", "field"),
    [
        ("masking-rules", {"name": "m", "columns": ["a"], "method": {"name": "redact"}}, "columns"),
        ("masking-rules", {"name": "m", "columns": ["a.b.c"], "method": {"name": "none"}}, "method"),
        ("statement-rules", {"name": "r", "when": {"x": 1}, "then": "deny"}, "when"),
        ("statement-rules", {"name": "r", "then": "approve"}, "workflow"),
        ("statement-rules", {"name": "r", "then": "approve", "workflow": "none"}, "workflow"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(admin: Client, section: str, body: dict, field: str) -> None:
    refused = rest(admin, "post", section, body)
    assert refused.status_code == 400
    assert field in refused.json()["errors"]
