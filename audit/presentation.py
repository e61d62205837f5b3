"""How entries look to people: a line in a list, and all of it on a page of its own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from audit import extraction
from audit.models import Entry
from audit.visible import one_line, pieces

_GOOD, _WAIT, _BAD = ("allow", "ok"), ("approve", "held"), ("deny", "error", "refused", "lost")
# What a list says of entries that are no statements: these fields, in this order.
_SUMMARY = (
    "action", "model", "object", "reason", "by", "tag", "error", "detail", "client", "application", "host", "version",
    "filters", "entries",
)  # fmt: skip


def tone(word: str) -> str:
    """The colour of a decision or outcome."""
    return "good" if word in _GOOD else "wait" if word in _WAIT else "bad" if word in _BAD else "off"


def rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Lines of a list; statements with the outcome that their completions tell."""
    listed = list(entries)
    outcomes = _outcomes([entry.statement for entry in listed if entry.kind == "statement.intended"])
    return [_row(entry, outcomes.get(entry.statement) if entry.kind == "statement.intended" else None) for entry in listed]


def _row(entry: Entry, completion: dict[str, Any] | None) -> dict[str, Any]:
    fields = json.loads(entry.canonical)["fields"]
    sql = extraction.sql(json.loads(entry.disclosures))
    text = sql or "; ".join(_said(fields[name]) for name in _SUMMARY if fields.get(name) not in (None, "", {}))
    outcome = str((completion or fields).get("outcome", ""))
    return {
        "entry": entry, "text": one_line(text, 200), "is_sql": bool(sql), "tone": tone(entry.decision), "outcome": outcome,
        "outcome_tone": tone(outcome), "rows": (completion or fields).get("rows", ""), "who": entry.subject or fields.get("actor", ""),
    }  # fmt: skip


def _outcomes(statements: list[str]) -> dict[str, dict[str, Any]]:
    found = Entry.objects.filter(kind="statement.completed", statement__in=[name for name in statements if name])
    return {entry.statement: json.loads(entry.canonical)["fields"] for entry in found}


def whole(entry: Entry) -> dict[str, Any]:
    """Everything that an entry says, its values made visible, and what became of those it only commits to."""
    content = json.loads(entry.canonical)
    disclosed = {name: item["value"] for name, item in json.loads(entry.disclosures).items()}
    withheld = sorted(set(content["commitments"]) - set(disclosed))
    sql = disclosed.pop("sql", None)
    parameters = disclosed.pop("parameters", None)
    return {
        "entry": entry,
        "worker": content["worker"],
        "prev": content["prev"],
        "sql_pieces": list(pieces(sql)) if isinstance(sql, str) else None,
        "parameters": [(number, None if text is None else list(pieces(_said(text)))) for number, text in enumerate(parameters or [], 1)],
        "facts": [(name, list(pieces(_said(value)))) for name, value in sorted(content["fields"].items()) if value not in ("", [], None)],
        "disclosed": [(name, list(pieces(_said(value)))) for name, value in sorted(disclosed.items())],
        "withheld": withheld,
        "tone": tone(entry.decision),
        "request_id": _uuid(content["fields"].get("request") or content["fields"].get("approval")),
    }


def _uuid(value: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None


def _said(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
