"""The REST interface of the policy."""

from __future__ import annotations

from controlplane.api import ServiceViewSet
from policies.models import MaskingRule, StatementRule
from policies.serializers import MaskingRuleSerializer, StatementRuleSerializer


class MaskingRuleViewSet(ServiceViewSet):
    queryset = MaskingRule.objects.prefetch_related("connections", "cleared_subjects", "cleared_groups")
    serializer_class = MaskingRuleSerializer
    filterset_fields = ("name", "connections__name", "cleared_groups__name")
    search_fields = ("name",)


class StatementRuleViewSet(ServiceViewSet):
    queryset = StatementRule.objects.select_related("workflow")
    serializer_class = StatementRuleSerializer
    filterset_fields = ("name", "then", "shadow", "workflow__name")
    search_fields = ("name", "message")
