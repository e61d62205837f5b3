"""What an export selects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms

from audit.filters import When


class SelectionForm(forms.Form):
    since = forms.DateTimeField(required=False, widget=When, label="From (UTC)")
    until = forms.DateTimeField(required=False, widget=When, label="Until (UTC)")
    subject = forms.CharField(required=False, max_length=255, label="Subject")
    connection = forms.CharField(required=False, max_length=255, label="Connection")
    session = forms.CharField(required=False, max_length=64, label="Session")

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        since, until = found.get("since"), found.get("until")
        if isinstance(since, datetime) and isinstance(until, datetime) and since >= until:
            raise forms.ValidationError(f"This selects nothing: {until.astimezone(UTC):%Y-%m-%d %H:%M} is not after the beginning.")
        return found
