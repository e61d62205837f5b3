"""The difference between the files and the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from policies.policy_file import current
from policies.policy_file.checks import key_of
from policies.policy_file.document import Item, Source, items
from policies.policy_file.given import Reader
from policies.policy_file.normal import NORMAL, Document, retention

_SINGULAR = {"oidc": "OIDC issuer", "masking": "masking rule", "grants": "grant", "groups": "group", "users": "user", "subjects": "subject"}
_SINGULAR |= {"connections": "connection", "rules": "rule", "workflows": "workflow", "retention": "retention"}


@dataclass(frozen=True, slots=True)
class Secrets:
    """What an entry gives besides its document; None where it gives none."""

    password: str | None = None
    client_key: str | None = None
    key: str | None = None
    webhook: dict[str, str] | None = None

    def __repr__(self) -> str:
        return "Secrets(<hidden>)"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the plan. ``row`` is None for what is created, ``document`` for what is removed."""

    section: str
    name: str
    where: str
    row: Any = None
    document: Document | None = None
    changed: tuple[str, ...] = ()
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def sign(self) -> str:
        if self.document is None:
            return "-"
        return "+" if self.row is None else "~"

    def __str__(self) -> str:
        verb = {"+": "create", "~": "change", "-": "remove"}[self.sign]
        what = f": {', '.join(self.changed)}" if self.changed else ""
        return f"{self.sign} {verb} {_SINGULAR[self.section]} {self.name}{what}"


def make_plan(sources: Sequence[Source], reader: Reader, prune: bool) -> list[Step]:
    """Every step that leads from the database to the files, in the order in which they can be carried out."""
    made: list[Step] = []
    removed: list[Step] = []
    for section in current.ORDER:
        known = current.known(section)
        wanted = [(item, _document(section, item, reader), _secrets(section, item, reader)) for item in items(sources, section)]
        steps, left = _match_grants(wanted, known) if section == "grants" else _match_names(section, wanted, known)
        made += steps
        if prune:
            removed += [Step(section, _label(section, document), "", row=row) for row, document in left if _may_go(section, row)]
    return made + _retention(sources, prune) + removed[::-1]


def _document(section: str, item: Item, reader: Reader) -> Document:
    document = NORMAL[section](item.value)
    if section == "connections":
        for name in ("ca", "client_cert"):
            file = item.value.get("tls", {}).get(f"{name}_file")
            if file:
                document["tls"][name] = reader.file(item, item.at("tls", f"{name}_file"), file) or ""
    return document


def _secrets(section: str, item: Item, reader: Reader) -> Secrets:
    if section == "connections":
        return Secrets(password=reader.secret(item, "password"), client_key=reader.secret(item, "client_key", "tls"))
    if section == "subjects":
        return Secrets(key=reader.secret(item, "key"))
    if section == "workflows" and "webhook" in item.value.get("notify", {}):
        given = {name: reader.secret(item, name, "notify", "webhook") for name in ("url", "secret")}
        return Secrets(webhook={name: value for name, value in given.items() if value is not None})
    return Secrets()


def _match_names(section: str, wanted: list[tuple[Item, Document, Secrets]], known: current.Known) -> tuple[list[Step], current.Known]:
    """Entries and rows meet by name. Returns the steps, and the rows that no entry names."""
    rows = {_label(section, document): (row, document) for row, document in known}
    steps = []
    for item, document, secrets in wanted:
        name = key_of(section, item.value)
        row, before = rows.pop(name, (None, None))
        if section == "users" and before is not None and document["oidc"] is None:
            document["oidc"] = before["oidc"]  # made by a sign-in: a file that does not speak of it leaves it
        changed = (*_changed(before, document), *_new_secrets(row, secrets)) if before is not None else ()
        if row is None or changed:
            steps.append(Step(section, name, item.at(), row, document, changed, secrets))
    return steps, list(rows.values())


def _match_grants(wanted: list[tuple[Item, Document, Secrets]], known: current.Known) -> tuple[list[Step], current.Known]:
    """Grants have no names: equal ones meet first, then those to the same for the same, which are changes."""
    left = list(known)
    open_entries = []
    for item, document, _ in wanted:
        equal = next((pair for pair in left if pair[1] == document), None)
        if equal is None:
            open_entries.append((item, document))
        else:
            left.remove(equal)
    steps = []
    for item, document in open_entries:
        same = next((pair for pair in left if _audience(pair[1]) == _audience(document)), None)
        if same is not None:
            left.remove(same)
        changed = _changed(same[1], document) if same else ()
        steps.append(Step("grants", _label("grants", document), item.at(), same[0] if same else None, document, changed))
    return steps, left


def _retention(sources: Sequence[Source], prune: bool) -> list[Step]:
    source = next((source for source in sources if "retention" in source.data), None)
    before = current.retention()
    wanted = retention(source.data["retention"]) if source else {"entries": None}
    if wanted == before or (source is None and not prune):
        return []
    where = source.at("retention") if source else ""
    row = None if before["entries"] is None else before
    return [
        Step(
            "retention", "of entries", where, row, wanted if wanted["entries"] else None, ("entries",) if row and wanted["entries"] else ()
        )
    ]


def _changed(before: Document, after: Document) -> tuple[str, ...]:
    return tuple(name for name in after if before.get(name) != after[name])


def _new_secrets(row: Any, secrets: Secrets) -> tuple[str, ...]:
    """Names of the secrets that differ from what is kept."""
    from policies.policy_file.secrets import differs

    names = ("password", "client_key", "key", "webhook")
    return tuple(name for name in names if getattr(secrets, name) is not None and differs(row, name, secrets))


def _audience(document: Document) -> str:
    return json.dumps([document["to"], document["connections"]])


def _label(section: str, document: Document) -> str:
    if section != "grants":
        return str(document.get("username") or document["name"])
    to = [f"group {name}" for name in document["to"]["groups"]] + document["to"]["subjects"]
    return f"to {', '.join(to)} on {', '.join(document['connections'])}: {', '.join(document['actions'])}"


def _may_go(section: str, row: Any) -> bool:
    """Administrators stay, or a file could lock everybody out; so do accounts that were switched off earlier."""
    return section != "users" or (not row.is_superuser and (row.is_active or bool(row.roles)))
