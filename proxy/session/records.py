"""The fields of the audit records that a session asks for (docs/contracts.md §5).

One simple Query text is one statement here, however many it holds: it is decided, recorded and completed as a whole, and
``rows`` counts those of all its results. In the extended protocol every Execute is one statement; a Parse is recorded
only if it is refused, since it runs nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from proxy.errors import Refusal
from proxy.policy.decision import Allow, Decision, Deny
from proxy.session.gate import Prospect
from proxy.session.state import State
from proxy.sql.recorded import fields_of

if TYPE_CHECKING:
    from proxy.session.limit import Limit

Fields = dict[str, object]
WHOLE = 16 << 20  # characters of a text that is recorded as it is; …
_BEGINNING = 64 << 10  # of a longer one, these


def session_opened(state: State) -> Fields:
    fields = _who(state)
    fields["kind"] = state.who.kind
    fields["tls"] = state.tls
    return fields


def session_refused(state: State, sqlstate: str, reason: str) -> Fields:
    return {"client": state.client, "user": state.user, "connection": state.dbname, "sqlstate": sqlstate, "reason": reason}


def session_closed(state: State, reason: str) -> Fields:
    return {"session": state.id, "statements": state.statements, "reason": reason}


def intended(state: State, prospect: Prospect, decision: Decision, approval: str = "") -> Fields:
    parameters = prospect.parameter_texts()
    fields = _who(state)
    fields.update(fields_of(prospect.analysis))
    if state.who.groups:
        fields["groups"] = sorted(state.who.groups)
    fields["statement"] = prospect.statement
    fields["protocol"] = prospect.protocol
    fields["decision"] = decision_word(decision)
    fields["decision_id"] = prospect.decision_id
    fields["reason"] = decision.reason
    fields["rules"] = list(decision.rules)
    fields["would"] = list(decision.would)
    fields["bundle"] = prospect.context.bundle.digest
    fields["catalog"] = prospect.context.catalog_digest
    fields["approval"] = approval
    if prospect.estimated_rows is not None:
        fields["estimated_rows"] = prospect.estimated_rows
    fields["run"] = state.run or run_in(prospect.text)
    fields["sql"] = _recorded(prospect.text)
    fields["parameters"] = parameters
    return fields


def _recorded(text: str) -> str:
    """A text as the record has it: longer ones, which only run where every statement is allowed, by their beginning and digest."""
    if len(text) <= WHOLE:
        return text
    whole, beginning = text.encode("utf-8", "surrogatepass"), text[:_BEGINNING]
    left = len(whole) - len(beginning.encode("utf-8", "surrogatepass"))
    return f"{beginning}…(+{left} bytes, sha256 {hashlib.sha256(whole).hexdigest()})"


def run_in(text: str) -> str:
    """The run that a sqlcommenter comment at the end of a text names: ``/*…,run='r-7',…*/``. Information, not authority."""
    comment = _COMMENT.search(text, max(0, len(text) - 2000))
    found = _RUN.search(comment[1]) if comment else None
    return unquote(found[1])[:200] if found else ""


_COMMENT = re.compile(r"/\*((?:[^*]|\*(?!/))*)\*/[\s;]*\Z")
_RUN = re.compile(r"(?:\A|,)\s*(?:tidegate\.)?run='([^']*)'")


def decision_word(decision: Decision) -> str:
    if isinstance(decision, Allow):
        return "allow"
    return "deny" if isinstance(decision, Deny) else "approve"


@dataclass(frozen=True, slots=True)
class Bound:
    """How many rows an approved statement may change, and what the client gets if it changes more."""

    rows: int
    refusal: Refusal


@dataclass(slots=True, eq=False)
class Running:
    """A statement that was forwarded and whose end has not been seen."""

    statement: str
    started: float
    rows: int = 0
    counted: int = 0  # of them, those of results that are complete
    bytes: int = 0
    masked_cells: int = 0
    detected: Counter[str] | None = None  # by kind; none for nearly every statement
    tag: str = ""
    sqlstate: str = ""
    limit: Limit | None = None  # of the rows that may still come
    bound: Bound | None = None  # of the rows that it changes
    cut: Refusal | None = None  # why the client gets no more of it
    told: bool = False  # … and it has heard of that
    overdue: bool = False  # it took too long, and the server was told to stop

    def result_done(self, tag: str, affected: int) -> None:
        """A result is complete: its rows came as DataRows, or only the command tag speaks of them."""
        self.tag = tag
        if self.cut is None:  # else the tag speaks of rows that the client did not get
            self.rows = self.counted = max(self.rows, self.counted + affected)

    def completed(self, state: State, outcome: str) -> Fields:
        if self.cut is not None:
            self.sqlstate = self.cut.sqlstate
            outcome = "refused" if outcome != "lost" else outcome
        return completed(state, self.statement, outcome, running=self)


def completed(state: State, statement: str, outcome: str, *, sqlstate: str = "", running: Running | None = None) -> Fields:
    done = running or Running(statement, state.now)
    fields: Fields = {
        "statement": statement,
        "session": state.id,
        "outcome": outcome,
        "tag": done.tag,
        "rows": done.rows,
        "bytes": done.bytes,
        "masked_cells": done.masked_cells,
        "sqlstate": sqlstate or done.sqlstate,
        "duration_us": max(0, round((state.now - done.started) * 1_000_000)),
    }
    if done.detected is not None:
        fields["detected"] = dict(done.detected)
    return fields


def _who(state: State) -> Fields:
    who = state.who
    return {
        "session": state.id,
        "subject": who.subject,
        "issuer": who.issuer,
        "connection": state.connection,
        "database": state.database,
        "client": state.client,
        "application": state.application,
        "run": state.run,
    }
