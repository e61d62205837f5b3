"""The compiled policy bundle: checked and indexed once, then only looked up.

Format and meaning: docs/contracts.md §1. Whatever the bundle holds that this code does not know is an error: a worker
that does not understand its policy refuses sessions rather than guess.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from proxy.policy import payload as parts
from proxy.policy.masks import Mask, parse_method
from proxy.policy.names import NamePattern, parse_pattern, wildcard
from proxy.policy.payload import Clearance, Connection, Grant, Issuer, Scram, ScramKey, Subject, Workflow
from proxy.policy.rules import Rule, compile_rule
from proxy.sql.facts import ACTIONS

__all__ = ["Bundle", "BundleError", "Connection", "Grant", "Issuer", "MaskingRule", "Scram", "ScramKey", "Subject", "Workflow"]

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class BundleError(ValueError):
    """The bundle is not usable; the message names the path of what is wrong and never a secret."""


@dataclass(frozen=True, slots=True)
class MaskingRule:
    """One masking rule: which columns of which connections, how, and who is cleared."""

    name: str
    connections: frozenset[str] | None  # None: all
    columns: tuple[NamePattern, ...]
    mask: Mask
    cleared: tuple[Clearance, ...]

    def concerns(self, connection: str) -> bool:
        return self.connections is None or connection in self.connections


@dataclass(frozen=True, slots=True, repr=False)
class Bundle:
    """Everything a worker decides with. Immutable; a new policy is a new bundle."""

    digest: str  # SHA-256 (hex) of the payload
    serial: int
    max_staleness: int  # seconds
    groups: frozenset[str]
    issuers: tuple[Issuer, ...]
    rules: tuple[Rule, ...]
    enforced: tuple[Rule, ...]  # all rules but the shadow ones
    shadow: tuple[Rule, ...]
    masking: tuple[MaskingRule, ...]
    subjects: Mapping[str, Subject]
    connections: Mapping[str, Connection]
    workflows: Mapping[str, Workflow]
    _tokens: Mapping[tuple[str, str], Subject]
    _grants: Mapping[str, tuple[Grant, ...]]  # by connection
    _masking: Mapping[str, tuple[MaskingRule, ...]]  # by connection
    _moments: Mapping[str, tuple[int, ...]]  # by connection
    _databases: Mapping[str, tuple[re.Pattern[str], ...]]  # by connection
    _trusted: Mapping[str, tuple[NamePattern, ...]]  # by connection
    _secrets: Mapping[str, parts.ConnectionSecret] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Bundle(serial={self.serial}, digest={self.digest[:12]}…)"

    @staticmethod
    def load(payload: bytes, secrets: dict[str, Any]) -> Bundle:
        """Compile a verified payload and the unsealed secrets (docs/contracts.md §1). Raises BundleError."""
        try:
            content = msgspec.json.decode(payload, type=parts.Payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BundleError(f"bundle: {error}") from None
        try:
            opened = msgspec.convert(secrets, parts.Secrets)
        except msgspec.ValidationError as error:
            raise BundleError(f"bundle secrets: {error}") from None
        return _compile(content, hashlib.sha256(payload).hexdigest(), opened.connections)

    def subject(self, name: str) -> Subject | None:
        return self.subjects.get(name)

    def subject_by_token(self, issuer: str, subject: str) -> Subject | None:
        """``issuer`` by its name in the policy or by its URL."""
        return self._tokens.get((issuer, subject))

    def groups_of(self, subject: str, token_groups: frozenset[str] = frozenset()) -> frozenset[str]:
        """The subject's groups and those of its token that the policy knows; none for an unknown subject."""
        known = self.subjects.get(subject)
        return frozenset() if known is None else (frozenset(known.groups) | token_groups) & self.groups

    def connection(self, name: str) -> Connection | None:
        return self.connections.get(name)

    def connection_for(self, dbname: str) -> tuple[Connection, str] | None:
        """The connection and the target's database that a client means by ``crm`` or ``crm/tenant_7``."""
        name, slash, database = dbname.partition("/")
        connection = self.connections.get(name)
        if connection is None:
            return None
        if not slash:
            return connection, connection.dbname
        offered = any(pattern.fullmatch(database) for pattern in self._databases[name])
        return (connection, database) if offered else None

    def workflow(self, name: str) -> Workflow | None:
        return self.workflows.get(name)

    def grants_on(self, connection: str) -> tuple[Grant, ...]:
        """Every grant on the connection, whoever it is for and whenever it is valid."""
        return self._grants.get(connection, ())

    def trusts(self, connection: str, function: str) -> bool:
        """Whether the connection's ``trusted_functions`` name this function."""
        return any(pattern.matches_fact(function, certain=True) for pattern in self._trusted.get(connection, ()))

    def moments_on(self, connection: str) -> tuple[int, ...]:
        """When grants on the connection begin or end, and clearances for its columns end (seconds)."""
        return self._moments.get(connection, ())

    def masking_on(self, connection: str) -> tuple[MaskingRule, ...]:
        return self._masking.get(connection, ())

    def password(self, connection: str) -> str:
        """The upstream password. Raises BundleError where this worker was not given one."""
        return self._secret(connection).password

    def client_key(self, connection: str) -> str | None:
        """The key of the connection's client certificate (PEM), None where it has no certificate. Raises BundleError as above."""
        target = self.connections.get(connection)
        if target is None or target.tls.client_cert is None:
            return None
        key = self._secret(connection).client_key
        if key is None:
            raise BundleError(f"bundle secrets: no key for the client certificate of connection {connection!r}")
        return key

    def hash_key(self, connection: str) -> bytes:
        """The key of the connection's pseudonyms, 32 bytes. Raises BundleError where this worker was not given one."""
        return self._secret(connection).hash_key

    def _secret(self, connection: str) -> parts.ConnectionSecret:
        secret = self._secrets.get(connection)
        if secret is None:
            raise BundleError(f"bundle secrets: none for connection {connection!r}")
        return secret


