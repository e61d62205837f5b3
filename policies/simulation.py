"""What a draft would change: recorded statements decided again, under the policy in force and under the draft.

Both decisions are made now, by the worker's own engine, from what the statement's entry holds. Grants and clearances count as they are
valid now, since that is what the draft is about; ``between`` looks at the time of the entry. What is no longer to be had is left out:
which columns are masked goes by the recorded names, without the lineage of views, the planner's estimate is known only where a rule
had asked for it (otherwise it counts as too many rows), and whether a statement could be rewritten for masks
that it has not met is not known (it counts as possible).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from proxy.policy.bundle import Bundle
from proxy.policy.decision import Allow, Decision, Deny, RequireApproval
from proxy.policy.engine import Question, decide
from proxy.policy.masks import Mask
from proxy.policy.obligations import masks_by_name
from proxy.sql.facts import Analysis, Facts, MaskPlan
from proxy.sql.recorded import analysis_of

CACHED = 50_000  # agents repeat themselves: equal statements are decided once


@dataclass(frozen=True, slots=True)
class Case:
    """One statement as it was asked for; equal cases have equal verdicts."""

    subject: str
    groups: frozenset[str]
    connection: str
    client_ip: str
    clock: int  # seconds, to the minute; 0 where no rule looks at it
    estimated_rows: int | None  # where a rule had asked the planner
    analysis: Analysis


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one policy says to a case. Its reason is words: it makes no difference."""

    kind: str  # allow | approve | deny
    rules: tuple[str, ...]
    workflow: str
    masks: tuple[tuple[str, str], ...]  # (column, how), of a statement that may run
    reason: str = field(compare=False)

    @property
    def basis(self) -> tuple[str, ...]:
        """What to group by: the rules that spoke; else why it may not run."""
        return self.rules or (() if self.kind == "allow" else (self.reason,))


@dataclass(frozen=True, slots=True)
class Difference:
    """Statements of one subject on one connection that the draft treats differently, for the same reason."""

    subject: str
    connection: str
    before: Verdict
    after: Verdict

    @property
    def change(self) -> str:
        if self.before.kind != self.after.kind:
            return f"{self.before.kind} → {self.after.kind}"
        if self.before.masks != self.after.masks:
            return "other masks"
        return "other rules"

    @property
    def masks(self) -> Iterator[tuple[str, str, str]]:
        """(column, how now, how under the draft) of those that are masked differently by statements that may run under both."""
        if "deny" in (self.before.kind, self.after.kind):
            return
        before, after = dict(self.before.masks), dict(self.after.masks)
        for column in sorted(before.keys() | after.keys()):
            if before.get(column) != after.get(column):
                yield column, before.get(column, "not masked"), after.get(column, "not masked")


@dataclass(slots=True)
class Group:
    first: Difference
    example: str  # the first statement of it, normalised: without values
    count: int = 0


class Simulation:
    """Give it entries by :meth:`add`; then read the totals."""

    def __init__(self, current: Bundle, draft: Bundle, now: float) -> None:
        self._current, self._draft, self._now = current, draft, now
        self._clocked = any(rule.hours is not None for bundle in (current, draft) for rule in bundle.rules)
        self._difference = lru_cache(CACHED)(self._compare)
        self._groups: dict[tuple[object, ...], Group] = {}
        self.examined = 0
        self.unreadable = 0  # entries whose fields are not what a worker of ours records
        self.changes: Counter[str] = Counter()

    @property
    def groups(self) -> list[Group]:
        """The largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take a ``statement.intended`` entry into account."""
        self.examined += 1
        try:
            case = self._case(entry)
            found = self._difference(case)
            example = "; ".join(facts.normalised for facts in case.analysis.statements)
        except (TypeError, ValueError, KeyError, AttributeError):  # an entry is what a worker's key has signed, not what ours would record
            self.unreadable += 1
            return
        if found is not None:
            self.changes[found.change] += 1
            key = (found.subject, found.connection, found.change, found.before.basis, found.after.basis, tuple(found.masks))
            self._groups.setdefault(key, Group(found, example)).count += 1

    def _case(self, entry: Mapping[str, Any]) -> Case:
        fields = entry["fields"]
        host = str(fields.get("client", "")).rpartition(":")[0]
        return Case(
            subject=str(fields["subject"]),
            groups=frozenset(fields.get("groups", ())),
            connection=str(fields["connection"]),
            client_ip=host.removeprefix("[").removesuffix("]"),
            clock=entry["time_us"] // 60_000_000 * 60 if self._clocked else 0,
            estimated_rows=fields.get("estimated_rows"),
            analysis=analysis_of(fields),
        )

    def _compare(self, case: Case) -> Difference | None:
        analysis = case.analysis
        # A function that the connection trusts was recorded as harmless; to a draft that trusts fewer it may not be.
        statements = tuple(
            replace(facts, opaque_functions=facts.opaque_functions | self._trusted(case, facts)) for facts in analysis.statements
        )
        case = replace(case, analysis=replace(analysis, statements=statements))
        before, after = self._verdict(self._current, case), self._verdict(self._draft, case)
        return None if before == after else Difference(case.subject, case.connection, before, after)

    def _trusted(self, case: Case, facts: Facts) -> frozenset[str]:
        own = (name for name in facts.functions if not name.startswith("pg_catalog."))
        return frozenset(name for name in own if self._current.trusts(case.connection, name))

    def _verdict(self, bundle: Bundle, case: Case) -> Verdict:
        names = frozenset(case.analysis.plan.masked).union(*[facts.columns for facts in case.analysis.statements])
        masks = masks_by_name(bundle, case.subject, case.connection, names, self._now, case.groups)
        analysis = replace(case.analysis, plan=_plan(bundle, case, masks))
        decision = decide(
            Question(
                bundle, case.subject, case.groups, case.connection, "", analysis, case.client_ip, self._now,
                estimated_rows=case.estimated_rows, clock=case.clock,
            )
        )  # fmt: skip
        return Verdict(
            kind=_KINDS[type(decision)],
            rules=decision.rules,
            workflow=decision.workflow if isinstance(decision, RequireApproval) else "",
            masks=() if isinstance(decision, Deny) else tuple(sorted((name, _described(mask)) for name, mask in masks.items())),
            reason=decision.reason,
        )


_KINDS: Mapping[type[Decision], str] = {Allow: "allow", RequireApproval: "approve", Deny: "deny"}


def _plan(bundle: Bundle, case: Case, masks: Collection[str]) -> MaskPlan:
    """How this policy would mask the statement; where it could not be masked, the reason goes with the masks."""
    recorded = case.analysis.plan
    if recorded.kind == "refuse" and (masks or (not recorded.masked and bundle.masking_on(case.connection))):
        return replace(recorded, masked=tuple(sorted(masks)))
    return MaskPlan("result" if masks else "none", masked=tuple(sorted(masks)))


def _described(mask: Mask) -> str:
    return " ".join(map(str, (mask.method, *mask.arguments, *(("with lookups",) if mask.lookups else ()))))
