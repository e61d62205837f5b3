"""Names that dangle and combinations that cannot be, found before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from policies import rules
from policies.policy_file import normal
from policies.policy_file.current import known
from policies.policy_file.document import Item, Problem, Source, items
from policies.policy_file.schema import nearest

KEYS = {"groups": "", "users": "username"}  # what an entry is known by; elsewhere its name, and grants by nothing


@dataclass(frozen=True, slots=True)
class Names:
    """Everything that may be named once the policy is applied."""

    by_section: dict[str, frozenset[str]]
    sources: Sequence[Source]

    def check(self, item: Item, section: str, *path: str) -> Iterator[Problem]:
        """Whatever stands at ``path`` (a name or a list of names) must exist in ``section``."""
        value = item.value
        for step in path:
            if not isinstance(value, dict) or step not in value:
                return
            value = value[step]
        if isinstance(value, str):
            yield from self._one(item.at(*path), section, value)
        elif isinstance(value, list):
            for position, name in enumerate(value):
                yield from self._one(item.at(*path, position), section, name)

    def _one(self, where: str, section: str, name: str) -> Iterator[Problem]:
        known_names = self.by_section[section]
        if name not in known_names:
            kind = {"oidc": "OIDC issuer"}.get(section, section.removesuffix("s"))
            yield Problem(where, f"there is no {kind} '{name}'{nearest(name, sorted(known_names))}")


def key_of(section: str, value: object) -> str:
    """What an entry is known by: ``groups`` are names themselves."""
    return str(value) if section == "groups" else str(value[KEYS.get(section, "name")])  # type: ignore[index]


def names_after(sources: Sequence[Source], prune: bool) -> Names:
    found: dict[str, frozenset[str]] = {}
    for section in ("oidc", "groups", "users", "subjects", "connections", "masking", "rules", "workflows"):
        written = {key_of(section, item.value) for item in items(sources, section)}
        # Administrators are never pruned, so they may still be named.
        kept = {
            key_of(section, _key_form(section, document))
            for row, document in known(section)
            if not prune or getattr(row, "is_superuser", False)
        }
        found[section] = frozenset(written | kept)
    return Names(found, sources)


def _key_form(section: str, document: normal.Document) -> object:
    return document["name"] if section == "groups" else document


def problems_in(sources: Sequence[Source], names: Names) -> list[Problem]:
    found = list(_twice(sources))
    for section, check in _CHECKS.items():
        for item in items(sources, section):
            found += check(item, names)
    found += _unanalyzable_with_masks(sources)
    found += _same_token(sources)
    return found


def _twice(sources: Sequence[Source]) -> Iterator[Problem]:
    for section in ("oidc", "groups", "users", "subjects", "connections", "masking", "rules", "workflows"):
        first: dict[str, str] = {}
        for item in items(sources, section):
            name = key_of(section, item.value)
            if name in first:
                yield Problem(item.at(), f"'{name}' is already in {section}, at {first[name]}")
            first.setdefault(name, item.at())
    retentions = [source.at("retention") for source in sources if "retention" in source.data]
    if len(retentions) > 1:
        yield Problem(retentions[1], f"retention is already set at {retentions[0]}")


def _user(item: Item, names: Names) -> Iterator[Problem]:
    yield from names.check(item, "groups", "groups")
    if "approver" in item.value.get("roles", []) and not item.value.get("email"):
        yield Problem(item.at(), f"the approver '{item.value['username']}' needs an email: the links go there")


def _subject(item: Item, names: Names) -> Iterator[Problem]:
    yield from names.check(item, "groups", "groups")
    yield from names.check(item, "users", "owner")
    yield from names.check(item, "oidc", "oidc", "issuer")


def _connection(item: Item, names: Names) -> Iterator[Problem]:
    for setting in ("unanalyzable", "opaque_functions"):
        yield from names.check(item, "workflows", setting, "approve")
    tls = item.value.get("tls", {})
    for name in ("ca", "client_cert"):
        if name in tls and f"{name}_file" in tls:
            yield Problem(item.at("tls", f"{name}_file"), f"{name} and {name}_file exclude each other")
    if ("ca" in tls or "ca_file" in tls) and tls.get("mode", "verify-full") in ("disable", "require"):
        yield Problem(
            item.at("tls", "mode"), f"TLS mode {tls['mode']} checks no certificate, so a CA has no effect; use verify-ca or verify-full"
        )
    certificate = next((name for name in ("client_cert", "client_cert_file") if name in tls), None)
    key = next((name for name in ("client_key", "client_key_env", "client_key_file") if name in tls), None)
    if certificate and tls.get("mode") == "disable":
        yield Problem(item.at("tls", certificate), "TLS mode disable shows no certificate, so a client certificate has no effect")
    if key and not certificate:
        yield Problem(item.at("tls", key), f"{key} is the key of a client certificate: give client_cert_file, too")


def _grant(item: Item, names: Names) -> Iterator[Problem]:
    yield from names.check(item, "groups", "to", "groups")
    yield from names.check(item, "subjects", "to", "subjects")
    yield from names.check(item, "connections", "connections")
    if not item.value["to"].get("groups") and not item.value["to"].get("subjects"):
        yield Problem(item.at("to"), "the grant is to nobody: name groups or subjects")
    valid, impossible = item.value.get("valid", {}), list(_moments(item, "valid", "from", "until"))
    yield from impossible
    if not impossible and {"from", "until"} <= valid.keys() and normal.moment(valid["from"]) >= normal.moment(valid["until"]):
        yield Problem(item.at("valid", "until"), "the grant would end before it begins")


def _moments(item: Item, *path: str) -> Iterator[Problem]:
    """Days that do not exist, such as the 30th of February."""
    parent, *names = path
    for name in names:
        text = item.value.get(parent, {}).get(name)
        try:
            _ = normal.moment(text) if text else None
        except ValueError:
            yield Problem(item.at(parent, name), f"'{text}' is no time that exists")


def _masking(item: Item, names: Names) -> Iterator[Problem]:
    yield from names.check(item, "connections", "connections")
    yield from names.check(item, "groups", "cleared", "groups")
    yield from names.check(item, "subjects", "cleared", "subjects")
    yield from _moments(item, "cleared", "until")
    for position, column in enumerate(item.value["columns"]):
        problem = rules.columns_problem([column])
        if problem:
            yield Problem(item.at("columns", position), problem)
    problem = rules.method_problem(normal.method(item.value["method"]))
    if problem:
        yield Problem(item.at("method"), problem)
    cleared = item.value.get("cleared", {})
    if "cleared" in item.value and not cleared.get("groups") and not cleared.get("subjects"):
        yield Problem(item.at("cleared"), "nobody is cleared: name groups or subjects")


def _rule(item: Item, names: Names) -> Iterator[Problem]:
    for kind in ("subjects", "groups", "connections"):
        yield from names.check(item, kind, "when", kind)
    yield from names.check(item, "workflows", "then", "approve")
    then = item.value["then"] if isinstance(item.value["then"], str) else "approve"
    problem = rules.when_problem(item.value.get("when", {}), then)
    if problem:
        # The core names the condition first: "when.matches: …".
        condition = problem.partition(":")[0].removeprefix("when.")
        yield Problem(item.at("when", condition) if condition in item.value.get("when", {}) else item.at("when"), problem)


def _workflow(item: Item, names: Names) -> Iterator[Problem]:
    for place in (("approvers",), ("escalate", "to"), ("break_glass",)):
        yield from names.check(item, "groups", *place, "groups")
        yield from names.check(item, "users", *place, "users")
    if "max_wait" in item.value and item.value.get("hold") == "ticket":
        yield Problem(item.at("max_wait"), "nobody waits with hold: ticket, so max_wait has no effect")
    document = normal.workflow(item.value)
    if "max_wait" in item.value and document["max_wait"] > document["expires"]:
        yield Problem(item.at("max_wait"), "the client would wait longer than the request lives (expires)")
    escalate = item.value.get("escalate")
    if escalate and normal.seconds(escalate["after"]) >= document["expires"]:
        yield Problem(item.at("escalate", "after"), "the request would have expired before it is escalated")
    if escalate and not escalate["to"].get("groups") and not escalate["to"].get("users"):
        yield Problem(item.at("escalate", "to"), "escalates to nobody: name groups or users")


_CHECKS: dict[str, Callable[[Item, Names], Iterator[Problem]]] = {
    "users": _user,
    "subjects": _subject,
    "connections": _connection,
    "grants": _grant,
    "masking": _masking,
    "rules": _rule,
    "workflows": _workflow,
}


def _unanalyzable_with_masks(sources: Sequence[Source]) -> Iterator[Problem]:
    """What cannot be understood could read anything, so it cannot pass where something is masked."""
    masks = list(items(sources, "masking"))
    for item in items(sources, "connections"):
        over = next((mask for mask in masks if item.value["name"] in mask.value.get("connections", [item.value["name"]])), None)
        if item.value.get("unanalyzable") == "allow" and over:
            yield Problem(
                item.at("unanalyzable"),
                f"'allow' is possible only without masking rules, and '{over.value['name']}' ({over.at()}) masks columns here",
            )


def _same_token(sources: Sequence[Source]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Item] = {}
    for item in items(sources, "subjects"):
        oidc = item.value.get("oidc")
        if oidc:
            other = first.setdefault((oidc["issuer"], oidc["subject"]), item)
            if other is not item:
                yield Problem(item.at("oidc"), f"the subject '{other.value['name']}' ({other.at('oidc')}) has the same issuer and subject")
