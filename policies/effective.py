"""What the policy in force comes to: for one subject on one connection, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from policies.simulation import described
from proxy.policy.bundle import Bundle, Connection, Grant, MaskingRule
from proxy.policy.engine import admits
from proxy.policy.names import NamePattern, parse_pattern
from proxy.policy.obligations import SYSTEM_SCHEMAS
from proxy.policy.payload import Clearance
from proxy.policy.rules import Rule, Situation, may_concern

Column = tuple[str, str, str]  # schema, relation, column


@dataclass(frozen=True)
class Granted:
    """``via``: the subject itself, or a group that it is in. Times are seconds since the epoch."""

    actions: tuple[str, ...]
    via: tuple[str, ...]
    begins: int | None
    until: int | None
    now: bool


@dataclass(frozen=True)
class MaskedFor:
    """A masking rule as it meets the subject: ``cleared`` says by what; ``columns`` are those known now that no earlier rule masks."""

    rule: str
    how: str
    patterns: tuple[str, ...]
    cleared: str
    until: int | None
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Effective:
    refused: str  # why no session would open; empty if one would
    groups: tuple[str, ...]
    grants: tuple[Granted, ...]
    actions: tuple[str, ...]  # granted now
    default: str
    rules: tuple[Rule, ...]
    masking: tuple[MaskedFor, ...]
    limits: tuple[tuple[str, str], ...]


def effective(bundle: Bundle, subject: str, connection: Connection, now: float, columns: tuple[Column, ...]) -> Effective:
    """``columns``: those that the connection's database is known to have; empty where nobody knows."""
    groups = bundle.groups_of(subject)
    grants = tuple(_granted(bundle, subject, groups, connection.name, now))
    situation = Situation(subject, groups, connection.name, "", now, False, False)
    return Effective(
        refused=admits(bundle, subject, connection.name, now),
        groups=tuple(sorted(groups)),
        grants=grants,
        actions=tuple(sorted({action for grant in grants if grant.now for action in grant.actions})),
        default=connection.default,
        rules=tuple(rule for rule in bundle.rules if may_concern(rule, situation)),
        masking=tuple(_masking(bundle, subject, groups, connection.name, now, columns)),
        limits=tuple(_limits(connection)),
    )


def _granted(bundle: Bundle, subject: str, groups: frozenset[str], connection: str, now: float) -> Iterator[Granted]:
    for grant in bundle.grants_on(connection):
        via = _via(grant.subjects, grant.groups, subject, groups)
        if via:
            yield Granted(tuple(sorted(grant.actions)), via, grant.valid_from, grant.until, _is_valid(grant, now))


def _is_valid(grant: Grant, now: float) -> bool:
    return (grant.valid_from is None or grant.valid_from <= now) and (grant.until is None or now < grant.until)


def _via(subjects: tuple[str, ...], named: tuple[str, ...], subject: str, groups: frozenset[str]) -> tuple[str, ...]:
    return (*(["itself"] if subject in subjects else []), *(f"group {group}" for group in sorted(groups & set(named))))


def _masking(
    bundle: Bundle, subject: str, groups: frozenset[str], connection: str, now: float, columns: tuple[Column, ...]
) -> Iterator[MaskedFor]:
    """In the order of the rules: of several that mask a column, the first that the subject is not cleared for does."""
    taken: set[Column] = set()
    for rule in bundle.masking_on(connection):
        clearance = _clearance(rule, subject, groups, now)
        covered = [column for column in columns if column not in taken and covers(rule, column)]
        if clearance is None:
            taken.update(covered)
        cleared = ", ".join(_via(clearance.subjects, clearance.groups, subject, groups)) if clearance else ""
        yield MaskedFor(
            rule=rule.name,
            how=described(rule.mask),
            patterns=tuple(pattern.source for pattern in rule.columns),
            cleared=cleared,
            until=clearance.until if clearance else None,
            columns=tuple(".".join(column) for column in covered),
        )


