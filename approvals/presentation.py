"""What every page and e-mail says about a request: one place, so that all of them show the same."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.db.models import Count

from approvals.layout import laid_out
from approvals.models import ApprovalRequest
from approvals.places import PARAMETER, written
from approvals.states import State
from audit import services as audit
from audit.visible import in_order, one_line, pieces

_TYPES = {
    16: "boolean", 17: "bytea", 20: "bigint", 21: "smallint", 23: "integer", 25: "text", 114: "json", 700: "real", 701: "double precision",
    1042: "character", 1043: "varchar", 1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 1186: "interval",
    1700: "numeric", 2950: "uuid", 3802: "jsonb",
}  # fmt: skip  # pg_type.dat of PostgreSQL: oids of built-in types never change


def of(request: ApprovalRequest) -> dict[str, Any]:
    """The template context that describes ``request``: text cut into pieces, so that nothing in it stays hidden."""
    return {
        "approval": request,
        "sql_pieces": list(pieces(request.sql)),
        "sql_spans": laid_out(request.sql),
        "sql_lines": in_order(request.sql).split("\n"),
        "sql_size": _size(request.sql),
        "odd_characters": any(piece.kind == "hidden" for piece in pieces(request.sql)),
        "parameters": [_parameter(item) for item in request.parameters],
        "facts": _shown(_facts(request)),
        "why": _shown([("Why it is held", request.reason)]),
        "effect": effect(request),
        "effects": _shown(_effects(request)),
        "plan": list(pieces((request.preview or {}).get("plan", ""))),
        "locks": request.in_transaction and bool(_WRITES & set(request.actions)),
    }


_WRITES = frozenset({"insert", "update", "delete", "merge", "truncate", "copy_from"})


def effect(request: ApprovalRequest) -> str:
    """How many rows the statement would change or return, in a sentence, and how certain that is."""
    preview = request.preview or {}
    changed, expected = preview.get("affected_rows"), preview.get("estimated_rows")
    writes = bool(_WRITES & set(request.actions))
    if changed is not None:
        return f"would change {_rows(changed)} (counted {request.requested_at.astimezone(UTC):%H:%M} UTC)"
    if expected is not None:
        return f"would {'change' if writes else 'return'} about {_rows(expected)} (the planner's estimate)"
    return "would change rows; how many is not known" if writes else ""


def earlier(request: ApprovalRequest) -> dict[str, Any]:
    """What this agent did before in its session, newest first, and how its requests of this shape were answered."""
    before = audit.before_in_session(request.session, request.requested_at, 10) if request.session else []
    like = ApprovalRequest.objects.like(subject=request.subject, connection=request.connection, normalised=request.normalised)
    counted = dict(like.filter(requested_at__lt=request.requested_at).order_by().values_list("state").annotate(Count("pk")))
    said = counted.get(State.APPROVED, 0) + counted.get(State.CONSUMED, 0)
    others = [item for item in before if item["statement"] != request.statement]
    return {
        "session_statements": [{**item, "line": one_line(item["normalised"], 300)} for item in others],
        "answered": {"approved": said, "rejected": counted.get(State.REJECTED, 0), "all": sum(counted.values())},
    }


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def _effects(request: ApprovalRequest) -> list[tuple[str, str]]:
    """What else follows from the statement."""
    preview = request.preview or {}
    cascades = [f"{item['relation']} ({', '.join(item['columns'])}): {item['action'].lower()}" for item in preview.get("cascades", ())]
    triggers = [f"{item['name']} on {item['relation']} ({item['event'].lower()})" for item in preview.get("triggers", ())]
    bound = "" if request.bound is None else f"if it would change more than {_rows(request.bound)} when it runs, it is undone and refused"
    return [
        ("Bound", bound),
        ("Also changes, by foreign keys", "; ".join(cascades)),
        ("Triggers that fire", "; ".join(triggers)),
        ("Columns", ", ".join(preview.get("columns", ()))),
        ("To know", " ".join(preview.get("notes", ()))),
    ]


def _shown(facts: list[tuple[str, str]]) -> list[tuple[str, list[Any], str]]:
    return [(name, list(pieces(value)), _flat(value)) for name, value in facts if value]


def _size(sql: str) -> str:
    lines = sql.count("\n") + 1
    return f"{lines} line{'s' * (lines != 1)}, {len(sql)} character{'s' * (len(sql) != 1)}"


def parameters_line(request: ApprovalRequest, limit: int = 160) -> str:
    """The parameters for lists, where requests often differ in nothing else."""
    return one_line(", ".join(f"${item['n']} = {item['line']}" for item in map(_parameter, request.parameters[:20])), limit)


def places(request: ApprovalRequest) -> list[dict[str, Any]]:
    """The values of a statement by their place, for whoever names those that may differ."""
    texts = {item["n"]: _parameter(item)["line"] for item in request.parameters}
    found = written(request.sql, request.normalised) or {}
    return [{"n": n, "line": one_line(texts[n] if kind == PARAMETER else _flat(text), 80)} for n, (kind, text) in found.items()]


def _parameter(item: dict[str, Any]) -> dict[str, Any]:
    text = "withheld: it meets a column that is masked" if item.get("withheld") else item.get("text")
    return {
        "n": item.get("n"),
        "type": _TYPES.get(item.get("oid"), "" if not item.get("oid") else f"type {item['oid']}"),
        "null": text is None,
        "withheld": bool(item.get("withheld")),
        "pieces": list(pieces(text or "")),
        "line": "NULL" if text is None else _flat(text),
    }


def _flat(text: str) -> str:
    """For e-mails: a value with line feeds must not look like the e-mail's own lines."""
    return in_order(text).replace("\n", "⟦U+000A⟧")


def _facts(request: ApprovalRequest) -> list[tuple[str, str]]:
    database = f" (database {request.database})" if request.database and request.database != request.connection else ""
    return [
        ("Who", f"{request.subject}, signed in by {request.issuer}" if request.issuer else request.subject),
        ("Where", f"{request.connection}{database}"),
        ("From", request.client),
        ("Application", request.application),
        ("Run", request.run),
        ("Rules", ", ".join(request.rules)),
        ("What it does", ", ".join(request.actions)),
        ("Touches", ", ".join(request.relations)),
        ("Masked for the subject", ", ".join(request.masked)),
        ("In a transaction", "yes: what it did before stands under Before" if request.in_transaction else ""),
    ]
