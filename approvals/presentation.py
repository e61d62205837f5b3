"""What every page and e-mail says about a request: one place, so that all of them show the same."""

from __future__ import annotations

from typing import Any

from approvals.models import ApprovalRequest
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
        "sql_lines": in_order(request.sql).split("\n"),
        "sql_size": _size(request.sql),
        "odd_characters": any(piece.kind == "hidden" for piece in pieces(request.sql)),
        "parameters": [_parameter(item) for item in request.parameters],
        "facts": [(name, list(pieces(value)), _flat(value)) for name, value in _facts(request) if value],
    }


def _size(sql: str) -> str:
    lines = sql.count("\n") + 1
    return f"{lines} line{'s' * (lines != 1)}, {len(sql)} character{'s' * (len(sql) != 1)}"


def parameters_line(request: ApprovalRequest, limit: int = 160) -> str:
    """The parameters for lists, where requests often differ in nothing else."""
    return one_line(", ".join(f"${item['n']} = {item['line']}" for item in map(_parameter, request.parameters[:20])), limit)


def _parameter(item: dict[str, Any]) -> dict[str, Any]:
    text = item.get("text")
    return {
        "n": item.get("n"),
        "type": _TYPES.get(item.get("oid"), "" if not item.get("oid") else f"type {item['oid']}"),
        "null": text is None,
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
        ("Why it is held", request.reason),
        ("Rules", ", ".join(request.rules)),
        ("What it does", ", ".join(request.actions)),
        ("Touches", ", ".join(request.relations)),
        ("Masked for the subject", ", ".join(request.masked)),
        ("In a transaction", "yes: earlier statements of it are not shown here" if request.in_transaction else ""),
    ]
