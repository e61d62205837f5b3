"""The decision on one query text: deny wins over approval, approval over allow, and where nothing speaks, no.

For each statement of the text, in this order:

1. a rule that denies; the connection's ``unanalyzable`` and ``opaque_functions`` settings count as such where they say so;
2. masked columns that cannot be kept from the client (the analysis says ``refuse``);
3. a rule or setting that asks for approval: the first one's workflow, so the stricter rule belongs further up;
4. a rule that allows;
5. grants: all those of the subject that are valid now, together, must cover every action of the statement;
6. the connection's default.

A text of several statements is decided as a whole: one denied statement denies it, one that needs approval holds it.
The settings only take an objection away: a statement that calls an opaque function still needs the action ``function``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from proxy.policy.bundle import Bundle, Connection, Grant
from proxy.policy.decision import Allow, Decision, Deny, RequireApproval
from proxy.policy.obligations import MaskSet, is_cleared, masks_for
from proxy.policy.payload import ApproveBy, Setting
from proxy.policy.rules import Rule, Situation, applies, may_concern
from proxy.sql.facts import Analysis, Facts

__all__ = ["MaskSet", "Question", "admits", "decide", "masks_for", "stable_until"]

_KEPT = frozenset({"prepare", "cursor"})  # statements that the server keeps, to be run later
PLANS = frozenset({"none", "result", "scan"})  # the mask plans that can be carried out; any other word means no


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: may this subject run this text on this connection now?"""

    bundle: Bundle
    subject: str  # names, looked up here: whoever is no longer in the policy is refused
    groups: frozenset[str]  # that a token adds to the subject's own
    connection: str
    database: str
    analysis: Analysis
    client_ip: str
    now: float  # seconds since the epoch
    in_transaction: bool = False
    estimated_rows: int | None = None  # by the planner; what is not known counts as too many
    clock: float | None = None  # what ``between`` looks at, where that is another moment than ``now``


def admits(bundle: Bundle, subject: str, connection: str, now: float, groups: frozenset[str] = frozenset()) -> str:
    """Whether a session may open: "" or one line that says why not. ``groups``: those that a token adds."""
    known = bundle.connection(connection)
    if known is None:
        return f'connection "{connection}" does not exist'
    who = bundle.subject(subject)
    if who is None:
        return f'subject "{subject}" is not in the policy'
    if known.default == "allow":
        return ""
    member = bundle.groups_of(subject, groups)
    if any(_is_valid(grant, now) for grant in _grants_for(bundle, subject, member, connection)):
        return ""
    situation = Situation(subject, member, connection, "", now, False, False)
    if any(rule.then != "deny" and may_concern(rule, situation) for rule in bundle.enforced):
        return ""
    return f'subject "{subject}" has no grant on connection "{connection}" that is valid now'


def decide(question: Question) -> Decision:
    """Decide on the text as a whole. Pure; never raises for anything that the analysis can hold."""
    connection = question.bundle.connection(question.connection)
    if connection is None:
        return Deny(f'connection "{question.connection}" is no longer in the policy')
    if question.bundle.subject(question.subject) is None:
        return Deny(f'subject "{question.subject}" is no longer in the policy')
    analysis = question.analysis
    case = _Case(question, connection, _situation(question))
    if analysis.syntax is not None and (connection.unanalyzable != "allow" or _masks_apply(case)):
        return Deny("syntax error", sqlstate="42601")
    statements = analysis.statements
    if analysis.problem or analysis.syntax is not None or any(_is_unanalyzable(facts) for facts in statements):
        statements = (*(facts for facts in statements if not _is_unanalyzable(facts)), _unanalyzable(analysis))
    if not statements:
        return Allow("empty query")
    decisions = [_decide_one(case, facts) for facts in statements]
    decision = _combine([*decisions, *_plan(analysis)], _would(case, statements))
    if isinstance(decision, RequireApproval) and any(not _KEPT.isdisjoint(facts.actions) for facts in statements):
        reason = "what needs approval cannot be prepared or declared in SQL, since it could then run more than once"
        return Deny(f"{decision.reason}; {reason}", "Send the statement itself.", decision.rules, decision.would, "TG003")
    return decision


