"""What the tools of the admin site ask for."""

from __future__ import annotations

import ipaddress
from typing import Any

from django import forms

from controlplane.admin_base import Select, Textarea, TextInput
from controlplane.models import CatalogSnapshot, Connection, Subject

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


def databases() -> list[str]:
    """What a client can ask for, as far as it is known: every connection, and the other databases of which a catalog is here."""
    found = []
    told = CatalogSnapshot.objects.values_list("connection__name", "database")
    for connection in Connection.objects.all():
        found.append(connection.name)
        found += [f"{name}/{database}" for name, database in told if name == connection.name and database != connection.dbname]
    return found
