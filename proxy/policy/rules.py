"""Statement rules: conditions as data, and one pure function per condition.

A rule speaks about a statement when all its conditions are met. What "met" means depends on what the rule does:

* a rule that denies or asks for approval is met if *anything* in the statement fits, or could fit (an unresolved name,
  an unknown client address, an estimate that nobody has): not knowing must not let a statement through;
* a rule that allows is met only if *everything* in the statement certainly fits.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import re2  # type: ignore[import-untyped]  # ships no stubs

from proxy.policy import payload
from proxy.policy.names import NamePattern, parse_pattern
from proxy.sql.facts import ACTIONS, Facts

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


Condition = Callable[["Rule", "Situation", Facts], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A statement rule with its patterns, networks and expression compiled."""

    name: str
    then: str  # deny | approve | allow
    workflow: str
    message: str
    shadow: bool
    when: payload.When
    conditions: tuple[Condition, ...]  # those that the rule gives, cheap ones first
    relations: tuple[NamePattern, ...]
    columns: tuple[NamePattern, ...]
    functions: tuple[NamePattern, ...]
    networks: tuple[Network, ...]
    not_networks: tuple[Network, ...]
    matches: Any  # a compiled RE2 expression, or None
    hours: tuple[time, time, ZoneInfo] | None

    @property
    def certain(self) -> bool:
        """Whether the rule may speak only where all is known: it gives something."""
        return self.then == "allow"


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything about a statement that is not in its facts."""

    subject: str
    groups: frozenset[str]
    connection: str
    client_ip: str
    now: float
    touches_masked: bool
    multiple_statements: bool
    estimated_rows: int | None = None  # the planner's; None: it was not asked, or could not say


def compile_rule(rule: payload.Rule) -> Rule:
    """Compile a rule of the bundle. Raises ValueError saying what is wrong."""
    when = rule.when
    for action in when.actions or ():
        if action not in ACTIONS:
            raise ValueError(f"when.actions: unknown action {action!r}")
    # A function name without a schema means any schema where it forbids, and only PostgreSQL's own where it allows:
    # else an agent could give its own function the trusted name.
    function_schema = "pg_catalog" if rule.then == "allow" else "*"
    return Rule(
        name=rule.name,
        then=rule.then,
        workflow=rule.workflow or "",
        message=rule.message or "",
        shadow=rule.shadow,
        when=when,
        conditions=tuple(condition for name, condition in CONDITIONS.items() if getattr(when, name) is not None),
        relations=tuple(parse_pattern(text, parts=2, default_schema="*") for text in when.relations or ()),
        columns=tuple(parse_pattern(text, parts=3) for text in when.columns or ()),
        functions=tuple(parse_pattern(text, parts=2, default_schema=function_schema) for text in when.functions or ()),
        networks=_networks(when.client_from, "when.from"),
        not_networks=_networks(when.client_not_from, "when.not_from"),
        matches=None if when.matches is None else _expression(when.matches),
        hours=None if when.between is None else _hours(when.between),
    )


def applies(rule: Rule, situation: Situation, facts: Facts) -> bool:
    """Whether the rule speaks about this statement."""
    for condition in rule.conditions:  # noqa: SIM110  # faster than all() over a generator; runs for every statement and rule
        if not condition(rule, situation, facts):
            return False
    return True


def may_concern(rule: Rule, situation: Situation) -> bool:
    """Whether the rule can speak about any statement of this subject on this connection."""
    whom = (by_subject, by_group, by_connection)
    return all(condition(rule, situation, NOTHING) for condition in rule.conditions if condition in whom)


# The conditions are only asked where the rule gives them, so that none of these sees None.


def by_subject(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return situation.subject in (rule.when.subjects or ())


def by_group(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return not situation.groups.isdisjoint(rule.when.groups or ())


def by_connection(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return situation.connection in (rule.when.connections or ())


def by_action(rule: Rule, situation: Situation, facts: Facts) -> bool:
    named = rule.when.actions or ()
    return bool(facts.actions) and facts.actions.issubset(named) if rule.certain else not facts.actions.isdisjoint(named)


def by_relation(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return _fits(rule.relations, facts.reads | facts.writes, certain=rule.certain)


def by_column(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return _fits(rule.columns, facts.columns, certain=rule.certain)


def by_function(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return _fits(rule.functions, facts.functions | facts.opaque_functions, certain=rule.certain)


def by_missing_where(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return rule.when.without_where == facts.without_where


def by_text(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return rule.matches.search(facts.normalised) is not None


def by_network(rule: Rule, situation: Situation, facts: Facts) -> bool:
    address = parse_address(situation.client_ip)
    return not rule.certain if address is None else _inside(address, rule.networks)


def by_other_network(rule: Rule, situation: Situation, facts: Facts) -> bool:
    address = parse_address(situation.client_ip)
    return not rule.certain if address is None else not _inside(address, rule.not_networks)


def by_estimate(rule: Rule, situation: Situation, facts: Facts) -> bool:
    rows = situation.estimated_rows
    if rows is None and _touches_no_rows(facts):
        rows = 0
    assert rule.when.estimated_rows is not None
    return not rule.certain if rows is None else rows > rule.when.estimated_rows.over


def _touches_no_rows(facts: Facts) -> bool:
    """Whether the planner need not be asked: BEGIN, SET, LISTEN, FETCH (its cursor was decided), PREPARE (each EXECUTE will be)."""
    if facts.planned or facts.opaque_functions or facts.problem:
        return False
    return facts.action == "prepare" or (facts.action in _ROWLESS and not (facts.reads or facts.writes))


_ROWLESS = frozenset({"set", "transaction", "listen", "cursor", "create", "alter", "grant"})


def by_masked(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return rule.when.touches_masked == situation.touches_masked


def by_count(rule: Rule, situation: Situation, facts: Facts) -> bool:
    return rule.when.multiple_statements == situation.multiple_statements


def by_clock(rule: Rule, situation: Situation, facts: Facts) -> bool:
    assert rule.hours is not None
    start, end, zone = rule.hours
    clock = datetime.fromtimestamp(situation.now, UTC).astimezone(zone).time()
    return start <= clock < end if start < end else clock >= start or clock < end


CONDITIONS: Mapping[str, Condition] = {
    "actions": by_action,
    "subjects": by_subject,
    "groups": by_group,
    "connections": by_connection,
    "without_where": by_missing_where,
    "touches_masked": by_masked,
    "multiple_statements": by_count,
    "estimated_rows": by_estimate,
    "client_from": by_network,
    "client_not_from": by_other_network,
    "between": by_clock,
    "relations": by_relation,
    "functions": by_function,
    "columns": by_column,
    "matches": by_text,
}

NOTHING = Facts(action="unanalyzable", actions=frozenset({"unanalyzable"}))


def parse_address(text: str) -> Address | None:
    """The client's address, an IPv4 address mapped into IPv6 as IPv4; None where it is unknown."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _fits(patterns: tuple[NamePattern, ...], names: Iterable[str], *, certain: bool) -> bool:
    hits = [any(pattern.matches_fact(name, certain=certain) for pattern in patterns) for name in names]
    return bool(hits) and all(hits) if certain else any(hits)


def _inside(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _networks(texts: tuple[str, ...] | None, path: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text) for text in texts or ())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _expression(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise ValueError(f"when.matches: not an RE2 expression: {said.decode() if isinstance(said, bytes) else said}") from None


def _hours(between: payload.Between) -> tuple[time, time, ZoneInfo]:
    if between.start == between.end:
        raise ValueError("when.between: from and to are the same minute")
    try:
        zone = ZoneInfo(between.tz)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"when.between.tz: unknown time zone {between.tz!r}") from None
    return time.fromisoformat(between.start), time.fromisoformat(between.end), zone
