"""What would happen to a statement: its facts, decision and masks under some policies. Pure, and never near a target.

The engine and the analysis are the workers' own. What only a session knows (an open transaction, names that an earlier
statement changed) is not asked. Without a catalog names are taken as written, and how a statement is masked is not known:
then the rules that mask columns of what it reads are named.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from policies.simulation import described
from proxy.policy.bundle import Bundle, MaskingRule
from proxy.policy.decision import Allow, Decision, Deny, RequireApproval
from proxy.policy.engine import MaskSet, Question, admits, decide, masks_for, situation_of
from proxy.policy.names import NamePattern
from proxy.policy.obligations import is_cleared
from proxy.policy.rules import CONDITIONS, Situation
from proxy.sql.analysis import analyse
from proxy.sql.catalog import Catalog
from proxy.sql.facts import Analysis, AnalysisRequest, Facts

KINDS: Mapping[type[Decision], str] = {Allow: "allow", RequireApproval: "approve", Deny: "deny"}
_NO_MASKS = MaskSet({}, "", float("inf"))
Rows = dict[str, list[list[str | None]]]


class Trial(msgspec.Struct, frozen=True):
    """What is asked. ``policies``: payloads of bundles; ``rule``: the one whose conditions are looked at, in the last of them."""

    policies: list[str]
    subject: str
    groups: list[str]  # that a token would add
    database: str  # as a client gives it: ``crm``, or ``crm/tenant_7``
    sql: str
    search_path: list[str]
    client_ip: str
    now: float
    rows: Rows | None = None  # of the catalog
    rule: str = ""


class Statement(msgspec.Struct, frozen=True):
    action: str
    actions: list[str]
    reads: list[str]
    writes: list[str]
    columns: list[str]
    functions: list[str]
    opaque_functions: list[str]
    without_where: bool
    normalised: str
    problem: str
    conditions: list[tuple[str, bool]]  # of the rule that is tested: its name, and whether it is met


class Masked(msgspec.Struct, frozen=True):
    column: str
    how: str
    rule: str


class Outcome(msgspec.Struct, frozen=True):
    """What one policy says."""

    kind: str  # allow | approve | deny
    reason: str
    hint: str
    sqlstate: str
    workflow: str
    rules: list[str]
    would: list[str]
    plan: str  # none | result | scan | refuse | unknown
    plan_reason: str
    sent: str  # the statement as it reaches the server; empty where none does
    masked: list[Masked]
    cleared: list[Masked]  # what a rule masks for others
    statements: list[Statement]
    syntax: str
    problem: str
    unknown: list[str]  # relations that are not in the catalog


def try_out(trial: Trial) -> list[Outcome]:
    """One outcome for each policy. Raises BundleError where one cannot be loaded."""
    catalog = None if trial.rows is None else Catalog.load(trial.rows)
    return [_outcome(Bundle.load(payload.encode(), {}), trial, catalog) for payload in trial.policies]


def _outcome(bundle: Bundle, trial: Trial, catalog: Catalog | None) -> Outcome:
    found = bundle.connection_for(trial.database)
    name, database = (found[0].name, found[1]) if found else (trial.database, "")
    groups = frozenset(trial.groups)
    masks = masks_for(bundle, trial.subject, name, catalog, trial.now, groups) if found and catalog else _NO_MASKS
    analysis = analyse(_request(bundle, name, trial, catalog, masks), catalog)
    question = Question(bundle, trial.subject, groups, name, database, analysis, trial.client_ip, trial.now)
    decision = _refused_session(bundle, trial, name, groups, known=found is not None) or decide(question)
    situation = situation_of(question)
    return Outcome(
        kind=KINDS[type(decision)],
        reason=decision.reason,
        hint=decision.hint if isinstance(decision, Deny) else "",
        sqlstate=decision.sqlstate if isinstance(decision, Deny) else "",
        workflow=decision.workflow if isinstance(decision, RequireApproval) else "",
        rules=list(decision.rules),
        would=list(decision.would),
        plan=analysis.plan.kind if catalog else "unknown",
        plan_reason=analysis.plan.reason,
        sent="" if isinstance(decision, Deny) else analysis.plan.sql or trial.sql,
        masked=_masked(catalog, masks, analysis) if catalog else _named(bundle, trial, name, situation, analysis),
        cleared=_cleared(bundle, trial, name, situation, analysis),
        statements=[_statement(facts, bundle, trial.rule, situation) for facts in analysis.statements],
        syntax=analysis.syntax.message if analysis.syntax else "",
        problem=analysis.problem,
        unknown=sorted(analysis.unknown_relations) if catalog else [],
    )


def _request(bundle: Bundle, name: str, trial: Trial, catalog: Catalog | None, masks: MaskSet) -> AnalysisRequest:
    connection = bundle.connection(name)
    return AnalysisRequest(
        sql=trial.sql,
        catalog_digest=catalog.digest if catalog else "",
        search_path=_path(trial, catalog),
        masks=masks.by_column,
        mask_digest=masks.digest,
        trusted_functions=frozenset(connection.trusted_functions if connection else ()),
        derived_use=connection.derived_use if connection else "scan",
    )


def _path(trial: Trial, catalog: Catalog | None) -> tuple[str, ...]:
    """As ``current_schemas(true)`` says it: those that exist, pg_catalog in front."""
    named = [schema for schema in trial.search_path if catalog is None or schema in catalog.schemas]
    return tuple(named) if "pg_catalog" in named else ("pg_catalog", *named)


def _refused_session(bundle: Bundle, trial: Trial, name: str, groups: frozenset[str], *, known: bool) -> Deny | None:
    if not known and bundle.connection(trial.database.partition("/")[0]):
        return Deny(f'connection "{trial.database.partition("/")[0]}" does not offer this database')
    reason = admits(bundle, trial.subject, name, trial.now, groups)
    return Deny(f"no session would open: {reason}", sqlstate="28000") if reason else None


def _masked(catalog: Catalog, masks: MaskSet, analysis: Analysis) -> list[Masked]:
    """A column without a mask of its own holds what others hold: a view's, or one that refers to them."""
    by_name = {}
    for relation in catalog.relations.values():
        for column in relation.columns:
            if (mask := masks.by_column.get((relation.oid, column.attnum))) is not None:
                by_name[f"{relation.full_name}.{column.name}"] = Masked(f"{relation.full_name}.{column.name}", described(mask), mask.rule)
    return [by_name.get(name) or Masked(name, "as the column that its values come from", "") for name in analysis.plan.masked]


