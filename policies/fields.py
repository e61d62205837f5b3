"""Form fields of lists: one entry a line."""

from __future__ import annotations

from typing import Any

from django import forms

from controlplane.admin_base import Textarea


class LinesField(forms.CharField):
    """A list of texts, one a line; empty lines do not count."""

    def __init__(self, *, rows: int = 2, **options: Any) -> None:
        widget = Textarea(attrs={"rows": rows, "class": "tg-lines", "spellcheck": "false"})
        super().__init__(**{"required": False, "widget": widget, **options})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, (list, tuple)) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)