def _clearance(rule: MaskingRule, subject: str, groups: frozenset[str], now: float) -> Clearance | None:
    """The one in force that lasts longest."""
    found = [one for one in rule.cleared if (one.until is None or now < one.until) and _via(one.subjects, one.groups, subject, groups)]
    return max(found, key=lambda one: float("inf") if one.until is None else one.until, default=None)


def covers(rule: MaskingRule, column: Column) -> bool:
    return _matches(rule.columns, column)


def covered(patterns: Sequence[str], columns: Iterable[Column]) -> list[str]:
    """The names of the columns that a masking rule's patterns match."""
    compiled = tuple(parse_pattern(pattern, parts=3) for pattern in patterns)
    return [".".join(column) for column in columns if _matches(compiled, column)]


def _matches(patterns: tuple[NamePattern, ...], column: Column) -> bool:
    return any(pattern.matches(column) and not (pattern.any_schema and column[0] in SYSTEM_SCHEMAS) for pattern in patterns)


def _limits(connection: Connection) -> Iterator[tuple[str, str]]:
    spoken = (
        ("rows of a result", connection.max_rows, ""),
        ("time of a statement", connection.statement_timeout_ms, " ms"),
        ("sessions on the connection", connection.max_sessions, ""),
        ("sessions of a subject", connection.max_sessions_per_subject, ""),
        ("idle time of a session", connection.idle_timeout, " s"),
    )
    return ((name, f"{value}{unit}") for name, value, unit in spoken if value is not None)


# --- the other way round --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sees:
    """How one subject sees a column: ``rule`` masks it; or it is clear, by ``cleared`` where a rule masks it for others."""

    subject: str
    selects: bool  # whether it may select on the connection at all, as far as grants and the default say
    rule: str
    how: str
    cleared: str
    until: int | None


def who_sees(bundle: Bundle, connection: Connection, column: Column, now: float) -> list[Sees]:
    found = []
    for subject in sorted(bundle.subjects):
        groups = bundle.groups_of(subject)
        masking = list(_masking(bundle, subject, groups, connection.name, now, (column,)))
        masks = next((one for one in masking if one.columns and not one.cleared), None)
        clear = next((one for one in masking if one.columns and one.cleared), None)
        selects = bool(_may(bundle, subject, groups, connection, "select", now))
        if masks:
            found.append(Sees(subject, selects, masks.rule, masks.how, "", None))
        else:
            found.append(Sees(subject, selects, "", "", clear.cleared if clear else "", clear.until if clear else None))
    return found


@dataclass(frozen=True)
class Does:
    """Who may do something, and by what: grants, or the connection's default. Rules may still say otherwise."""

    subject: str
    by: str
    until: int | None


def who_may(bundle: Bundle, connection: Connection, action: str, now: float) -> tuple[list[Does], list[Rule]]:
    """Those who may, and the rules that can speak about the action on the connection."""
    may = []
    for subject in sorted(bundle.subjects):
        by = _may(bundle, subject, bundle.groups_of(subject), connection, action, now)
        if by:
            may.append(by)
    rules = [rule for rule in bundle.rules if _speaks(rule, connection.name, action)]
    return may, rules


def _may(bundle: Bundle, subject: str, groups: frozenset[str], connection: Connection, action: str, now: float) -> Does | None:
    grants = [grant for grant in _granted(bundle, subject, groups, connection.name, now) if grant.now and action in grant.actions]
    if grants:
        longest = max(grants, key=lambda grant: float("inf") if grant.until is None else grant.until)
        return Does(subject, ", ".join(longest.via), longest.until)
    return Does(subject, "the connection's default", None) if connection.default == "allow" else None


def _speaks(rule: Rule, connection: str, action: str) -> bool:
    when = rule.when
    return (when.actions is None or action in when.actions) and (when.connections is None or connection in when.connections)
