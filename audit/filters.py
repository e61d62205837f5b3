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
    """A name among the statement's terms; relations and columns without their schema too."""

    def __init__(self, kind: str, label: str) -> None:
        super().__init__(label=label, widget=Suggested(kind), max_length=400)
        self._kind = kind

    def filter(self, found: QuerySet, value: str) -> QuerySet:
        if not value:
            return found
        names = meant(self._kind, value) if self._kind in ("relation", "column") else [value]
        return found.filter(terms__overlap=[f"{self._kind}:{name}" for name in names]) if names else found.none()


class TermFilter(django_filters.ChoiceFilter):
    """One of the statement's terms of a kind."""

    def __init__(self, kind: str, label: str, choices: list[tuple[str, str]]) -> None:
        super().__init__(label=label, choices=choices, empty_label="any")
        self._kind = kind

    def filter(self, found: QuerySet, value: str) -> QuerySet:
        return found.filter(terms__contains=[f"{self._kind}:{'' if value == NO_END else value}"]) if value else found


class StatementFilter(django_filters.FilterSet):
    q = SearchFilter(label="Search in SQL")
    subject = _text("Subject", kind="subject")
    connection = _text("Connection", kind="connection")
    action = NameFilter("action", "Action")
    table = NameFilter("relation", "Table")
    column = NameFilter("column", "Column")
    decision = TermFilter("decision", "Decision", DECISIONS)
    outcome = TermFilter("outcome", "Outcome", [*OUTCOMES, (NO_END, "not known (yet)")])
    rule = NameFilter("rule", "Rule")
    masked = TermFilter("masked", "Masked columns", [("yes", "touched"), ("no", "not touched")])
    session = _text("Session")
    since, until = _since(), _until()

    class Meta:
        model = Statement
        fields: list[str] = []

    @property
    def scattered(self) -> bool:
        """Whether what is chosen is found in the index of words and terms, which has no order."""
        return any(self.form.cleaned_data.get(name) for name in SCATTERED)

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        found = super().filter_queryset(queryset)
        if not self.scattered:
            return found
        # The same index has these too, so that it is left with what matches everything.
        chosen = [f"{name}:{value}" for name in ("subject", "connection") if (value := self.form.cleaned_data.get(name))]
        return found.filter(terms__contains=chosen) if chosen else found


SCATTERED = ("q", "action", "table", "column", "decision", "outcome", "rule", "masked")


def is_scattered(chosen: django_filters.FilterSet) -> bool:
    """Whether what a valid filter chose is to be searched so (keyset.page)."""
    return bool(getattr(chosen, "scattered", False))


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