def _named(bundle: Bundle, trial: Trial, name: str, situation: Situation, analysis: Analysis) -> list[Masked]:
    """By pattern: what rules mask of the relations that a statement names."""
    touched = {tuple(relation.split(".")) for facts in analysis.statements for relation in facts.reads | facts.writes}
    rules = [rule for rule in bundle.masking_on(name) if not is_cleared(rule, trial.subject, situation.groups, trial.now)]
    return [
        Masked(pattern.source, described(rule.mask), rule.mask.rule)
        for rule in rules
        for pattern in rule.columns
        if any(_could_be(relation, pattern) for relation in touched)
    ]


def _could_be(relation: tuple[str, ...], pattern: NamePattern) -> bool:
    given = pattern.parts[: len(pattern.parts) - 1][-len(relation) :]
    return len(relation) == len(given) and all(part.fullmatch(name) for part, name in zip(given, relation, strict=True))


def _cleared(bundle: Bundle, trial: Trial, name: str, situation: Situation, analysis: Analysis) -> list[Masked]:
    rules = [rule for rule in bundle.masking_on(name) if is_cleared(rule, trial.subject, situation.groups, trial.now)]
    columns = sorted(frozenset().union(*[facts.columns for facts in analysis.statements]) - set(analysis.plan.masked))
    return [Masked(column, described(rule.mask), rule.mask.rule) for column in columns for rule in rules if _covers(rule, column)]


def _covers(rule: MaskingRule, column: str) -> bool:
    return any(pattern.matches_fact(column, certain=False) for pattern in rule.columns)


def _statement(facts: Facts, bundle: Bundle, tested: str, situation: Situation) -> Statement:
    rule = next((rule for rule in bundle.rules if rule.name == tested), None)
    names = {condition: name for name, condition in CONDITIONS.items()}
    return Statement(
        action=facts.action,
        actions=sorted(facts.actions),
        reads=sorted(facts.reads),
        writes=sorted(facts.writes),
        columns=sorted(facts.columns),
        functions=sorted(facts.functions),
        opaque_functions=sorted(facts.opaque_functions),
        without_where=facts.without_where,
        normalised=facts.normalised,
        problem=facts.problem,
        conditions=[(names[condition], condition(rule, situation, facts)) for condition in rule.conditions] if rule else [],
    )
