"""How many rows a statement is expected to return or change: asked of the target's planner where a rule wants to know.

EXPLAIN without ANALYZE runs nothing, and it plans the very text that would be sent, with the parameters of its Bind. What
calls functions that cannot be read is not asked about, since planning runs some of them: their rows are unknown anyway.

If the target refuses to plan a statement it would refuse to run it, with the same error. So the client gets that, and a
transaction that it had open has failed, as it would have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxy import errors
from proxy.errors import Refusal
from proxy.policy.decision import Decision, Deny
from proxy.session import gate, records, transform
from proxy.session.gate import Prospect, sanitises
from proxy.session.questions import Question
from proxy.wire.backend import ErrorFields
from proxy.wire.frontend import Cut

if TYPE_CHECKING:
    from proxy.session.relay import Relay

EXPLAIN = "EXPLAIN (FORMAT JSON) "
_MOST = 2**53 - 1  # the largest number that every reader of an entry's JSON understands


def decide(relay: Relay, prospect: Prospect) -> Decision:
    """The decision with what is known now. What is denied in any case is not denied for its unknown number of rows."""
    decision = relay.decide(prospect)
    if isinstance(decision, Deny) and prospect.estimated_rows is None and prospect.context.estimates:
        best = at_best(relay, prospect)
        return best if isinstance(best, Deny) else decision
    return decision


def at_best(relay: Relay, prospect: Prospect) -> Decision:
    """The decision while the estimate is not known yet: a denial only if no estimate could change it."""
    decisions = _possible(relay, prospect)
    return next((decision for decision in decisions if not isinstance(decision, Deny)), decisions[0])


def when_estimated(relay: Relay, prospect: Prospect, then: Callable[[], None]) -> None:
    """Call ``then``, now or later, with ``prospect.estimated_rows`` filled in if the decision depends on it."""
    portal = prospect.portal
    if portal is not None and portal.estimated_rows is not None:
        prospect.estimated_rows = portal.estimated_rows  # a portal is planned once
    asked = question(relay, prospect, EXPLAIN) if prospect.estimated_rows is None and _matters(relay, prospect) else None
    if asked is None:
        then()
        return

    def answered() -> None:
        if asked.error is not None:
            _failed(relay, prospect, asked.error)
            return
        prospect.estimated_rows = rows_of(asked.cell or b"")
        if portal is not None:
            portal.estimated_rows = prospect.estimated_rows
        if refusal := _overtaken(relay, prospect):
            relay.deny(prospect, Deny(refusal.message, refusal.hint, sqlstate=refusal.sqlstate), refusal)
        else:
            then()

    relay.ask(asked, answered)


def _possible(relay: Relay, prospect: Prospect) -> list[Decision]:
    """The decisions to which estimates can lead; just one where the policy asks for none."""
    given = prospect.context.estimates or (None,)
    return [relay.decide(replace(prospect, estimated_rows=rows)) for rows in given]


def _matters(relay: Relay, prospect: Prospect) -> bool:
    if not prospect.context.estimates:
        return False
    decisions = _possible(relay, prospect)
    # What is denied in any case need not be planned: nothing of it reaches the target.
    return any(not isinstance(one, Deny) for one in decisions) and any(one != decisions[0] for one in decisions)


def question(relay: Relay, prospect: Prospect, explain: str) -> Question | None:
    """An EXPLAIN of the statement as it would be sent; None: the planner cannot be asked about it, here."""
    analysis, portal = prospect.analysis, prospect.portal
    if len(analysis.statements) != 1 or not analysis.statements[0].planned or analysis.statements[0].start or relay.pending.copying_in:
        return None
    text = analysis.planned or gate.forwarded_text(analysis, prospect.text)
    sql = relay.gate.encode(explain + text)
    if portal is None:
        return Question(sql)
    values = portal.bind.values
    if any(isinstance(value, Cut) for value in values) or (values and analysis.statements[0].runs_prepared):
        return None  # only the beginning of a long one was kept; and EXPLAIN takes no parameters for EXECUTE
    return Question(sql, portal.prepared.declared, portal.bind.formats, values)


def _overtaken(relay: Relay, prospect: Prospect) -> Refusal | None:
    """The planner may have waited for a lock: is the statement still what was examined, and may the subject still be here?"""
    if relay.cancelled:
        relay.cancelled = False
        return errors.cancelled()
    context = relay.gate.context()
    if context.key != prospect.context.key:
        return errors.undecidable("what the statement means changed while it was planned", hint="Run it again.")
    prospect.context = context
    return relay.standing()


def _failed(relay: Relay, prospect: Prospect, error: ErrorFields) -> None:
    """The target has refused the statement: its answer is the client's, as far as errors of this statement may be shown."""
    if relay.sanitising or sanitises(prospect):
        error = transform.sanitise(error)
    elif prospect.analysis.plan.kind == "scan":
        error = transform.without_position(error)
    else:
        error = _repositioned(error)
    relay.intend(prospect, Deny("the target refused to plan it", sqlstate=error.sqlstate))
    fields = records.completed(relay.state, prospect.statement, "error", sqlstate=error.sqlstate)
    relay.outbox.record("statement.completed", fields)
    relay.cancelled = False
    relay.has_failed(error.encode(b"E"), simple=prospect.protocol == "simple")


def _repositioned(error: ErrorFields) -> ErrorFields:
    """Positions count from the beginning of the client's own text."""
    position = error.fields.get("P", b"")
    if not position.isdigit() or int(position) <= len(EXPLAIN):
        return transform.without_position(error)
    return ErrorFields({**error.fields, "P": b"%d" % (int(position) - len(EXPLAIN))})


def rows_of(answer: bytes) -> int | None:
    """What an EXPLAIN (FORMAT JSON) says: the larger of the rows that are returned and that are changed; None where it has no plan."""
    try:
        plans = json.loads(answer.decode("latin-1"))  # no name in it matters, and in every encoding JSON's own characters are ASCII
        if not plans or not all(isinstance(one, dict) and isinstance(one.get("Plan"), dict) for one in plans):
            return None
        # A rule may make several statements of one.
        returned = max(int(one["Plan"].get("Plan Rows", 0)) for one in plans)
        changed = sum(_changed(one["Plan"]) for one in plans)
    except (ValueError, TypeError, RecursionError):
        return None
    return min(max(returned, changed), _MOST)


def _changed(top: Mapping[str, Any]) -> int:
    """Rows that come into every ModifyTable of a plan, WITH and partitions included."""
    rows, left = 0, [top]
    while left:
        node = left.pop()
        below = node.get("Plans", ())
        left += below
        if node.get("Node Type") == "ModifyTable":
            # What feeds it; up to PostgreSQL 13 there is one such plan ("Member") for each partition.
            rows += sum(int(one["Plan Rows"]) for one in below if one.get("Parent Relationship") in ("Outer", "Member"))
    return rows
