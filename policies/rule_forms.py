"""Rules as people fill them in: a field for each condition, a method with its arguments. The JSON of the models is made from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.auth.models import Group

from controlplane.admin_base import Checkboxes, ManySelect, Select, ServiceForm, TextInput
from controlplane.models import Connection, Subject
from policies import rules
from policies.fields import LinesField
from policies.models import MaskingRule, StatementRule
from proxy.sql.facts import ACTIONS

_EITHER = [("", "does not matter"), ("yes", "yes"), ("no", "no")]
_NAMES = "One a line; * and ? are wildcards, parts in double quotes keep their case."


def _either(label: str, help_text: str) -> forms.Field:
    return forms.ChoiceField(label=label, choices=_EITHER, required=False, widget=Select, help_text=help_text)


def _names(model: Any, help_text: str) -> forms.Field:
    return forms.ModelMultipleChoiceField(
        queryset=model.objects.order_by("name"), to_field_name="name", required=False, widget=ManySelect, help_text=help_text
    )


class StatementRuleForm(ServiceForm):
    """All conditions that are given must hold; a rule without any speaks about every statement."""

    actions = forms.MultipleChoiceField(
        choices=[(name, name) for name in sorted(ACTIONS)], required=False, widget=Checkboxes,
        help_text="What the statement does, or anything inside it (CTEs, EXPLAIN ANALYZE, functions that can be read).",
    )  # fmt: skip
    relations = LinesField(help_text=f"Tables and views that it reads or writes, e.g. crm.*. {_NAMES}")
    columns = LinesField(help_text=f"Columns that it uses, as schema.table.column. {_NAMES}")
    functions = LinesField(help_text=f"Functions that it calls, e.g. pg_read_*. {_NAMES}")
    without_where = _either("Without WHERE", "An UPDATE or DELETE in it has no WHERE.")
    touches_masked = _either("Touches masked columns", "Columns that are masked for the subject who asks.")
    multiple_statements = _either("Several statements at once", "The text holds more than one statement.")
    estimated_rows_over = forms.IntegerField(
        label="More estimated rows than",
        min_value=0,
        required=False,
        widget=TextInput,
        help_text="An estimate that nobody has counts as more.",
    )
    text_matches = forms.CharField(  # not "matches": a field of that name would hide the method of the form element
        label="Text matches", required=False, widget=TextInput,
        help_text="RE2 expression on the statement with its constants replaced by $n. The last resort: better say what it does.",
    )  # fmt: skip
    subjects = _names(Subject, "None chosen: everybody.")
    groups = _names(Group, "Subjects of any of these groups. None chosen: everybody.")
    connections = _names(Connection, "None chosen: all.")
    client_from = LinesField(label="Only from networks", help_text="Of the client's address, e.g. 10.20.0.0/16. One a line.")
    client_not_from = LinesField(label="Only from outside of networks", help_text="One a line.")
    hours_from = forms.RegexField(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", label="Hours from", required=False, widget=TextInput,
                                  help_text="E.g. 22:00. The rule speaks between these times only.")  # fmt: skip
    hours_to = forms.RegexField(
        r"^([01][0-9]|2[0-3]):[0-5][0-9]$", label="Hours to", required=False, widget=TextInput, help_text="E.g. 06:00."
    )
    hours_zone = forms.CharField(label="Time zone", required=False, widget=TextInput, help_text="E.g. Europe/Berlin; empty: UTC.")

    class Meta:
        model = StatementRule
        fields = ("name", "then", "workflow", "message", "shadow")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, value in _spread(self.instance.when or {}).items():
            self.initial.setdefault(name, value)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        # What this form has no field for stays as it is.
        known = {condition for condition, _, _ in CONDITIONS}
        when = {name: value for name, value in (self.instance.when or {}).items() if name not in known}
        for condition, fields, gather in CONDITIONS:
            value = gather(cleaned)
            if value is None or any(name in self.errors for name in fields):
                continue
            problem = rules.when_problem({condition: value}, cleaned.get("then") or "deny")
            if problem:
                self.add_error(fields[0], problem.removeprefix("when."))
            else:
                when[condition] = value
        self.instance.when = when
        return cleaned


def _listed(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda cleaned: [str(item) for item in cleaned.get(name) or []] or None


def _yes_no(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda cleaned: {"yes": True, "no": False}.get(cleaned.get(name) or "")


def _over(cleaned: dict[str, Any]) -> Any:
    return None if cleaned.get("estimated_rows_over") is None else {"over": cleaned["estimated_rows_over"]}


def _between(cleaned: dict[str, Any]) -> Any:
    start, end, zone = (cleaned.get(name) or "" for name in ("hours_from", "hours_to", "hours_zone"))
    return {"from": start, "to": end, "tz": zone or "UTC"} if start or end or zone else None


# (condition of the policy file, the fields that show it, how they make it)
CONDITIONS: tuple[tuple[str, tuple[str, ...], Callable[[dict[str, Any]], Any]], ...] = (
    *((name, (name,), _listed(name)) for name in ("actions", "relations", "columns", "functions", "subjects", "groups", "connections")),
    *((name, (name,), _yes_no(name)) for name in ("without_where", "touches_masked", "multiple_statements")),
    ("estimated_rows", ("estimated_rows_over",), _over),
    ("matches", ("text_matches",), lambda cleaned: cleaned.get("text_matches") or None),
    ("from", ("client_from",), _listed("client_from")),
    ("not_from", ("client_not_from",), _listed("client_not_from")),
    ("between", ("hours_from", "hours_to", "hours_zone"), _between),
)
CONDITION_FIELDS = tuple(name for _, fields, _ in CONDITIONS for name in fields)


def _spread(when: dict[str, Any]) -> dict[str, Any]:
    """A rule's conditions as the values of the fields."""
    found: dict[str, Any] = {}
    for condition, fields, _ in CONDITIONS:
        value = when.get(condition)
        if condition == "between":
            found |= dict(zip(fields, (value["from"], value["to"], value.get("tz", "UTC")), strict=True)) if value else {}
        elif condition == "estimated_rows":
            found |= {fields[0]: value["over"]} if value else {}
        elif isinstance(value, bool):
            found[fields[0]] = "yes" if value else "no"
        elif value is not None:
            found[fields[0]] = value
    return found


