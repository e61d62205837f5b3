"""The searches of the auditor's pages and of the REST interface."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audit import searching
from audit.models import Entry, Name, Session, Statement
from proxy.ledger.entry import CLASSES

KINDS = [(kind, kind) for kind in sorted(CLASSES)]
DECISIONS = [("allow", "allow"), ("deny", "deny"), ("approve", "approve")]
OUTCOMES = [(word, word) for word in ("ok", "error", "refused", "held", "cancelled", "lost")]
NO_END = "none"


class When(forms.DateTimeInput):
    """A browser's own date and time picker; what it sends has no zone and is in that of the page."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"step": 1}, format="%Y-%m-%dT%H:%M:%S")

    def format_value(self, value: Any) -> str | None:
        """A saved time has a zone, which a browser's picker would not understand."""
        try:
            moment = parse_datetime(value) if isinstance(value, str) else value
        except ValueError:  # 31 February
            moment = value
        if isinstance(moment, datetime):
            return (timezone.localtime(moment) if timezone.is_aware(moment) else moment).strftime(str(self.format))
        return super().format_value(value)


class Suggested(forms.TextInput):
    """A field that offers the names of a kind which statements held (the page's datalist of that kind)."""

    def __init__(self, kind: str) -> None:
        super().__init__(attrs={"list": f"names-{kind}", "autocomplete": "off"})


def _text(label: str, *, kind: str = "", **options: Any) -> django_filters.CharFilter:
    more = {"widget": Suggested(kind)} if kind else {}
    return django_filters.CharFilter(label=label, max_length=400, **more, **options)


def _since(field: str = "time") -> django_filters.IsoDateTimeFilter:
    return django_filters.IsoDateTimeFilter(field_name=field, lookup_expr="gte", label="From", widget=When)


def _until(field: str = "time") -> django_filters.IsoDateTimeFilter:
    return django_filters.IsoDateTimeFilter(field_name=field, lookup_expr="lt", label="Until", widget=When)


def meant(kind: str, value: str) -> list[str]:
    """The recorded names that a name stands for: itself, and those that end with it (``orders``: ``crm.orders``)."""
    found = Name.objects.filter(Q(name=value) | Q(name__endswith=f".{value}"), kind=kind)
    return list(found.values_list("name", flat=True)[:500])


class SearchField(forms.CharField):
    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if text:
            try:
                searching.condition(text)
            except searching.Unsearchable as problem:
                raise ValidationError(str(problem)) from None
        return text


class SearchFilter(django_filters.CharFilter):
    """Words of a statement's text, as searching.py says."""

    field_class = SearchField

    def filter(self, found: QuerySet, value: str) -> QuerySet:
        return found.filter(searching.condition(value)) if value else found


class NameFilter(django_filters.CharFilter):
    """A name in one of the statement's lists; relations and columns without their schema too."""

    def __init__(self, *fields: str, kind: str, label: str) -> None:
        super().__init__(label=label, widget=Suggested(kind), max_length=400)
        self._fields, self._kind = fields, kind

    def filter(self, found: QuerySet, value: str) -> QuerySet:
        if not value:
            return found
        names = meant(self._kind, value) if self._kind in ("relation", "column") else [value]
        if not names:
            return found.none()
        held = Q()
        for name in self._fields:
            held |= Q(**{f"{name}__overlap": names})
        return found.filter(held)


class StatementFilter(django_filters.FilterSet):
    q = SearchFilter(label="Search in SQL")
    subject = _text("Subject", kind="subject")
    connection = _text("Connection", kind="connection")
    action = NameFilter("actions", kind="action", label="Action")
    table = NameFilter("relations", kind="relation", label="Table")
    column = NameFilter("columns", "masked", kind="column", label="Column")
    decision = django_filters.ChoiceFilter(choices=DECISIONS, empty_label="any", label="Decision")
    outcome = django_filters.ChoiceFilter(
        choices=[*OUTCOMES, (NO_END, "not known (yet)")], empty_label="any", label="Outcome", method="with_outcome"
    )
    rule = NameFilter("rules", kind="rule", label="Rule")
    masked = django_filters.ChoiceFilter(
        choices=[("yes", "touched"), ("no", "not touched")], empty_label="any", label="Masked columns", method="with_masked"
    )
    session = _text("Session")
    since, until = _since(), _until()

    class Meta:
        model = Statement
        fields: list[str] = []

    def with_outcome(self, found: QuerySet, name: str, value: str) -> QuerySet:
        return found.filter(outcome="" if value == NO_END else value)

    def with_masked(self, found: QuerySet, name: str, value: str) -> QuerySet:
        return found.filter(masked=[]) if value == "no" else found.exclude(masked=[])


class SessionFilter(django_filters.FilterSet):
    subject = _text("Subject", kind="subject")
    connection = _text("Connection", kind="connection")
    client = _text("Client address", lookup_expr="startswith")
    run = _text("Run")
    application = _text("Application")
    state = django_filters.ChoiceFilter(
        choices=[("open", "open"), ("closed", "closed")], empty_label="any", label="State", method="with_state"
    )
    since, until = _since("opened_at"), _until("opened_at")

    class Meta:
        model = Session
        fields: list[str] = []

    def with_state(self, found: QuerySet, name: str, value: str) -> QuerySet:
        return found.filter(closed_at__isnull=value == "open")


class EntryFilter(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(choices=KINDS, empty_label="any", label="Kind")
    subject = _text("Subject", kind="subject")
    connection = _text("Connection", kind="connection")
    decision = django_filters.ChoiceFilter(choices=DECISIONS, empty_label="any", label="Decision")
    session = _text("Session")
    since, until = _since(), _until()

    class Meta:
        model = Entry
        fields: list[str] = []
