from __future__ import annotations

import pytest

from policies.models import StatementRule
from policies.services import rules_naming

pytestmark = pytest.mark.django_db


def test_rules_are_found_by_what_they_name() -> None:
    StatementRule.objects.create(name="one", when={"groups": ["agents", "support"]}, then="deny")
    StatementRule.objects.create(name="two", when={"subjects": ["agents"]}, then="deny")
    assert rules_naming("groups", "agents") == ["one"]
    assert rules_naming("groups", "agent") == []
    assert rules_naming("subjects", "agents") == ["two"]
