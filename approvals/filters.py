"""The searches of the inbox and of the REST interface."""

from __future__ import annotations

import django_filters

from approvals.models import ApprovalRequest
from approvals.states import State


class RequestFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=State.choices, empty_label="any", label="State")
    connection = django_filters.CharFilter(lookup_expr="iexact", label="Connection")
    subject = django_filters.CharFilter(lookup_expr="icontains", label="Subject")
    sql = django_filters.CharFilter(lookup_expr="icontains", label="Statement holds")

    class Meta:
        model = ApprovalRequest
        fields = ["state", "connection", "subject", "sql"]
