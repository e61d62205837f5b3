"""Questions that the gateway itself puts to the target on the session's own connection; the client sees nothing of them.

They stand in the queue of expected replies behind whatever the client has in flight, in the extended protocol, since a
simple Query would destroy the client's unnamed statement. Between two batches a question ends with Sync. Inside of one it
ends with Flush: a Sync there would end the transaction that the client's messages share. If such a question fails, the
server ignores what comes until the client's Sync, exactly as if the client's own message had failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.session.pending import Expected, Kind, Pending
from proxy.wire.backend import ErrorFields
from proxy.wire.frontend import FLUSH_MESSAGE, SYNC_MESSAGE, Bind, Close, Cut, Execute, Parse


@dataclass(slots=True, eq=False)
class Question:
    """One statement that only asks; ``rows`` or ``error`` is filled in when it was answered."""

    sql: bytes
    types: tuple[int, ...] = ()  # of the parameters, as in Parse
    formats: tuple[int, ...] = ()
    values: tuple[bytes | Cut | None, ...] = ()
    may_wait: bool = True  # for a lock, say: it can be cancelled
    rows: list[tuple[bytes | None, ...]] = field(default_factory=list)
    error: ErrorFields | None = None

    @property
    def cell(self) -> bytes | None:
        """The first value of the first row, if there is one."""
        return self.rows[0][0] if self.rows and self.rows[0] else None


def put(pending: Pending, question: Question, name: bytes, *, within_batch: bool) -> bytes:
    """The messages of a question, whose replies are expected from now on.

    ``name``: of a statement and portal that the client cannot have. One that failed before has left its statement behind, and in
    a transaction its portal.
    """
    messages = (
        Close(b"P", name), Close(b"S", name), Parse(name, question.sql, question.types),
        Bind(name, name, question.formats, question.values), Execute(name), Close(b"P", name), Close(b"S", name),
    )  # fmt: skip
    kinds = (Kind.CLOSE, Kind.CLOSE, Kind.PARSE, Kind.BIND, Kind.EXECUTE, Kind.CLOSE, Kind.CLOSE)
    for kind in (*kinds, *(() if within_batch else (Kind.SYNC,))):
        pending.push(Expected(kind, swallow=True, silent=True, question=question))
    return b"".join([message.encode() for message in messages]) + (FLUSH_MESSAGE if within_batch else SYNC_MESSAGE)
