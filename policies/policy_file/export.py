"""The database as a policy file, without secrets and without what is as by default."""

from __future__ import annotations

from typing import Any

import yaml

from policies.policy_file import current, normal
from policies.policy_file.normal import Document

# An entry with nothing but what it must have: whatever equals this is left out.
_LEAST: dict[str, Any] = {
    "users": normal.user({"username": ""}),
    "subjects": normal.subject({"name": ""}),
    "connections": normal.connection({"name": "", "host": "", "dbname": "", "user": ""}),
    "rules": normal.rule({"name": "", "then": ""}),
    "masking": normal.masking({"name": "", "columns": [], "method": "redact"}) | {"method": None},
    "oidc": normal.oidc({"name": "", "issuer": "", "audience": "", "algorithms": []}),
    "workflows": normal.workflow({"name": "", "approvers": {}}) | {"approvers": None},
    "grants": {},
    "groups": {},
}


def policy_document() -> Document:
    """Everything an admin can set, as the mapping that the YAML holds."""
    found: Document = {"version": 1}
    for section in ("oidc", "groups", "users", "subjects", "connections", "grants", "masking", "rules", "workflows"):
        entries = [_entry(section, document) for _, document in current.known(section)]
        if entries:
            found[section] = entries
    days = current.retention()["entries"]
    if days:
        found["retention"] = {"entries": f"{days}d"}
    return found


def policy_text() -> str:
    """YAML; `manage.py apply` of it changes nothing."""
    return yaml.dump(policy_document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes certificates as blocks, and short lists of words on one line."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    short = all(isinstance(item, str) for item in value) and sum(map(len, value)) < 90
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def _entry(section: str, document: Document) -> Any:
    if section == "groups":
        return document["name"]
    least = _LEAST[section]
    written = {name: value for name, value in document.items() if name not in least or value != least[name]}
    shape = _SHAPES.get(section, _without_nothing)
    return shape(written)


def _connection(entry: Document) -> Document:
    if "statement_timeout" in entry:
        entry["statement_timeout"] = normal.duration(entry["statement_timeout"])
    if "idle_timeout" in entry:
        entry["idle_timeout"] = normal.duration(entry["idle_timeout"] * 1000)
    return _without_nothing(entry)


def _masking(entry: Document) -> Document:
    method = _method(entry.pop("method"))  # an empty fixed text is something
    return {**_without_nothing(entry), "method": method}


def _method(method: Document) -> Any:
    """The file's spelling of the bundle's."""
    match method:
        case {"name": "partial", "first": first, "last": last}:
            return {"partial": {"first": first, "last": last}}
        case {"name": "round", "to": to}:
            return {"round": to}
        case {"name": "fixed", "text": text}:
            return {"fixed": text}
    return method["name"]


def _workflow(entry: Document) -> Document:
    for name in ("expires", "max_wait"):
        if name in entry:
            entry[name] = normal.duration(entry[name] * 1000)
    if "escalate" in entry:
        entry["escalate"] = {**entry["escalate"], "after": normal.duration(entry["escalate"]["after"] * 1000)}
    if entry.get("hold") == "ticket":
        entry.pop("max_wait", None)  # nobody waits
    return _without_nothing(entry)


_SHAPES = {"connections": _connection, "masking": _masking, "workflows": _workflow}


def _without_nothing(value: Any) -> Any:
    """Leave out keys whose value is nothing: they mean the default."""
    if isinstance(value, dict):
        kept = {name: _without_nothing(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item is not None and item not in ([], "") and (item != {} or name in _KEPT)}
    return value


# A webhook without its secrets still says that there is one; a rule without conditions says so by leaving `when` out.
_KEPT = frozenset({"webhook", "approvers"})
