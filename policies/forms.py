"""What the tools of the admin site ask for."""

from __future__ import annotations

import ipaddress
from typing import Any

from django import forms

from controlplane.admin_base import Select, Textarea, TextInput
from controlplane.models import CatalogSnapshot, Connection, Subject
from proxy.policy.names import split_name
from proxy.sql.facts import ACTIONS

LARGEST_DRAFT = 1_000_000
LONGEST = 100_000  # characters of a statement to try


class TrialForm(forms.Form):
    """A statement to try: by whom and where."""

    sql = forms.CharField(
        label="Statement", max_length=LONGEST, strip=False,
        widget=Textarea(attrs={"rows": 4, "class": "tg-sql", "spellcheck": "false", "placeholder": "SELECT …"}),
        help_text="It is analysed here and never sent to a target. Write parameters as $1, $2.",
    )  # fmt: skip
    subject = forms.ModelChoiceField(queryset=Subject.objects.enabled(), to_field_name="name", widget=Select, empty_label=None)
    database = forms.ChoiceField(label="Connection", widget=Select)
    client_ip = forms.CharField(label="From address", required=False, initial="127.0.0.1", widget=TextInput)
    search_path = forms.CharField(
        required=False, initial='"$user", public', widget=TextInput, help_text="The schemas in which names are looked up."
    )
    groups = forms.CharField(
        label="Groups of its token", required=False, widget=TextInput, help_text="Separated by commas, where it has a token."
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["database"].choices = [(name, name) for name in databases()]

    def clean_client_ip(self) -> str:
        text = str(self.cleaned_data["client_ip"]).strip()
        if text:
            try:
                ipaddress.ip_address(text)
            except ValueError:
                raise forms.ValidationError("This is no IP address.") from None
        return text

    def clean_sql(self) -> str:
        sql = str(self.cleaned_data["sql"])
        if not sql.strip():
            raise forms.ValidationError("Paste a statement.")
        return sql

    def names(self, field: str) -> list[str]:
        return [name.strip().strip('"') for name in str(self.cleaned_data[field]).split(",") if name.strip()]


class WhatIfForm(forms.Form):
    """A draft, and the statements to look at."""

    DAYS = [(1, "24 hours"), (7, "7 days"), (30, "30 days"), (90, "90 days")]

    draft = forms.CharField(
        required=False,
        strip=False,
        max_length=LARGEST_DRAFT,
        widget=Textarea(attrs={"rows": 12, "class": "tg-sql", "spellcheck": "false", "placeholder": "version: 1\nrules:\n  - name: …"}),
        help_text="As for manage.py apply; it need not name what stays as it is. Secrets and files that it names are not read.",
    )
    file = forms.FileField(label="or a file", required=False, help_text="A policy file (YAML).")
    days = forms.TypedChoiceField(label="Statements of the last", coerce=int, choices=DAYS, initial=7, widget=Select)
    subject = forms.ModelChoiceField(
        queryset=Subject.objects.all(), to_field_name="name", required=False, empty_label="every subject", widget=Select
    )
    connection = forms.ModelChoiceField(
        queryset=Connection.objects.all(), to_field_name="name", required=False, empty_label="every connection", widget=Select
    )
    prune = forms.BooleanField(label="Remove the rest", required=False, help_text="As apply --prune: without what the draft does not name.")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("file"):
            cleaned["draft"] = self._read(cleaned["file"])
        if not str(cleaned.get("draft", "")).strip() and not self.errors:
            self.add_error("draft", "Paste a draft, or choose a file.")
        return cleaned

    def _read(self, file: Any) -> str:
        if file.size > LARGEST_DRAFT:
            raise forms.ValidationError({"file": "This file is larger than 1 MB."})
        try:
            return str(file.read().decode())
        except UnicodeDecodeError:
            raise forms.ValidationError({"file": "This is not UTF-8 text."}) from None


class EffectiveForm(forms.Form):
    subject = forms.ModelChoiceField(queryset=Subject.objects.all(), to_field_name="name", widget=Select, empty_label=None)
    connection = forms.ModelChoiceField(queryset=Connection.objects.all(), to_field_name="name", widget=Select, empty_label=None)


class WhoForm(forms.Form):
    """Who sees a column, or who may do something; the column may be left out."""

    connection = forms.ModelChoiceField(queryset=Connection.objects.all(), to_field_name="name", widget=Select, empty_label=None)
    column = forms.CharField(required=False, max_length=200, widget=TextInput, help_text="Who sees it? As schema.table.column.")
    action = forms.ChoiceField(
        required=False, choices=[("", "–"), *((name, name) for name in sorted(ACTIONS))], widget=Select, help_text="Who may do it?"
    )

    def clean_column(self) -> tuple[str, ...]:
        text = str(self.cleaned_data["column"]).strip()
        if not text:
            return ()
        try:
            return split_name(text, 3)
        except ValueError as problem:
            raise forms.ValidationError(f"{problem}.") from None


def databases() -> list[str]:
    """What a client can ask for, as far as it is known: every connection, and the other databases of which a catalog is here."""
    found = []
    told = CatalogSnapshot.objects.values_list("connection__name", "database")
    for connection in Connection.objects.all():
        found.append(connection.name)
        found += [f"{name}/{database}" for name, database in told if name == connection.name and database != connection.dbname]
    return found