def estimates(bundle: Bundle, connection: str) -> tuple[int, ...]:
    """Estimates of which at least one stands for any that there can be: between them no rule on this connection changes its mind."""
    limits = {
        rule.when.estimated_rows.over + 1
        for rule in bundle.rules
        if rule.when.estimated_rows is not None and (rule.when.connections is None or connection in rule.when.connections)
    }
    return (0, *sorted(limits)) if limits else ()


def stable_until(bundle: Bundle, connection: str, now: float) -> float:
    """When time alone may next change a decision, admission or mask on this connection (seconds; ``inf``: never).

    Until then equal questions have equal answers (the estimate is part of one), so a caller may keep them as long as the bundle.
    """
    following = [moment for moment in bundle.moments_on(connection) if moment > now]
    hours = any(rule.hours is not None for rule in bundle.rules)
    return min([*following, (now // 60 + 1) * 60] if hours else following, default=math.inf)


@dataclass(frozen=True, slots=True)
class _Case:
    question: Question
    connection: Connection
    situation: Situation


def _situation(question: Question) -> Situation:
    analysis = question.analysis
    return Situation(
        subject=question.subject,
        groups=question.bundle.groups_of(question.subject, question.groups),
        connection=question.connection,
        client_ip=question.client_ip,
        now=question.now if question.clock is None else question.clock,
        touches_masked=bool(analysis.plan.masked),
        multiple_statements=len(analysis.statements) > 1,
        estimated_rows=question.estimated_rows,
    )


def _decide_one(case: _Case, facts: Facts) -> Decision:
    matching = [rule for rule in case.question.bundle.enforced if applies(rule, case.situation, facts)]
    names = tuple(rule.name for rule in matching)
    for rule in matching:
        if rule.then == "deny":
            return Deny(_reason(case, rule, facts), _hint(case, rule), names)
    held = [_approval(case, rule.workflow, _reason(case, rule, facts), names) for rule in matching if rule.then == "approve"]
    settings = _settings(case, facts)
    for decision in (*settings, *held):
        if isinstance(decision, Deny):
            return decision
    for decision in (*held, *settings):
        return decision
    for rule in matching:
        if rule.then == "allow":
            return Allow(_reason(case, rule, facts), names)
    return _by_grant(case, facts)


def _plan(analysis: Analysis) -> list[Decision]:
    if analysis.plan.kind in PLANS:
        return []
    reason = analysis.plan.reason or "masked columns cannot be kept out of this statement's result"
    return [Deny(reason, "Leave the masked columns out, or ask for clearance.", sqlstate="TG003")]


def _settings(case: _Case, facts: Facts) -> list[Decision]:
    """What the connection's settings say about what cannot be known."""
    found: list[Decision] = []
    name = case.connection.name
    if _is_unanalyzable(facts):
        found += _setting(case, "unanalyzable", case.connection.unanalyzable, f"the statement cannot be analysed: {facts.problem}", "TG003")
        if case.connection.unanalyzable != "deny" and _masks_apply(case):
            # Not even an approver can say what it would show.
            why = f'the statement cannot be analysed and connection "{name}" has masking rules: {facts.problem}'
            found.append(Deny(why, "Write it as plain SQL.", sqlstate="TG003"))
    opaque = sorted(function for function in facts.opaque_functions if not case.question.bundle.trusts(name, function))
    if opaque:
        why = f"the effect of function {', '.join(opaque)} cannot be known"
        found += _setting(case, "opaque_functions", case.connection.opaque_functions, why, "42501")
    return found


def _setting(case: _Case, name: str, setting: Setting, why: str, sqlstate: str) -> list[Decision]:
    if setting == "allow":
        return []
    if isinstance(setting, ApproveBy):
        return [_approval(case, setting.approve, why, ())]
    hint = "trusted_functions of the connection may name it." if name == "opaque_functions" else "Write it as plain SQL."
    return [Deny(f'{why}, and connection "{case.connection.name}" denies that', hint, sqlstate=sqlstate)]


def _approval(case: _Case, workflow: str, reason: str, rules: tuple[str, ...]) -> Decision:
    found = case.question.bundle.workflow(workflow)
    if found is None or not found.has_approvers:
        return Deny(f'{reason}; workflow "{workflow}" has no approver who could say yes', _granted(case), rules)
    return RequireApproval(workflow, reason, rules)


def _by_grant(case: _Case, facts: Facts) -> Decision:
    question = case.question
    subject, connection = question.subject, case.connection
    grants = [
        grant for grant in _grants_for(question.bundle, subject, case.situation.groups, connection.name) if _is_valid(grant, question.now)
    ]
    missing = facts.actions - {action for grant in grants for action in grant.actions}
    if facts.actions and not missing:
        return Allow(f'granted to "{subject}" on connection "{connection.name}"')
    if connection.default == "allow":
        return Allow(f'default of connection "{connection.name}"')
    what = ", ".join(sorted(missing)) or "this statement"
    return Deny(f'subject "{subject}" has no grant for {what} on connection "{connection.name}"{_about(facts)}', _granted(case))


def _combine(decisions: Iterable[Decision], would: tuple[str, ...]) -> Decision:
    """The strictest of them, with the names of all rules that spoke."""
    found = list(decisions)
    if len(found) == 1 and not would:
        return found[0]
    names = tuple(dict.fromkeys(name for decision in found for name in decision.rules))
    for kind in (Deny, RequireApproval, Allow):
        for decision in found:
            if isinstance(decision, kind):
                return replace(decision, rules=names, would=would)
    return Deny("nothing was decided", sqlstate="TG003")


def _would(case: _Case, statements: tuple[Facts, ...]) -> tuple[str, ...]:
    """What shadow rules would have done: ``deny: NAME``."""
    return tuple(
        f"would {rule.then}: {rule.name}"
        for rule in case.question.bundle.shadow
        if any(applies(rule, case.situation, facts) for facts in statements)
    )


def _grants_for(bundle: Bundle, subject: str, groups: frozenset[str], connection: str) -> list[Grant]:
    return [grant for grant in bundle.grants_on(connection) if subject in grant.subjects or not groups.isdisjoint(grant.groups)]


def _is_valid(grant: Grant, now: float) -> bool:
    return (grant.valid_from is None or grant.valid_from <= now) and (grant.until is None or now < grant.until)


def _masks_apply(case: _Case) -> bool:
    rules = case.question.bundle.masking_on(case.connection.name)
    return any(not is_cleared(rule, case.question.subject, case.situation.groups, case.question.now) for rule in rules)


def _is_unanalyzable(facts: Facts) -> bool:
    return bool(facts.problem) or facts.action == "unanalyzable" or not facts.actions


def _unanalyzable(analysis: Analysis) -> Facts:
    syntax = "syntax error" if analysis.syntax is not None else ""  # the server's words would quote the statement
    problems = [analysis.problem, syntax, *(facts.problem for facts in analysis.statements if _is_unanalyzable(facts))]
    problem = "; ".join(dict.fromkeys(filter(None, problems))) or "its kind is not known"
    return Facts(action="unanalyzable", actions=frozenset({"unanalyzable"}), problem=problem)


def _reason(case: _Case, rule: Rule, facts: Facts) -> str:
    verb = {"deny": "denies", "approve": "asks for approval of", "allow": "allows"}[rule.then]
    said = f": {rule.message}" if rule.message else ""
    return f'rule "{rule.name}" {verb} {facts.action}{_about(facts)}{_expected(case, rule)}{said}'


def _expected(case: _Case, rule: Rule) -> str:
    if rule.when.estimated_rows is None:
        return ""
    rows, limit = case.situation.estimated_rows, rule.when.estimated_rows.over
    return " with an unknown number of rows" if rows is None else f" with about {rows} rows expected (more than {limit})"


def _about(facts: Facts) -> str:
    names = sorted(facts.writes) or sorted(facts.reads)
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f" on {', '.join(names[:3])}{more}"


def _hint(case: _Case, rule: Rule) -> str:
    when = rule.when
    if when.without_where:
        return "A WHERE clause takes the statement out of this rule."
    if when.estimated_rows is not None:
        return f"Statements of at most {when.estimated_rows.over} expected rows are outside of this rule."
    if when.client_from is not None or when.client_not_from is not None:
        return "The rule depends on the network that the client comes from."
    if when.between is not None:
        return f"The rule applies from {when.between.start} to {when.between.end} ({when.between.tz})."
    if when.multiple_statements:
        return "Send the statements one by one."
    return _granted(case)


def _granted(case: _Case) -> str:
    question = case.question
    grants = _grants_for(question.bundle, question.subject, case.situation.groups, case.connection.name)
    actions = sorted({action for grant in grants if _is_valid(grant, question.now) for action in grant.actions})
    return f"Granted on this connection: {', '.join(actions)}." if actions else "Nothing is granted on this connection."
