"""What a bundle holds, in words for people: times, which are seconds since the epoch, and conditions."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from django import template

from proxy.policy.rules import Rule

register = template.Library()


@register.filter
def moment(seconds: int | None) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds is not None else ""


@register.filter
def conditions(rule: Rule) -> str:
    """A rule's conditions in a line."""
    given = msgspec.to_builtins(rule.when)
    return "; ".join(f"{name}: {_plain(value)}" for name, value in given.items() if value is not None) or "always"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
