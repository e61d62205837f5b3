from __future__ import annotations

import pytest

from approvals.models import Workflow
from policies.models import StatementRule
from policies.serializers import StatementRuleSerializer

pytestmark = pytest.mark.django_db


def test_a_workflow_is_named() -> None:
    rule = StatementRule.objects.create(name="r", then="approve", workflow=Workflow.objects.create(name="owners"))
    assert StatementRuleSerializer(rule).data["workflow"] == "owners"
