"""The searches of the auditor's pages and of the REST interface."""

from __future__ import annotations

import django_filters
from django import forms

from audit.models import Entry
from proxy.ledger.entry import CLASSES

KINDS = [(kind, kind) for kind in sorted(CLASSES)]
DECISIONS = [("allow", "allow"), ("deny", "deny"), ("approve", "approve")]


class When(forms.DateTimeInput):
    """A browser's own date and time picker; what it sends has no zone and means UTC."""

    input_type = "datetime-local"


class EntryFilter(django_filters.FilterSet):
    subject = django_filters.CharFilter(label="Subject")
    connection = django_filters.CharFilter(label="Connection")
    kind = django_filters.ChoiceFilter(choices=KINDS, empty_label="any", label="Kind")
    decision = django_filters.ChoiceFilter(choices=DECISIONS, empty_label="any", label="Decision")
    sql = django_filters.CharFilter(field_name="projected__sql", lookup_expr="icontains", label="Statement holds")
    session = django_filters.CharFilter(label="Session")
    since = django_filters.IsoDateTimeFilter(field_name="time", lookup_expr="gte", label="From (UTC)", widget=When)
    until = django_filters.IsoDateTimeFilter(field_name="time", lookup_expr="lt", label="Until (UTC)", widget=When)

    class Meta:
        model = Entry
        fields = ["subject", "connection", "kind", "decision", "session", "since", "until"]
