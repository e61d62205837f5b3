"""What an export selects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone

from audit.filters import When
from audit.models import SavedReport


class SelectionForm(forms.Form):
    since = forms.DateTimeField(required=False, widget=When, label="From")
    until = forms.DateTimeField(required=False, widget=When, label="Until")
    subject = forms.CharField(required=False, max_length=255, label="Subject")
    connection = forms.CharField(required=False, max_length=255, label="Connection")
    session = forms.CharField(required=False, max_length=64, label="Session")

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        since, until = found.get("since"), found.get("until")
        if isinstance(since, datetime) and isinstance(until, datetime) and since >= until:
            raise forms.ValidationError(f"This selects nothing: {timezone.localtime(until):%Y-%m-%d %H:%M} is not after the beginning.")
        return found


class SaveForm(forms.ModelForm):
    """A name for a report and its parameters."""

    class Meta:
        model = SavedReport
        fields = ("name", "shared")
        labels = {"shared": "Other auditors may use it"}
        help_texts = {"shared": ""}
