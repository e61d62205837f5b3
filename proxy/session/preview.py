"""What an approver is shown of a statement's effect (docs/contracts.md §4), asked of the target without running it.

Everything is asked in one round: in a read-only transaction of the gateway's own, or, where the client has one open, behind
a savepoint and given back, so that no question can fail what the client has done. Waiting for locks and counting have
short limits. Messages of the client's batch that were sent before are answered first; the batch is then ended at the
server, which costs nothing but its portals where no transaction is open: these are bound again before the statement runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from proxy import errors
from proxy.effects import Analyse
from proxy.session import estimate
from proxy.session.consequences import Consequences, consequences
from proxy.session.gate import Prospect
from proxy.session.questions import Question
from proxy.session.state import EndSession
from proxy.sql.facts import Analysis, Count
from proxy.wire.frontend import FLUSH_MESSAGE, Cut

if TYPE_CHECKING:
    from proxy.session.relay import Relay

_LIMITS = b"SET LOCAL statement_timeout = 2000", b"SET LOCAL lock_timeout = 500"  # milliseconds
_READ_ONLY = b"SET LOCAL transaction_read_only = on"
_PLAN = 16 << 10  # characters of a plan that are shown
_TEXT = 25


@dataclass(slots=True)
class Preview:
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
    if reason := _no_place(relay, prospect):
        preview.notes.append(reason)
        then(preview)
    elif len(statements) != 1:
        preview.notes.append("several statements at once are neither planned nor counted")
        then(preview)
    elif relay.pending:
        if relay.unsynced:
            relay.outbox.server.add(FLUSH_MESSAGE)
        relay.wait("drain", lambda: look(relay, prospect, then))
    else:
        _count(relay, prospect, lambda count: _ask(relay, prospect, preview, count, then))


def _no_place(relay: Relay, prospect: Prospect) -> str:
    """Why nothing can be asked at this moment without disturbing what the client has begun."""
    if relay.executed or relay.pending.copying_in or (relay.unsynced and prospect.portal is None):
        return "earlier statements of the same pipeline are not finished, so nothing could be asked"
    if relay.status == b"E":
        return "the transaction has failed already"
    long = any(isinstance(value, Cut) for portal in relay.portals.values() for value in portal.bind.values)
    if relay.unsynced and relay.status == b"I" and long:
        return "a parameter is too long to be sent twice, so nothing could be asked"
    return ""


def _count(relay: Relay, prospect: Prospect, then: Callable[[Count], None]) -> None:
    """What counts the rows that the statement changes: the analysis has its text taken apart once more."""
    if prospect.analysis.problem or prospect.analysis.plan.kind == "refuse":
        then(Count(problem="the statement could not be read"))
        return
    request = replace(relay.gate.request(prospect.text, prospect.context), counting=True)
    known = relay.state.environment.analyses.get(request.key)

    def found(analysis: Analysis) -> None:
        then(analysis.count or Count(problem="the rows that it changes could not be told"))

    if known is not None:
        found(known)
        return
    relay.wait("analysis", lambda: found(relay.answer))
    relay.outbox.add(Analyse(request))


def _ask(relay: Relay, prospect: Prospect, preview: Preview, count: Count, then: Callable[[Preview], None]) -> None:
    asked = _Asked(
        estimate.question(relay, prospect, "EXPLAIN (FORMAT JSON) ") if preview.estimated_rows is None else None,
        estimate.question(relay, prospect, "EXPLAIN "),
        _counting(relay, prospect, count),
        _consequences(prospect),
    )
    open_block = relay.status == b"T"
    savepoint = b'"' + relay.own_name + b'"'
    begin = [b"SAVEPOINT " + savepoint, _READ_ONLY] if open_block else [b"BEGIN READ ONLY"]
    end = [b"ROLLBACK TO SAVEPOINT " + savepoint, b"RELEASE SAVEPOINT " + savepoint] if open_block else [b"ROLLBACK"]
    if relay.unsynced and not open_block:
        for portal in relay.portals.values():
            portal.lost = True

    def given_back(tries: int) -> None:
        # A cancel of the client may have hit what gives everything back.
        if (relay.status == b"T") == open_block and relay.status != b"E":
            asked.tell(preview, count)
            then(preview)
        elif tries == 0:
            raise EndSession("the preview could not be given back", errors.internal())
        else:
            relay.ask_apart([Question(sql) for sql in end], lambda: given_back(tries - 1))

    questions = [*map(Question, (*begin, *_LIMITS)), *asked.questions(), *map(Question, end)]
    relay.ask_apart(questions, lambda: given_back(3))


@dataclass(slots=True)
class _Asked:
    rows: Question | None
    plan: Question | None
    count: Question | None
    else_changed: Consequences | None

    def questions(self) -> list[Question]:
        more = self.else_changed.questions if self.else_changed is not None else ()
        return [one for one in (self.rows, self.plan, *more, self.count) if one is not None]

    def tell(self, preview: Preview, count: Count) -> None:
        """Put the answers into the preview, and why there are none."""
        if self.rows is not None and self.rows.error is None:
            preview.estimated_rows = estimate.rows_of(self.rows.cell or b"")
        if self.plan is None:
            preview.notes.append("the planner cannot be asked about this kind of statement, or not with its functions")
        elif self.plan.error is not None:
            preview.notes.append(f"the target did not plan it (SQLSTATE {self.plan.error.sqlstate})")
        else:
            preview.plan = _shown(self.plan)
        if self.else_changed is not None and not any(one.error for one in self.else_changed.questions):
            self.else_changed.read()
            preview.triggers, preview.cascades = self.else_changed.triggers(), self.else_changed.cascades()
        else:
            preview.notes.append("triggers and foreign keys are not known")
        self._tell_count(preview, count)

    def _tell_count(self, preview: Preview, count: Count) -> None:
        cell = self.count.cell if self.count is not None and self.count.error is None else None
        if count.rows is not None:
            preview.affected_rows = count.rows
        elif cell is not None and cell.isdigit():
            preview.affected_rows = int(cell)
        elif self.count is not None and self.count.error is not None:
            preview.notes.append(f"rows were not counted: the target stopped it (SQLSTATE {self.count.error.sqlstate})")
        else:
            preview.notes.append(f"rows were not counted: {count.problem or 'its parameters were not kept'}")


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


def _consequences(prospect: Prospect) -> Consequences | None:
    catalog = prospect.context.catalog
    return consequences(catalog, prospect.analysis.statements) if catalog is not None else None


def _shown(plan: Question) -> str:
    text = "\n".join((row[0] or b"").decode("utf-8", "replace") for row in plan.rows if row)
    return text if len(text.encode()) <= _PLAN else text.encode()[: _PLAN - 4].decode("utf-8", "ignore") + "…"
