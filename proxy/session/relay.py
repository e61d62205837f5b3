"""A signed-in session: what the client asks is examined, decided, recorded and forwarded; replies come back in order.

:mod:`requests` handles each message of the client, :mod:`replies` each message of the server; what both need is here:

- *examine*: from a text to its analysis under the context in force. It may have to wait: for the analysis process, for
  the catalog, for the names' probe. While something is waited for, the client's bytes stay in their buffer.
- *forward*: record the intent, then send. There is no other way for a statement to the server.
- *refuse*: answer like a server would. Where the server's transaction state is at stake it is made to fail too, by an
  Execute of a portal that cannot exist, so that ReadyForQuery keeps telling the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from proxy import errors
from proxy.effects import Analyse, Log, PauseClient, RefreshCatalog, ResumeClient, YieldTurn
from proxy.errors import Refusal
from proxy.policy.decision import Decision, Deny
from proxy.session import idle, limit, records, standing
from proxy.session.gate import Context, Gate, Prospect, sanitises, written_back
from proxy.session.hold import Holder
from proxy.session.named import Named
from proxy.session.names import PROBE, Names, need_names
from proxy.session.pending import Expected, Kind, Pending
from proxy.session.pieces import Pieces
from proxy.session.prepared import Portal, Prepared
from proxy.session.questions import Question, put
from proxy.session.records import Bound, Running
from proxy.session.state import EndSession, State
from proxy.sql.facts import Analysis, CopyOut, Facts
from proxy.wire.backend import error_response
from proxy.wire.frontend import FLUSH_MESSAGE, SYNC_MESSAGE, Execute

_PAUSE_ABOVE = 256 * 1024  # bytes of the client that are kept while an answer is awaited


# What a text may do that could not be read.
_ANYTHING = Facts("unanalyzable", frozenset({"unanalyzable"}), names_change=True, reading_changes=True, schema_changes=True)


@dataclass(frozen=True, slots=True)
class Examined:
    text: str
    analysis: Analysis
    context: Context


Then = Callable[["Examined | Refusal"], None]


@dataclass(slots=True, eq=False)
class Waiting:
    """What must be answered before the client's next message is looked at.

    ``abandoned``: the answer is still due but no longer wanted; it is awaited all the same, so that it cannot be taken
    for the answer to the next question.
    """

    what: str  # analysis | catalog | question | drain | sync | approval
    resume: Callable[[], None]
    abandoned: bool = False
    until: float = math.inf  # from then on it is not waited for any longer …
    too_late: Callable[[], None] | None = None  # … but this is done


class Relay:
    def __init__(self, state: State) -> None:
        self.state = state
        self.outbox = state.outbox
        self.names = Names()
        self.gate = Gate(state, self.names)
        self.named = Named()
        self.holder = Holder()
        self.pending = Pending()
        self.statements: dict[bytes, Prepared] = {}
        self.portals: dict[bytes, Portal] = {}
        self.status = b"I"
        self.batch = 1  # counts Syncs and Queries
        self.unsynced = False  # messages were forwarded since the last of them
        self.executed = False  # … among them an Execute
        self.skipping = False  # as a server after an error: until the client's Sync
        self.pieces: Pieces | None = None  # what is done about the client's message that is coming in, until its end has come
        self.sanitising = False  # until the transaction ends: deferred checks speak about earlier statements
        self.untold = b""  # what is for the client once the message that it is getting in pieces has ended
        self.waiting: Waiting | None = None
        self.cancelled = False  # while a statement was being examined: it is refused instead of run
        self.paused = False
        self.yielded = False  # others have their turn before the client's next message is looked at
        self.limited = False  # by ``max_rows``, when a statement was last sent
        self.completed_at = 0.0  # when a statement last came to its end: then the next one began, if it was sent before
        self.draining = False
        self.finished = False  # the client will send nothing more
        # Names that no client can have: drawn for this session, and never told to it. Nothing is ever made under the second.
        self.own_name = b"tidegate-" + state.entropy(12).hex().encode()
        self.no_name = self.own_name + b"-none"

    # -- waiting

    def wait(self, what: str, resume: Callable[[], None]) -> None:
        self.waiting = Waiting(what, resume)

    def wait_until(self, when: float, what: str, resume: Callable[[], None], too_late: Callable[[], None]) -> None:
        self.waiting = Waiting(what, resume, until=when, too_late=too_late)
        idle.wake(self)

    def tick(self) -> None:
        """A time has come that was asked for, or another."""
        waiting = self.waiting
        if waiting is not None and waiting.too_late is not None and self.state.now >= waiting.until:
            self.waiting = None
            waiting.too_late()

    def resume(self) -> None:
        """The answer is here: go on where the wait began."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None and not waiting.abandoned:
            waiting.resume()

    def abandon_wait(self) -> None:
        """The batch failed on the server: what is waited for concerns a message that the server will ignore."""
        if self.waiting is None:
            return
        if self.waiting.what == "approval":
            self.holder.abandon(self, "an earlier statement of the same pipeline failed")
        elif self.waiting.what == "drain":
            self.waiting = None
        elif self.waiting.what == "sync":
            pass  # a Sync is never ignored
        else:
            self.waiting.abandoned = True

    def yield_turn(self) -> None:
        self.yielded = True
        self.outbox.add(YieldTurn())

    def check_backlog(self) -> None:
        """Push back on a client that sends while an answer is awaited."""
        waits = self.waiting is not None and self.waiting.what != "approval"  # there, a client that goes must be noticed
        if waits and not self.paused and self.state.reader.waiting() > _PAUSE_ABOVE:
            self.paused = True
            self.outbox.add(PauseClient())
        elif self.paused and not waits:
            self.paused = False
            self.outbox.add(ResumeClient())

    # -- examine

    def examine(self, sql: bytes, then: Then) -> None:
        """Call ``then``, now or later, with the analysis of a text, or with why it cannot even be looked at."""
        self.cancelled = False  # a cancel is for what was under way when it came, as at a server
        if refusal := standing.check(self.state):
            then(refusal)
            return
        self._examine(sql, then, frozenset())

    def _examine(self, sql: bytes, then: Then, tried: frozenset[str]) -> None:
        context = self.gate.context()
        if self._learn_names(tried, lambda now_tried: self._examine(sql, then, now_tried)):
            return
        context = self.gate.context()
        if context.names_matter and context.catalog is None:
            then(errors.undecidable("the catalog of the target is not known, so it is not known what the statement touches"))
            return
        text = self.gate.decode(sql, context)
        if isinstance(text, Refusal):
            then(text)
            return
        if len(text) > records.WHOLE:
            self._analysed(sql, Examined(text, Analysis(problem="it is too long"), context), then, tried)
            return
        request = self.gate.request(text, context)
        analysis = self.state.environment.analyses.get(request.key)
        if analysis is None:
            self.wait("analysis", lambda: self._analysed(sql, Examined(text, self.answer, context), then, tried))
            self.outbox.add(Analyse(request))
        else:
            self._analysed(sql, Examined(text, analysis, context), then, tried)

    answer = Analysis(problem="no answer from the analysis")

    def analysed(self, analysis: Analysis) -> None:
        """The analysis that was waited for."""
        if self.waiting is None or self.waiting.what != "analysis":
            return
        self.answer = analysis
        self.resume()

    def _analysed(self, sql: bytes, examined: Examined, then: Then, tried: frozenset[str]) -> None:
        if self.cancelled:
            self.cancelled = False
            then(errors.cancelled())
        elif examined.context is not self.gate.context():
            self._examine(sql, then, tried)  # the policy or the catalog changed meanwhile
        elif self._lacks_names(examined, tried):
            self._examine(sql, then, tried | {"needed"})
        elif examined.analysis.incomplete and examined.context.names_matter and "relations" not in tried:
            self._refresh_catalog(lambda: self._examine(sql, then, tried | {"relations", "catalog"}))
        else:
            then(examined)

    def _lacks_names(self, examined: Examined, tried: frozenset[str]) -> bool:
        """Whether names were not asked for yet, because nothing was known of the text."""
        unknown = examined.context.names_matter and self.names.path is None and self.status == b"T" and not self.unsynced
        return unknown and "needed" not in tried and need_names(examined.analysis.statements)

    def is_current(self, prepared: Prepared) -> bool:
        """Whether what a prepared statement was analysed under is for certain in force."""
        context = self.gate.context()
        certain = not context.names_matter or (self.names.path is not None and not self.gate.catalog_changed)
        return certain and prepared.key == context.key

    def when_names_known(self, then: Callable[[], None], cancelled: Callable[[Refusal], None] | None = None) -> None:
        """Call ``then``, now or later, at the start of a batch: inside of it, names could not be asked for any more.

        ``cancelled`` is called instead where the client has cancelled meanwhile; without it the message is just refused.
        """
        self.cancelled = False
        self._when_names_known(then, cancelled or (lambda refusal: self.refuse(refusal, simple=False)), frozenset({"needed"}))

    def _when_names_known(self, then: Callable[[], None], cancelled: Callable[[Refusal], None], tried: frozenset[str]) -> None:
        if not self.unsynced and self._learn_names(tried, lambda now_tried: self._when_names_known(then, cancelled, now_tried)):
            return
        if self.cancelled:
            self.cancelled = False
            cancelled(errors.cancelled())
        else:
            then()

    def _learn_names(self, tried: frozenset[str], again: Callable[[frozenset[str]], None]) -> bool:
        """Find out what is not known about names, if they matter and it is possible here; whether something is waited for.

        ``tried`` says what was asked for already, and ``again`` is called with it when there is an answer.
        """
        gate, names, context = self.gate, self.names, self.gate.context()
        missing = context.catalog is None or gate.catalog_changed or names.path is None or names.reading_in_doubt
        if not context.names_matter or not missing:
            return False
        if context.catalog is None and "catalog" not in tried:
            self._refresh_catalog(lambda: again(tried | {"catalog"}))
            return True
        if self.unsynced:
            return False  # neither probing nor waiting is possible before the client's Sync
        if self.pending:
            self.wait("drain", lambda: again(tried))
            return True
        # What a transaction has not committed, the worker's own session cannot see.
        if gate.catalog_changed and self.status == b"I":
            gate.catalog_changed = False
            self._refresh_catalog(lambda: again(tried | {"catalog"}))
            return True
        # A question counts as a query: there is none before a text is known to need names, since SET TRANSACTION allows none.
        if names.path is None and self.status != b"E" and "probe" not in tried and (self.status == b"I" or "needed" in tried):
            self._probe(lambda: again(tried | {"probe"}))
            return True
        return False

    def _refresh_catalog(self, then: Callable[[], None]) -> None:
        self.wait("catalog", then)
        self.outbox.add(RefreshCatalog(self.state.connection, self.state.database))

    def _probe(self, then: Callable[[], None]) -> None:
        question = Question(PROBE, may_wait=False)
        self.names.asking = True

        def answered() -> None:
            if question.error is not None:
                self.outbox.add(Log("warning", "probe.failed", {"session": self.state.id, "sqlstate": question.error.sqlstate}))
            elif self.names.asking:
                self.names.learn(question.rows)
            then()

        self.ask(question, answered)

    def ask(self, question: Question, then: Callable[[], None]) -> None:
        """Put a question to the target; ``then`` is called when it was answered, unless an earlier message of its batch fails."""
        self.wait("question", then)
        self.outbox.server.add(put(self.pending, question, self.own_name, within_batch=self.unsynced))

    def ask_apart(self, questions: Iterable[Question], then: Callable[[], None]) -> None:
        """Put several to the target, each in a batch of its own. The client's, if it has begun one, ends there: see ``preview``."""
        self.wait("question", then)
        for question in questions:
            self.outbox.server.add(put(self.pending, question, self.own_name, within_batch=False))

    # -- forward

    def prospect(self, examined: Examined, protocol: str, message: bytes, portal: Portal | None = None) -> Prospect:
        """A statement that is about to be decided."""
        state = self.state
        return Prospect(
            state.new_id(), state.new_id(), protocol, examined.text, examined.analysis, examined.context, message, portal
        )

    def decide(self, prospect: Prospect) -> Decision:
        rows = prospect.estimated_rows
        decision = self.gate.decide(prospect.analysis, prospect.context, in_transaction=self.in_transaction, estimated_rows=rows)
        if isinstance(decision, Deny):
            return decision
        doubt = self.named.doubt(self, prospect) or written_back(prospect)
        return doubt if doubt is not None else decision

    def intend(self, prospect: Prospect, decision: Decision, approval: str = "") -> None:
        """Record what was decided about a statement. It is durable before anything else of this turn leaves."""
        self.state.statements += 1
        self.outbox.record("statement.intended", records.intended(self.state, prospect, decision, approval))

    def started(self, prospect: Prospect, bound: Bound | None) -> Expected:
        """A statement's bytes are on their way: what may be different after it? The expectation still lacks its kind."""
        plan = prospect.analysis.plan
        sanitise = sanitises(prospect)
        copies: tuple[CopyOut, ...] = ()
        unread = prospect.analysis.problem or prospect.analysis.syntax is not None
        for facts in (*prospect.analysis.statements, *([_ANYTHING] if unread else ())):
            self.names.forwarded(facts)
            self.gate.forwarded(facts)
            if facts.copy_out is not None:
                copies += (facts.copy_out,)
        self.named.forwarded(prospect)
        self.sanitising = self.sanitising or sanitise
        running = Running(prospect.statement, self.state.now, limit=limit.of(prospect, bound), bound=bound)
        self.limited = running.limit is not None
        kind = Kind.QUERY if prospect.portal is None else Kind.EXECUTE
        return Expected(
            kind, running, prospect.context, prospect.portal, batch=self.batch, sanitise=sanitise, rewritten=plan.kind == "scan",
            expects_masked=plan.kind == "result", owed=running if kind is Kind.QUERY else None, copies=copies,
        )

    def expect(self, expected: Expected) -> None:
        """A message of the extended protocol was forwarded."""
        self.unsynced = True
        self.pending.push(expected)

    def end_batch(self) -> int:
        """A Sync or Query is forwarded; the number of the batch that it ends."""
        self.unsynced = self.executed = False
        self.batch += 1
        return self.batch - 1

    def ready(self, batch: int) -> None:
        """ReadyForQuery came at the end of this batch."""
        self.state.active_at = self.state.now
        idle = self.status == b"I"
        if idle:
            for name in [name for name, portal in self.portals.items() if portal.batch <= batch]:
                del self.portals[name]
        if self.pending or self.unsynced:
            return
        self.names.settled(idle=idle)
        if idle:
            self.sanitising = False
            self.gate.schema_work = False

    def complete(self, running: Running, outcome: str) -> None:
        self.completed_at = self.state.now
        self.outbox.record("statement.completed", running.completed(self.state, outcome))

    # -- refuse

    def refuse(self, refusal: Refusal, *, simple: bool) -> None:
        """Answer a Query (``simple``) or a message of the extended protocol with an error, as a server would.

        Raises:
            EndSession: the refusal is fatal.
        """
        if refusal.fatal:
            raise EndSession(refusal.message, refusal)
        self.state.active_at = self.state.now
        reply = error_response(refusal)
        if simple:
            self._refuse_query(reply)
            return
        if self._is_settled():
            self.pending.push(Expected(Kind.LOCAL, reply=reply))
            self.answer_local()
        else:
            self.poison(reply)
        self.skipping = True

    def has_failed(self, reply: bytes, *, simple: bool) -> None:
        """The server failed at a question about the client's statement, as it would have at the statement: that is the answer."""
        self.state.active_at = self.state.now
        self.outbox.client.add(reply)
        if not simple:
            self.skipping = True
        elif self.unsynced:
            self.skipping = False
            self.outbox.server.add(SYNC_MESSAGE)
            self.pending.push(Expected(Kind.SYNC, batch=self.end_batch()))
        else:
            self.outbox.client.add(b"Z\0\0\0\x05" + self.status)

    def _refuse_query(self, reply: bytes) -> None:
        if self.unsynced and self.pending:
            # If one of those messages fails, the server ignores the Query, and so must we.
            self.outbox.server.add(FLUSH_MESSAGE)
            self.wait("drain", lambda: self._refuse_query(reply))
        elif self._is_settled() and not self.pending:
            self.state.active_at = self.state.now
            self.outbox.client.add(reply + b"Z\0\0\0\x05" + self.status)
        else:
            self.poison(reply)
            self.outbox.server.add(SYNC_MESSAGE)
            self.pending.push(Expected(Kind.SYNC, batch=self.end_batch()))

    def _is_settled(self) -> bool:
        """Whether an error would change nothing on the server: no transaction is open, nor anything in it done."""
        return self.status != b"T" and not self.executed and not self.pending.boundaries

    def poison(self, reply: bytes) -> None:
        """Make the batch fail on the server; the client gets ``reply`` for it."""
        self.outbox.server.add(Execute(self.no_name).encode())
        self.pending.push(Expected(Kind.POISON, reply=reply))

    def answer_local(self) -> None:
        """Deliver the gateway's own answers whose turn it is."""
        while (head := self.pending.head) is not None and head.kind in (Kind.LOCAL, Kind.COPY_END):
            self.outbox.client.add(head.reply)
            self.pending.pop()

    def deny(self, prospect: Prospect, decision: Decision, refusal: Refusal, *, outcome: str = "refused", approval: str = "") -> None:
        """Record a statement that is not forwarded, and answer it."""
        self.intend(prospect, decision, approval)
        fields = records.completed(self.state, prospect.statement, outcome, sqlstate=refusal.sqlstate)
        self.outbox.record("statement.completed", fields)
        self.refuse(refusal, simple=prospect.protocol == "simple")

    def deny_unseen(self, sql: bytes, refusal: Refusal, protocol: str) -> None:
        """Record and answer a text that could not even be analysed."""
        examined = Examined(sql.decode("utf-8", "backslashreplace"), Analysis(problem=refusal.message), self.gate.context())
        decision = Deny(refusal.message, refusal.hint, sqlstate=refusal.sqlstate)
        self.deny(self.prospect(examined, protocol, b""), decision, refusal)

    def drop(self, prospect: Prospect, decision: Decision, approval: str) -> None:
        """Record a statement that was neither forwarded nor answered: nobody waits for it any more."""
        self.intend(prospect, decision, approval)
        self.outbox.record("statement.completed", records.completed(self.state, prospect.statement, "cancelled"))

    def standing(self) -> Refusal | None:
        return standing.check(self.state)

    def tell(self, message: bytes) -> None:
        """Say something to the client at any time, though not inside of a message of the server."""
        if self.state.server_reader.remaining:
            self.untold += message
        else:
            self.outbox.client.add(message)

    def is_idle(self) -> bool:
        """Whether no statement is under way: a transaction may still be open."""
        return not self.is_busy() and not self.state.reader.waiting()

    def is_busy(self) -> bool:
        """Whether something is under way that the client asked for."""
        return bool(self.pending) or self.unsynced or self.waiting is not None or self.pieces is not None

    def close(self, reason: str) -> None:
        """The session ends: nobody will see what becomes of what is under way."""
        self.holder.close(self, reason)
        for expected in self.pending:
            if expected.running is not None:
                self.complete(expected.running, "lost")

    @property
    def in_transaction(self) -> bool:
        """Whether a statement that is sent now may find a transaction open."""
        return self.status != b"I" or self.executed or self.pending.boundaries > 0