_METHODS = [
    ("redact", "redact: *** in place of the text"),
    ("nullify", "nullify: NULL"),
    ("email", "email: ***@***.com"),
    ("card", "card: only the last four digits"),
    ("partial", "partial: only the first and last characters"),
    ("hash", "hash: a stable pseudonym"),
    ("year", "year: the first of January of the date's year"),
    ("round", "round: a multiple of a number"),
    ("fixed", "fixed: always the same value"),
]
METHOD_ARGUMENTS = {"partial": ("first", "last"), "round": ("to",), "fixed": ("text",)}


class MaskingRuleForm(ServiceForm):
    columns = LinesField(rows=4, required=True, help_text=f"As schema.table.column, e.g. crm.customers.ssn or *.*.ssn. {_NAMES}")
    method_name = forms.ChoiceField(
        label="Method", choices=_METHODS, widget=Select, help_text="Other types than text get a harmless value or NULL."
    )
    first = forms.IntegerField(min_value=0, max_value=1000, required=False, widget=TextInput, help_text="So many first characters stay.")
    last = forms.IntegerField(min_value=0, max_value=1000, required=False, widget=TextInput, help_text="So many last characters stay.")
    to = forms.IntegerField(label="Multiple of", min_value=1, required=False, widget=TextInput, help_text="E.g. 1000.")
    text = forms.CharField(
        label="Value",
        required=False,
        strip=False,
        max_length=1000,
        widget=TextInput,
        help_text="What everybody sees; it must fit the column's type.",
    )

    class Meta:
        model = MaskingRule
        fields = ("name", "connections", "columns", "lookups", "cleared_groups", "cleared_subjects", "cleared_until")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        method = dict(self.instance.method or {})
        self.initial.setdefault("method_name", method.pop("name", "redact"))
        for name, value in method.items():
            self.initial.setdefault(name, value)

    def clean_columns(self) -> list[str]:
        columns: list[str] = self.cleaned_data["columns"]
        problem = rules.columns_problem(columns)
        if problem:
            raise forms.ValidationError(problem)
        return columns

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        name = cleaned.get("method_name", "redact")
        method: dict[str, Any] = {"name": name}
        for argument in METHOD_ARGUMENTS.get(name, ()):
            value = cleaned.get(argument)
            if value is None and argument in ("first", "last") and argument not in self.errors:
                value = 0
            if value is None and argument not in self.errors:
                self.add_error(argument, f"The method {name} needs it.")
            method[argument] = value
        if not self.errors:
            self.instance.method = method
        elif not self.instance.method:
            self.instance.method = {"name": "redact"}
        return cleaned
