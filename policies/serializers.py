"""What the REST interface reads and writes of the policy."""

from __future__ import annotations

from django.contrib.auth.models import Group

from controlplane.models import Connection, Subject
from controlplane.serializers import ServiceSerializer, WorkflowField, names
from policies.models import MaskingRule, StatementRule


class MaskingRuleSerializer(ServiceSerializer):
    connections = names(Connection, many=True, required=False)
    cleared_subjects = names(Subject, many=True, required=False)
    cleared_groups = names(Group, many=True, required=False)

    class Meta:
        model = MaskingRule
        fields = ("id", "name", "connections", "columns", "method", "lookups", "cleared_subjects", "cleared_groups", "cleared_until")


class StatementRuleSerializer(ServiceSerializer):
    workflow = WorkflowField(required=False, allow_null=True)

    class Meta:
        model = StatementRule
        fields = ("id", "name", "when", "then", "workflow", "message", "shadow")
