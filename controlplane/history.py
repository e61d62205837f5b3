"""What became of an object: its changes as the audit has them, back through other names that it had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Model

from proxy.ledger.entry import canonical

LONGEST = 500  # changes that a page looks for


@dataclass(frozen=True)
class Change:
    """``values``: field, before, after. ``withheld``: the values are not kept any more."""

    entry: int
    time: datetime
    actor: str
    action: str
    values: tuple[tuple[str, str, str], ...]
    withheld: bool


def changes_of(instance: Model, recorded_as: str = "") -> list[Change]:
    """The newest first. ``recorded_as``: how the audit's names of the object begin, where they are not always the same."""
    found: list[Change] = []
    name = f'"object":{canonical(recorded_as or str(instance)).decode()}'
    if recorded_as:
        name = name.removesuffix('"')
    before: int | None = None
    while name and len(found) < LONGEST:
        entries = _entries(instance._meta.label, name, before)
        name = ""
        for change in entries:
            found.append(change)
            before = change.entry
            earlier = next((old for field, old, new in change.values if field in ("name", "username") and old and new), "")
            if earlier and change.action == "change":
                name = f'"object":{canonical(earlier).decode()}'
                break
    return found


def _entries(label: str, name: str, before: int | None) -> Iterator[Change]:
    entries = apps.get_model("audit", "Entry").objects.filter(kind="admin.changed", canonical__contains=name)
    entries = entries.filter(canonical__contains=f'"model":{canonical(label).decode()}')
    if before is not None:
        entries = entries.filter(pk__lt=before)
    return map(_change, entries.order_by("-id")[:LONGEST])


def _change(entry: Any) -> Change:
    fields = json.loads(entry.canonical)["fields"]
    disclosed = {name: item["value"] for name, item in json.loads(entry.disclosures).items()}
    before, after = disclosed.get("before") or {}, disclosed.get("after") or {}
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    values = tuple((name, _said(before.get(name)), _said(after.get(name))) for name in names)
    return Change(entry.pk, entry.time, fields["actor"], fields["action"], values, "after" not in disclosed)


def _said(value: Any) -> str:
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
