"""The REST interface of the policy."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.api import ServiceViewSet
from policies.models import MaskingRule, StatementRule
from policies.policy_file.schema import POLICY
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


@extend_schema(responses={(200, "application/schema+json"): dict})
@api_view(["GET"])
@permission_classes([AllowAny])
def policy_schema(request: Request) -> Response:
    """The JSON Schema of policy files, for editors; it holds nothing of this installation."""
    return Response(POLICY, content_type="application/schema+json")
