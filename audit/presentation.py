"""How entries look to people: a line in a list, and all of it on a page of its own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from audit.keyset import Page
from audit.models import ApprovalEvent, Entry, Session, Statement
from audit.querysets import STATEMENTS
from audit.visible import Piece, one_line, pieces

_GOOD = ("allow", "ok", "approved")
_WAIT = ("approve", "held", "requested", "voted")
_BAD = ("deny", "error", "refused", "lost", "rejected")
# What a list says of entries that are no statements: these fields, in this order.
_SUMMARY = (
    "action", "model", "object", "reason", "by", "tag", "error", "detail", "client", "application", "host", "version",
    "filters", "entries",
)  # fmt: skip


def tone(word: str) -> str:
    """The colour of a decision or outcome."""
    return "good" if word in _GOOD else "wait" if word in _WAIT else "bad" if word in _BAD else "off"


def rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Lines of a list of entries; statements with their text and what came of them."""
    listed = list(entries)
    asked = [entry.pk for entry in listed if entry.kind == STATEMENTS]
    known = {row.pk: row for row in Statement.objects.filter(pk__in=asked).listed()} if asked else {}
    return [_row(entry, known.get(entry.pk)) for entry in listed]


def _row(entry: Entry, statement: Statement | None) -> dict[str, Any]:
    fields = json.loads(entry.canonical)["fields"]
    sql = statement.beginning if statement else ""
    text = sql or "; ".join(_said(fields[name]) for name in _SUMMARY if fields.get(name) not in (None, "", {}))
    outcome = statement.outcome if statement else str(fields.get("outcome", ""))
    return {
        "entry": entry, "text": one_line(text, 200), "is_sql": bool(sql), "tone": tone(entry.decision), "outcome": outcome,
        "outcome_tone": tone(outcome), "rows": statement.rows if statement else fields.get("rows"),
        "who": entry.subject or fields.get("actor", ""),
    }  # fmt: skip


def statements(found: Iterable[Statement]) -> list[dict[str, Any]]:
    """Lines of a list of statements, whose queryset is ``listed``."""
    return [statement(row) | {"text": one_line(row.beginning, 240)} for row in found]


def statement(row: Statement) -> dict[str, Any]:
    return {"row": row, "tone": tone(row.decision), "outcome_tone": tone(row.outcome), "duration": duration(row.duration_us)}


def duration(microseconds: int | None) -> str:
    """A time span in the unit that reads best."""
    if microseconds is None:
        return ""
    if microseconds < 10_000:
        return f"{microseconds / 1000:.1f} ms"
    return f"{microseconds / 1000:.0f} ms" if microseconds < 1_000_000 else f"{microseconds / 1_000_000:.1f} s"


def steps(found: Iterable[ApprovalEvent]) -> list[dict[str, Any]]:
    """An approval's steps with who took them and what they wrote; each with the time since the request was made."""
    listed = list(found)
    begun = {step.request: step.time for step in reversed(listed) if step.event == "requested"}
    comments = dict(Entry.objects.filter(pk__in=[step.pk for step in listed]).values_list("pk", "disclosures")) if listed else {}
    return [
        {
            "step": step, "tone": tone(step.event), "comment": list(pieces(_comment(comments.get(step.pk, "{}")))),
            "after": duration((step.time - begun[step.request]) // timedelta(microseconds=1)) if step.request in begun else "",
        }
        for step in listed
    ]  # fmt: skip


def _comment(disclosures: str) -> str:
    return str(json.loads(disclosures).get("comment", {}).get("value", ""))


def timeline(session: Session, page: Page, approvals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A page of a session's statements, each with the steps of its approval and the time since the session was opened."""
    by_request: dict[str, list[dict[str, Any]]] = {}
    for step in approvals:
        by_request.setdefault(step["step"].request, []).append(step)
    return [
        line | {"since": _offset(line["row"].time - session.opened_at), "steps": by_request.get(line["row"].approval, [])}
        for line in statements(page.rows)
    ]


def _offset(span: timedelta) -> str:
    seconds = max(span.total_seconds(), 0)
    hours, minutes = int(seconds // 3600), int(seconds // 60 % 60)
    return f"+{hours}:{minutes:02}:{seconds % 60:04.1f}" if hours else f"+{minutes}:{seconds % 60:04.1f}"


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


# The groups in which a statement's page shows its fields; what is in none comes last.
_DECIDED = ("reason", "rules", "would", "approval", "plan", "plan_reason", "decision_id", "bundle", "catalog")
_TOUCHED = ("actions", "relations", "columns", "functions", "masked")
_ENDED = ("tag", "rows", "bytes", "masked_cells", "sqlstate", "detected")
_SHOWN = ("decision", "subject", "connection", "session", "statement")


def grouped(entry: Entry, end: Entry | None) -> dict[str, Any]:
    """The fields of a statement's two entries, by what they are about."""
    fields = json.loads(entry.canonical)["fields"]
    ended = json.loads(end.canonical)["fields"] if end else {}
    rest = [name for name in sorted(fields) if name not in (*_DECIDED, *_TOUCHED, *_SHOWN)]
    return {
        "decided": _facts(fields, _DECIDED), "touched": _facts(fields, _TOUCHED), "ended": _facts(ended, _ENDED),
        "others": _facts(fields, rest),
    }  # fmt: skip


def _facts(fields: dict[str, Any], names: Iterable[str]) -> list[tuple[str, list[Piece]]]:
    return [(name.replace("_", " "), list(pieces(_said(fields[name])))) for name in names if fields.get(name) not in ("", [], None)]


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
