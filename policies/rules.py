"""Whether the core would accept a rule, asked with the core's own code, and what is wrong in one line if not."""

from __future__ import annotations

from typing import Any

import msgspec
from django.contrib.auth.models import Group

from controlplane.models import Connection, Subject
from proxy.policy import payload
from proxy.policy.masks import parse_method
from proxy.policy.names import parse_pattern
from proxy.policy.rules import compile_rule


def columns_problem(columns: Any) -> str:
    """Of a masking rule's columns."""
    if not isinstance(columns, list) or not columns or not all(isinstance(item, str) for item in columns):
        return 'Give a list of at least one column pattern, e.g. ["crm.customers.ssn"].'
    for column in columns:
        if len(column) > payload.LONGEST:
            return f"A column pattern has {payload.LONGEST} characters at most."
        try:
            parse_pattern(column, parts=3)
        except ValueError as problem:
            return f"{problem}."
    return ""


def method_problem(method: Any) -> str:
    """Of a masking method such as ``{"name": "partial", "first": 0, "last": 4}``."""
    if not isinstance(method, dict):
        return 'Give an object with the method\'s name, e.g. {"name": "redact"}.'
    try:
        _, arguments = parse_method(method)
    except ValueError as problem:
        return f"{problem}."
    if any(isinstance(argument, str) and "\0" in argument for argument in arguments):
        return "PostgreSQL's text holds no NUL character, so this value fits no column."
    return ""


def when_problem(when: Any, then: str) -> str:
    """Of a statement rule's conditions."""
    if not isinstance(when, dict):
        return 'Give an object of conditions, e.g. {"actions": ["drop"]}; {} means every statement.'
    try:
        conditions = msgspec.convert(when, payload.When)
        compile_rule(payload.Rule(name="rule", when=conditions, then="deny" if then not in ("allow", "deny") else then))  # type: ignore[arg-type]
    except ValueError as problem:
        return f"{problem}."
    return ""


def dangling(when: dict[str, Any]) -> str:
    """Names in the conditions that do not exist; such a rule would silently never match."""
    for kind, model in (("subjects", Subject), ("groups", Group), ("connections", Connection)):
        named = when.get(kind) or []
        known = set(model.objects.filter(name__in=named).values_list("name", flat=True))
        missing = [name for name in named if name not in known]
        if missing:
            return f"{kind}: there is no {kind.rstrip('s')} '{missing[0]}'."
    return ""
