"""An entry as written → the same with every default filled in, so that it can be compared with the database's.

Durations become seconds (``statement_timeout``: milliseconds), times become UTC, sets become sorted lists. Secrets are
left out: see given.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def milliseconds(duration: str) -> int:
    """``30s`` → 30000."""
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", duration).groups()  # type: ignore[union-attr]  # the schema has checked it
    return int(number) * _UNITS_MS[unit]


def seconds(duration: str) -> int:
    """``15m`` → 900; less than a second counts as one."""
    return max(1, milliseconds(duration) // 1000)


def duration(ms: int) -> str:
    """The shortest spelling: 900000 → ``15m``."""
    for unit in ("d", "h", "m", "s"):
        if ms % _UNITS_MS[unit] == 0:
            return f"{ms // _UNITS_MS[unit]}{unit}"
    return f"{ms}ms"


def moment(text: str) -> str:
    """A time with its zone → UTC, to the second. Raises ValueError for a date that does not exist."""
    return spelt(datetime.fromisoformat(re.sub(r"\s+(?=[Zz+-])", "", text.upper())))


def spelt(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def oidc(value: Document) -> Document:
    return {
        "name": value["name"],
        "issuer": value["issuer"],
        "audience": value["audience"],
        "jwks_uri": value.get("jwks_uri", ""),
        "subject_claim": value.get("subject_claim", "sub"),
        "groups_claim": value.get("groups_claim", ""),
        "algorithms": _set(value["algorithms"]),
    }


def group(value: str) -> Document:
    return {"name": value}


def user(value: Document) -> Document:
    return {
        "username": value["username"],
        "email": value.get("email", ""),
        "groups": _set(value.get("groups")),
        "roles": _set(value.get("roles")),
        "oidc": value.get("oidc"),
    }


def subject(value: Document) -> Document:
    return {
        "name": value["name"],
        "kind": value.get("kind", "agent"),
        "owner": value.get("owner"),
        "groups": _set(value.get("groups")),
        "oidc": value.get("oidc"),
        "certificate": value.get("certificate"),
    }


def connection(value: Document) -> Document:
    """``tls.ca`` and ``tls.client_cert`` are filled in by given.py where the file names a file."""
    tls = value.get("tls", {})
    return {
        "name": value["name"],
        "host": value["host"],
        "port": value.get("port", 5432),
        "dbname": value["dbname"],
        "databases": _set(value.get("databases")),
        "user": value["user"],
        "tls": {
            "mode": tls.get("mode", "verify-full"),
            "ca": tls.get("ca", "").strip(),
            "client_cert": tls.get("client_cert", "").strip(),
        },
        "default": value.get("default", "deny"),
        "unanalyzable": value.get("unanalyzable", "deny"),
        "opaque_functions": value.get("opaque_functions", "deny"),
        "trusted_functions": _set(value.get("trusted_functions")),
        "derived_use": value.get("derived_use", "scan"),
        "detectors": value.get("detectors") or "off",
        "row_evidence": value.get("row_evidence", "count"),
        "max_rows": value.get("max_rows"),
        "statement_timeout": milliseconds(value["statement_timeout"]) if "statement_timeout" in value else None,
        "idle_timeout": seconds(value["idle_timeout"]) if "idle_timeout" in value else None,
        "max_sessions": value.get("max_sessions"),
        "max_sessions_per_subject": value.get("max_sessions_per_subject"),
    }


def grant(value: Document) -> Document:
    valid = value.get("valid", {})
    return {
        "to": {"groups": _set(value["to"].get("groups")), "subjects": _set(value["to"].get("subjects"))},
        "connections": _set(value["connections"]),
        "actions": _set(value["actions"]),
        "valid": {"from": _moment(valid.get("from")), "until": _moment(valid.get("until"))},
    }


def masking(value: Document) -> Document:
    cleared = value.get("cleared", {})
    return {
        "name": value["name"],
        "connections": _set(value.get("connections")),
        "columns": list(dict.fromkeys(value["columns"])),
        "method": method(value["method"]),
        "lookups": value.get("lookups", "deny"),
        "cleared": {
            "groups": _set(cleared.get("groups")),
            "subjects": _set(cleared.get("subjects")),
            "until": _moment(cleared.get("until")),
        },
    }


def method(value: str | Document) -> Document:
    """``redact`` → ``{"name": "redact"}``: the bundle's spelling (docs/contracts.md §1)."""
    if isinstance(value, str):
        return {"name": value}
    ((name, argument),) = value.items()
    if name == "partial":
        return {"name": name, "first": argument.get("first", 0), "last": argument.get("last", 0)}
    if name == "round":
        return {"name": name, "to": argument}
    return {"name": name, "text": str(argument).lower() if isinstance(argument, bool) else str(argument)}


def rule(value: Document) -> Document:
    return {
        "name": value["name"],
        "when": value.get("when", {}),
        "then": value["then"],
        "message": value.get("message", ""),
        "shadow": value.get("shadow", False),
    }


def workflow(value: Document) -> Document:
    hold = value.get("hold", "wait")
    notify = value.get("notify", {})
    webhook = {"webhook": {"format": notify["webhook"].get("format", "generic")}} if "webhook" in notify else {}
    auto, escalate = value.get("auto_approve"), value.get("escalate")
    expires = seconds(value.get("expires", "15m"))
    return {
        "name": value["name"],
        "approvers": people(value["approvers"]),
        "quorum": value.get("quorum", 1),
        "expires": expires,
        "hold": hold,
        "max_wait": seconds(value["max_wait"]) if "max_wait" in value else default_wait(expires),
        "step_up": value.get("step_up", "none"),
        "exclude_owner": value.get("exclude_owner", False),
        "auto_approve": {"actions": _set(auto["actions"]), "affected_rows": auto["affected_rows"]} if auto else None,
        "notify": {"email": notify.get("email", True), **webhook},
        "escalate": {"after": seconds(escalate["after"]), "to": people(escalate["to"])} if escalate else None,
        "break_glass": people(value.get("break_glass", {})),
        "shapes": value.get("shapes", False),
    }


def people(value: Document) -> Document:
    return {"groups": _set(value.get("groups")), "users": _set(value.get("users"))}


def default_wait(expires: int) -> int:
    """Ten minutes, or as long as the request lives if that is shorter."""
    return min(600, expires)


def retention(value: Document) -> Document:
    return {"entries": max(1, milliseconds(value["entries"]) // _UNITS_MS["d"]) if "entries" in value else None}


NORMAL: dict[str, Callable[[Any], Document]] = {
    "oidc": oidc,
    "groups": group,
    "users": user,
    "subjects": subject,
    "connections": connection,
    "grants": grant,
    "masking": masking,
    "rules": rule,
    "workflows": workflow,
}


def _set(values: list[str] | None) -> list[str]:
    return sorted(set(values or ()))


def _moment(text: str | None) -> str | None:
    return moment(text) if text else None
