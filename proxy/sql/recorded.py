"""An analysis as the fields of ``statement.intended``, and back, so that a decision can be made again from its entry alone.

What an entry says of its text as a whole (``actions``, ``relations``, ``columns``, ``functions``, ``normalised``) is what people search
for. ``statements`` adds what the engine asks of each statement beyond that; where a text holds one, that is next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.sql.facts import Analysis, Facts, MaskPlan, SyntaxProblem


def fields_of(analysis: Analysis) -> dict[str, object]:
    """Public fields only: names and normalised text, no value of the statement. PostgreSQL's words on a syntax error quote it."""
    statements = analysis.statements
    said: dict[str, object] = {
        "actions": actions(analysis),
        "relations": relations(analysis),
        "columns": sorted(set().union(*[f.columns for f in statements])),
        "functions": sorted(set().union(*[f.functions for f in statements])),
        "normalised": "; ".join([f.normalised for f in statements]),
        "statements": [_alone(statements[0])] if len(statements) == 1 else [_with_all(facts) for facts in statements],
        "plan": analysis.plan.kind,
        "masked": list(analysis.plan.masked),
    }
    # What is seldom there is left out otherwise: every field of an entry costs time before each statement.
    if analysis.problem:
        said["problem"] = analysis.problem
    if analysis.syntax is not None:
        said["syntax_error"] = True
    if analysis.plan.reason:
        said["plan_reason"] = analysis.plan.reason
    return said


def actions(analysis: Analysis) -> list[str]:
    return sorted(set().union(*[f.actions for f in analysis.statements]))


def relations(analysis: Analysis) -> list[str]:
    return sorted(set().union(*[f.reads | f.writes for f in analysis.statements]))


def analysis_of(fields: Mapping[str, Any]) -> Analysis:
    """What :func:`fields_of` was given, as far as the engine asks for it.

    Entries made before there was ``statements`` count as one statement that has a WHERE and calls nothing opaque.
    """
    earlier = [{"action": action} for action in fields.get("actions", ())[:1]]
    return Analysis(
        statements=tuple(_facts({**fields, "problem": "", **said}) for said in fields.get("statements", earlier)),
        plan=MaskPlan(fields.get("plan", "none"), masked=tuple(fields.get("masked", ())), reason=fields.get("plan_reason", "")),
        syntax=SyntaxProblem("", 0) if fields.get("syntax_error") else None,
        problem=fields.get("problem", ""),
    )


def _alone(facts: Facts) -> dict[str, object]:
    said: dict[str, object] = {"action": facts.action}
    if facts.writes:
        said["writes"] = sorted(facts.writes)
    if facts.opaque_functions:
        said["opaque_functions"] = sorted(facts.opaque_functions)
    if facts.without_where:
        said["without_where"] = True
    if facts.problem:
        said["problem"] = facts.problem
    return said


def _with_all(facts: Facts) -> dict[str, object]:
    return _alone(facts) | {
        "actions": sorted(facts.actions),
        "relations": sorted(facts.reads | facts.writes),
        "columns": sorted(facts.columns),
        "functions": sorted(facts.functions),
        "normalised": facts.normalised,
    }


def _facts(said: Mapping[str, Any]) -> Facts:
    writes = frozenset(said.get("writes", ()))
    return Facts(
        action=said["action"],
        actions=frozenset(said.get("actions", ())),
        reads=frozenset(said.get("relations", ())) - writes,
        writes=writes,
        columns=frozenset(said.get("columns", ())),
        functions=frozenset(said.get("functions", ())),
        opaque_functions=frozenset(said.get("opaque_functions", ())),
        without_where=said.get("without_where", False),
        normalised=said.get("normalised", ""),
        problem=said["problem"],
    )
