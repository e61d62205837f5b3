"""The queue of expected replies: which message, ours or the client's, each reply of the server belongs to.

Every message that is forwarded and has a reply appends what is expected; every reply is matched with the head. An entry
may be *swallowed* (the gateway asked on its own account), and replies of the gateway itself (``LOCAL``) wait in the same
queue, so that a client always gets answers in the order of its questions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any

from proxy.session.gate import Context
from proxy.session.records import Running
from proxy.session.transform import CopyWatcher, Masker, Watcher
from proxy.sql.facts import CopyOut

if TYPE_CHECKING:
    from proxy.session.questions import Question


class Kind(IntEnum):
    PARSE = auto()
    BIND = auto()
    DESCRIBE = auto()
    EXECUTE = auto()
    CLOSE = auto()
    SYNC = auto()
    QUERY = auto()
    COPY_END = auto()  # CopyDone or CopyFail: no reply, but it says where a COPY's input ends
    POISON = auto()  # an Execute that must fail: makes the server's transaction state agree with our refusal
    LOCAL = auto()  # an answer of the gateway


@dataclass(frozen=True, slots=True)
class Undo:
    """Puts back what a name meant if the message that changes it never takes effect."""

    names: MutableMapping[bytes, Any]
    name: bytes
    before: object | None

    def restore(self) -> None:
        if self.before is None:
            self.names.pop(self.name, None)
        else:
            self.names[self.name] = self.before


@dataclass(slots=True, eq=False)
class Expected:
    kind: Kind
    running: Running | None = None  # EXECUTE, QUERY
    context: Context | None = None  # … under which they were decided
    target: Any = None  # DESCRIBE, EXECUTE: the prepared statement or portal
    undo: Undo | None = None
    swallow: bool = False  # the client does not see the reply
    silent: bool = False  # … nor a notice or an error
    question: Question | None = None  # the gateway itself has asked: it takes the rows, or the error
    sanitise: bool = False  # errors and notices about it lose their free text
    rewritten: bool = False  # the server has another text than the client: positions in it mean nothing
    masker: Masker | None = None  # QUERY: of the result that is coming in; EXECUTE: once its columns are known
    watcher: Watcher | CopyWatcher | None = None
    masker_known: bool = False  # and the watcher
    expects_masked: bool = False  # QUERY, EXECUTE: masked columns are among those of its result
    reply: bytes = b""  # LOCAL: what the client gets; POISON: … instead of the server's error; QUERY: … once its transaction has ended
    owed: Running | None = None  # SYNC: an Execute before it that was cut off, of which the client has not heard; QUERY: its own
    copies: tuple[CopyOut, ...] = ()  # QUERY, EXECUTE: what COPY … TO STDOUT will send, in their order
    batch: int = 0  # SYNC, QUERY: portals made up to this batch end with the transaction
    enclosed: bool = False  # QUERY: in a transaction of the gateway's own, which ends with it …
    ends: bool = False  # … by this COMMIT or ROLLBACK

    def never_happened(self) -> None:
        """The server has ignored the message: names mean what they meant before."""
        if self.undo is not None:
            self.undo.restore()
        if self.kind is Kind.DESCRIBE and self.target is not None:
            self.target.asked = False


class Pending:
    def __init__(self) -> None:
        self._queue: deque[Expected] = deque()
        self._boundaries = 0  # SYNC and QUERY entries: what a ReadyForQuery will answer
        self.copying_in = False  # the head's COPY waits for data, and nothing that ends it has been sent yet

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[Expected]:
        return iter(self._queue)

    def __reversed__(self) -> Iterator[Expected]:
        return reversed(self._queue)

    @property
    def head(self) -> Expected | None:
        return self._queue[0] if self._queue else None

    @property
    def boundaries(self) -> int:
        """How many ReadyForQuery are still to come."""
        return self._boundaries

    def push(self, expected: Expected) -> None:
        self.copying_in = False  # any message but the COPY's own makes it fail
        if expected.kind in (Kind.SYNC, Kind.QUERY):
            self._boundaries += 1
        self._queue.append(expected)

    def pop(self) -> Expected:
        expected = self._queue.popleft()
        if expected.kind in (Kind.SYNC, Kind.QUERY):
            self._boundaries -= 1
        return expected

    def fail(self) -> list[Expected]:
        """The server reported an error: it ignores everything up to the next Sync (manual, 55.2.3).

        Returns what will never be answered, the failed message first; names are put back to what they meant.
        """
        dropped: list[Expected] = []
        while self._queue and self._queue[0].kind is not Kind.SYNC:
            dropped.append(self.pop())
        for expected in reversed(dropped):
            expected.never_happened()
        return dropped

    def begin_copy_in(self) -> None:
        """The head's COPY wants data: Syncs that were sent before its end are ignored by the server (manual, 55.2.7)."""
        head = self._queue.popleft()
        while self._queue and self._queue[0].kind is Kind.SYNC:
            self.pop()
        self.copying_in = not self._queue
        if self._queue and self._queue[0].kind is Kind.COPY_END:
            self._queue.popleft()
        self._queue.appendleft(head)

    def swallowed_by_copy(self) -> Expected | None:
        """The head's COPY failed because of the message behind it, which will have no answer of its own."""
        if len(self._queue) < 2 or self._queue[1].kind in (Kind.SYNC, Kind.COPY_END, Kind.LOCAL):
            return None
        head = self._queue.popleft()
        swallowed = self.pop()
        self._queue.appendleft(head)
        swallowed.never_happened()
        return swallowed