def _compile(content: parts.Payload, digest: str, secrets: Mapping[str, parts.ConnectionSecret]) -> Bundle:
    workflows = _by(content.workflows, lambda item: item.name, "workflows")
    connections = _by(content.connections, lambda item: item.name, "connections")
    issuers = _by(content.issuers, lambda item: item.name, "issuers")
    _by(content.rules, lambda item: item.name, "rules")
    _by(content.masking, lambda item: item.name, "masking")
    _check_references(content, frozenset(workflows))
    rules = _each("rules", content.rules, compile_rule)
    masking = _each("masking", content.masking, _masking_rule)
    return Bundle(
        digest=digest,
        serial=content.serial,
        max_staleness=content.max_staleness,
        groups=frozenset(content.groups),
        issuers=content.issuers,
        rules=rules,
        enforced=tuple(rule for rule in rules if not rule.shadow),
        shadow=tuple(rule for rule in rules if rule.shadow),
        masking=masking,
        subjects=_by(content.subjects, lambda item: item.name, "subjects"),
        connections=connections,
        workflows=workflows,
        _tokens=_tokens(content.subjects, issuers),
        _grants={name: tuple(grant for grant in content.grants if name in grant.connections) for name in connections},
        _masking={name: tuple(rule for rule in masking if rule.concerns(name)) for name in connections},
        _moments={name: _moments(name, content.grants, masking) for name in connections},
        _databases={name: tuple(map(wildcard, item.databases)) for name, item in connections.items()},
        _trusted=dict(zip(connections, _each("connections", content.connections, _trusted), strict=True)),
        _secrets=secrets,
    )


