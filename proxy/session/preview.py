"""What an approver is shown of a statement's effect (docs/contracts.md §4), asked of the target without running it.

It is asked in a read-only transaction of the gateway's own, or, where the client has one open, behind a savepoint and given
back, so that no question can fail what the client has done, nor change anything or keep a lock. Waiting for locks and counting
have short limits. Messages of the client's batch that were sent before are answered first; the batch is then ended at the
server, which costs nothing but its portals where no transaction is open: these are bound again before the statement runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from proxy import errors
from proxy.effects import Analyse
from proxy.session import estimate
from proxy.session.consequences import Consequences, changes_rows, consequences
from proxy.session.gate import Prospect
from proxy.session.questions import Question
from proxy.session.state import EndSession
from proxy.sql.facts import Analysis, Count
from proxy.wire.backend import ErrorFields
from proxy.wire.frontend import FLUSH_MESSAGE, Cut

if TYPE_CHECKING:
    from proxy.session.relay import Relay

_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"  # a deferrable one, as a session may have it, would wait
_READ_ONLY = b"SET LOCAL transaction_read_only = on"
_LIMITS = b"SET LOCAL statement_timeout = 2000", b"SET LOCAL lock_timeout = 500"  # milliseconds
_PATIENCE = 2.0  # seconds for what was sent before, which may wait for a lock
_TRIES = 3  # at giving back what a cancel of the client can hit
_PLAN = 16 << 10  # bytes of a plan that are shown
_TEXT = 25  # oid of the type
_REASONS = {
    "57014": "it took longer than 2 seconds",
    "55P03": "a lock was not free within half a second",
    "42501": "the role at the target may not",
}


@dataclass(slots=True)
class Preview:
    """``None``: not known, and a note says why."""

    estimated_rows: int | None = None
    affected_rows: int | None = None
    plan: str = ""
    triggers: list[dict[str, object]] = field(default_factory=list)
    cascades: list[dict[str, object]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, object]:
        return {
            "estimated_rows": self.estimated_rows, "affected_rows": self.affected_rows, "plan": self.plan, "triggers": self.triggers,
            "cascades": self.cascades, "columns": self.columns, "notes": self.notes,
        }  # fmt: skip


def look(relay: Relay, prospect: Prospect, then: Callable[[Preview], None]) -> None:
    """Call ``then``, now or later, with what can be known about a statement that is about to be held."""
    statements = prospect.analysis.statements
    preview = Preview(estimated_rows=prospect.estimated_rows, columns=sorted(set().union(*(facts.columns for facts in statements))))
    if len(statements) != 1:
        what = "several statements at once" if statements else "a text that could not be read"
        preview.notes.append(f"What would change is not known: {what} cannot be planned or counted.")
        then(preview)
    elif reason := _no_place(relay, prospect):
        preview.notes.append(f"What would change is not known: {reason}.")
        then(preview)
    elif relay.pending:
        if relay.unsynced:
            relay.outbox.server.add(FLUSH_MESSAGE)

        def too_late() -> None:
            preview.notes.append("What would change is not known: the target was busy with what was sent before.")
            then(preview)

        relay.wait_until(relay.state.now + _PATIENCE, "drain", lambda: look(relay, prospect, then), too_late)
    else:
        _count(relay, prospect, lambda count: _ask(relay, _asked(relay, prospect, preview, count), lambda: then(preview)))


def _no_place(relay: Relay, prospect: Prospect) -> str:
    """Why nothing can be asked at this moment without disturbing what the client has begun."""
    if relay.executed or relay.pending.copying_in or (relay.unsynced and prospect.portal is None):
        return "earlier statements of its pipeline are not finished, and no question can be put between them"
    if relay.status == b"E":
        return "its transaction has failed already"
    long = any(isinstance(value, Cut) for portal in relay.portals.values() for value in portal.bind.values)
    if relay.unsynced and relay.status == b"I" and long:
        return "a parameter of its pipeline is too long to be sent twice"
    return ""


def _count(relay: Relay, prospect: Prospect, then: Callable[[Count], None]) -> None:
    """What counts the rows that the statement changes: the analysis has its text taken apart once more."""
    (facts,) = prospect.analysis.statements
    if not changes_rows(facts) or prospect.analysis.plan.kind == "refuse":
        then(Count(problem="it could not be read" if facts.problem else ""))
        return
    request = replace(relay.gate.request(prospect.text, prospect.context), counting=True)
    known = relay.state.environment.analyses.get(request.key)

    def found(analysis: Analysis) -> None:
        then(analysis.count or Count(problem=analysis.problem or "its condition could not be told"))

    if known is not None:
        found(known)
        return
    relay.wait("analysis", lambda: found(relay.answer))
    relay.outbox.add(Analyse(request))


@dataclass(slots=True)
class _Asked:
    """The questions about a statement, in their order: of what comes behind one that failed, nothing is known either."""

    preview: Preview
    writes: bool  # it changes rows, or may
    else_changed: Consequences | None
    plan: Question | None
    rows: Question | None
    count: Count
    counting: Question | None
    read: Callable[[bytes], str]

    @property
    def questions(self) -> list[Question]:
        more = self.else_changed.questions if self.else_changed is not None else ()
        return [one for one in (*more, self.plan, self.rows, self.counting) if one is not None]

    def tell(self) -> None:
        """Put the answers into the preview, and why there are none."""
        preview, failed = self.preview, next((one for one in self.questions if one.error is not None), None)
        if failed is not None and failed.error is not None:
            preview.notes.append(f"The target did not answer everything that it was asked: {_why(failed.error)}.")
        if self.rows is not None and self.rows.error is None:
            preview.estimated_rows = estimate.rows_of(self.rows.cell or b"")
        if self.plan is not None and self.plan.error is None:
            preview.plan = _shown("\n".join(self.read(row[0] or b"") for row in self.plan.rows if row))
        elif self.plan is None:
            preview.notes.append("There is no plan: the planner cannot be asked about such a statement.")
        self._tell_consequences()
        self._tell_count()

    def _tell_consequences(self) -> None:
        found = self.else_changed
        if found is not None and not any(one.error for one in found.questions):
            found.read_answers()
            self.preview.triggers, self.preview.cascades = found.triggers(), found.cascades()
        elif self.writes:
            self.preview.notes.append("Triggers and foreign keys are not known.")

    def _tell_count(self) -> None:
        cell = self.counting.cell if self.counting is not None and self.counting.error is None else None
        if self.count.rows is not None:
            self.preview.affected_rows = self.count.rows
        elif cell is not None and cell.isdigit():
            self.preview.affected_rows = int(cell)
        elif self.writes:
            why = f": {self.count.problem}" if self.count.problem else ""
            self.preview.notes.append(f"How many rows would change is not known{why}.")


def _asked(relay: Relay, prospect: Prospect, preview: Preview, count: Count) -> _Asked:
    (facts,) = prospect.analysis.statements
    catalog = prospect.context.catalog
    else_changed = consequences(catalog, facts, count.assigned, relay.gate.shown) if catalog is not None else None
    if count.sql and else_changed is None:
        count = Count(problem="it changes more than tables")  # whoever approves by the number alone must know of the rest
    counting = _counting(relay, prospect, count)
    if count.sql and counting is None:
        count = Count(problem="a parameter was too long to be kept")
    return _Asked(
        preview,
        bool(changes_rows(facts) or facts.opaque_functions or facts.problem),
        else_changed,
        estimate.question(relay, prospect, "EXPLAIN "),
        estimate.question(relay, prospect, estimate.EXPLAIN) if preview.estimated_rows is None else None,
        count,
        counting,
        relay.gate.shown,
    )


def _counting(relay: Relay, prospect: Prospect, count: Count) -> Question | None:
    if not count.sql:
        return None
    sql = relay.gate.encode(count.sql)
    if prospect.portal is None or not count.parameters:
        return Question(sql)
    prepared, bind = prospect.portal.prepared, prospect.portal.bind
    # A parameter that is not in the count is given nonetheless, since they are numbered through.
    used = [n + 1 in count.parameters for n in range(max(count.parameters))]
    if len(used) > len(bind.values) or any(isinstance(bind.values[n], Cut) for n, is_used in enumerate(used) if is_used):
        return None
    return Question(
        sql,
        tuple(prepared.type_of(n) if is_used else _TEXT for n, is_used in enumerate(used)),
        tuple(bind.format_of(n) if is_used else 0 for n, is_used in enumerate(used)),
        tuple(bind.values[n] if is_used else None for n, is_used in enumerate(used)),
    )


def _ask(relay: Relay, asked: _Asked, then: Callable[[], None]) -> None:
    """Put the questions where nothing of them stays, and call ``then`` when everything is as it was before."""
    if not asked.questions:
        asked.tell()
        then()
        return
    before, path = relay.status, relay.names.path
    savepoint = b'"' + relay.own_name + b'"'
    begin, end = [_BEGIN], [b"ROLLBACK"]
    if before == b"T":
        begin, end = [b"SAVEPOINT " + savepoint, _READ_ONLY], [b"ROLLBACK TO SAVEPOINT " + savepoint, b"RELEASE SAVEPOINT " + savepoint]
    elif relay.unsynced:
        for portal in relay.portals.values():
            portal.lost = True
    opening = [Question(sql) for sql in (*begin, *_LIMITS)]

    def begun() -> None:
        failed = next((one.error for one in opening if one.error is not None), None)
        if failed is None and not relay.cancelled:
            relay.ask_apart(asked.questions, lambda: give_back(_TRIES))
            return
        for question in asked.questions:
            question.error = failed
        give_back(_TRIES)

    def give_back(tries: int) -> None:
        relay.ask_apart([Question(sql) for sql in end], lambda: given_back(tries - 1))

    def given_back(tries: int) -> None:
        if relay.status == before or (tries == 0 and relay.cancelled):  # the client's transaction then failed by its own cancel
            relay.names.path = path  # no question has changed it, whatever failed
            asked.tell()
            then()
        elif tries == 0:
            raise EndSession("the preview could not be given back", errors.internal())
        else:
            give_back(tries)

    relay.ask_apart(opening, begun)


def _why(error: ErrorFields) -> str:
    reason = _REASONS.get(error.sqlstate)
    return f"{reason} (SQLSTATE {error.sqlstate})" if reason else f"SQLSTATE {error.sqlstate}"


def _shown(plan: str) -> str:
    whole = plan.encode()
    return plan if len(whole) <= _PLAN else whole[: _PLAN - 4].decode("utf-8", "ignore") + "…"