def _by(items: Iterable[Item], key: Callable[[Item], Key], path: str) -> dict[Key, Item]:
    found: dict[Key, Item] = {}
    for position, item in enumerate(items):
        if key(item) in found:
            raise BundleError(f"bundle: {path}[{position}]: {key(item)!r} is there twice")
        found[key(item)] = item
    return found


def _each(path: str, items: Iterable[Any], make: Callable[[Any], Item]) -> tuple[Item, ...]:
    made: list[Item] = []
    for position, item in enumerate(items):
        try:
            made.append(make(item))
        except ValueError as error:
            raise BundleError(f"bundle: {path}[{position}]: {error}") from None
    return tuple(made)


def _masking_rule(rule: parts.Masking) -> MaskingRule:
    method, arguments = parse_method(rule.method)
    return MaskingRule(
        name=rule.name,
        connections=frozenset(rule.connections) if rule.connections else None,
        columns=tuple(parse_pattern(text, parts=3) for text in rule.columns),
        mask=Mask(method, arguments, rule.name, rule.lookups == "allow"),
        cleared=rule.cleared,
    )


def _trusted(connection: Connection) -> tuple[NamePattern, ...]:
    # Without a schema only PostgreSQL's own function is meant; see rules.compile_rule.
    return tuple(parse_pattern(text, parts=2, default_schema="pg_catalog") for text in connection.trusted_functions)


def _moments(connection: str, grants: tuple[Grant, ...], masking: tuple[MaskingRule, ...]) -> tuple[int, ...]:
    found = {moment for grant in grants if connection in grant.connections for moment in (grant.valid_from, grant.until)}
    found |= {clearance.until for rule in masking if rule.concerns(connection) for clearance in rule.cleared}
    return tuple(sorted(moment for moment in found if moment is not None))


def _tokens(subjects: tuple[Subject, ...], issuers: Mapping[str, Issuer]) -> dict[tuple[str, str], Subject]:
    found: dict[tuple[str, str], Subject] = {}
    for position, subject in enumerate(subjects):
        if subject.oidc is None:
            continue
        issuer = issuers.get(subject.oidc.issuer)
        if issuer is None:
            raise BundleError(f"bundle: subjects[{position}].oidc.issuer: unknown issuer {subject.oidc.issuer!r}")
        for spelling in {issuer.name, issuer.issuer}:
            if found.setdefault((spelling, subject.oidc.subject), subject) is not subject:
                raise BundleError(f"bundle: subjects[{position}].oidc: another subject has the same issuer and subject")
    return found


def _check_references(content: parts.Payload, workflows: frozenset[str]) -> None:
    groups = frozenset(content.groups)
    for position, rule in enumerate(content.rules):
        if rule.then == "approve" and rule.workflow not in workflows:
            raise BundleError(f"bundle: rules[{position}].workflow: unknown workflow {rule.workflow!r}")
        _check_groups(rule.when.groups or (), groups, f"rules[{position}].when.groups")
    for position, connection in enumerate(content.connections):
        for name in ("unanalyzable", "opaque_functions"):
            setting = getattr(connection, name)
            if isinstance(setting, parts.ApproveBy) and setting.approve not in workflows:
                raise BundleError(f"bundle: connections[{position}].{name}: unknown workflow {setting.approve!r}")
    for position, grant in enumerate(content.grants):
        _check_groups(grant.groups, groups, f"grants[{position}].groups")
        for action in grant.actions:
            if action not in ACTIONS:
                raise BundleError(f"bundle: grants[{position}].actions: unknown action {action!r}")
    for position, masking in enumerate(content.masking):
        for clearance in masking.cleared:
            _check_groups(clearance.groups, groups, f"masking[{position}].cleared.groups")
    for position, subject in enumerate(content.subjects):
        _check_groups(subject.groups, groups, f"subjects[{position}].groups")


def _check_groups(names: Iterable[str], known: frozenset[str], path: str) -> None:
    for name in names:
        if name not in known:
            raise BundleError(f"bundle: {path}: unknown group {name!r}")
