"""A session between a client and a server that are both played here, and what must hold whatever either of them sends.

``check`` is called after every event. Split or whole, in one list or many: what reaches client and server is compared by
the tests, so nothing here depends on how the bytes were cut.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Iterable, Iterator

from proxy import effects as fx
from proxy import events as ev
from proxy.policy.bundle import Bundle
from proxy.sql.analysis import analyse
from proxy.sql.facts import Analysis, AnalysisRequest
from proxy.wire import backend, frontend
from proxy.wire.backend import ErrorFields
from proxy.wire.framing import MESSAGE_LIMIT, FrameReader
from proxy.wire.frontend import Execute
from tests.fuzz.server import Server
from tests.proxy.session.example import CATALOG, HELD, MASKED, bundle, rule
from tests.proxy.session.playbook import Playbook

POLICIES: tuple[Bundle, ...] = (
    bundle(),
    bundle(**MASKED),
    bundle(**HELD, connection={"idle_timeout": 300}),
    bundle(rules=[rule("drop", "deny")], connection={"opaque_functions": "deny", "unanalyzable": "deny"}),
    bundle(**MASKED, rules=[rule("delete", "approve"), rule("insert", "deny")]),
)


@functools.lru_cache(4096)
def _analysis(sql: str, path: tuple[str, ...], masked: bool, trusted: frozenset[str], derived: str) -> Analysis:
    request = AnalysisRequest(sql, CATALOG.digest, path, _MASKS if masked else {}, "m" if masked else "", trusted, derived)
    return analyse(request, CATALOG)


_MASKS: dict[tuple[int, int], object] = {}


def analysis_of(request: AnalysisRequest) -> Analysis:
    if request.masks:
        _MASKS.update(request.masks)
    return _analysis(request.sql, request.search_path, bool(request.masks), request.trusted_functions, request.derived_use)


class Driver:
    """``trusted``: the server is the honest one, so that only the client can be the cause of anything."""

    def __init__(self, policy: Bundle = POLICIES[0], *, trusted: bool = True) -> None:
        self.book = Playbook(policy).sign_in()
        self.session, self.environment, self.now = self.book.session, self.book.environment, self.book.now
        self.server, self.trusted = Server(), trusted
        self.to_client = bytearray()
        self.to_server = bytearray()
        self.from_server = bytearray()
        self.unanswered: list[bytes] = []  # sent to the server, which has not looked at it yet
        self.late = b""  # answered, and still under way
        self.closed = False
        self.requests: list[str] = []  # approvals that are waited for
        self.reason = ""
        self.records: list[fx.Record] = []
        self._client_reader, self._server_reader = FrameReader(MESSAGE_LIMIT), FrameReader(MESSAGE_LIMIT)
        self._said_goodbye = False
        self._due: deque[ev.Event] = deque()
        self._asked = self._intended = self._completed = self._forwarded = 0

    # -- what happens

    def client(self, data: bytes, size: int = 0) -> None:
        """The client sends ``data``, in pieces of ``size`` bytes (0: at once)."""
        for piece in pieces(data, size):
            self.give(ev.ClientData(piece))

    def answers(self) -> list[bytes]:
        """What the honest server says to all that has been sent to it."""
        sent, self.unanswered = b"".join(self.unanswered), []
        return list(self.server.receive(sent))

    def part(self, count: int, size: int = 0) -> None:
        """Of what the server answers, the first ``count`` bytes arrive."""
        coming = self.late + b"".join(self.answers())
        self.late = coming[count:]
        for piece in pieces(coming[:count], size):
            self.give(ev.ServerData(piece))

    def turn(self, size: int = 0) -> None:
        """The server answers, until nobody has anything to say."""
        for _ in range(1000):
            if self.closed or not (self.unanswered or self.late):
                return
            self.part(sys.maxsize, size)
            if self.server.gone:
                self.give(ev.ServerGone())
        raise AssertionError("the conversation never ends")

    def end(self) -> None:
        """Everybody goes home: then the records must be complete."""
        self.turn()
        self.give(ev.ClientGone())
        assert self.closed
        begun = self.to_client[len(self.to_client) - self._client_reader.waiting() :]
        assert begun in self.from_server, "a goodbye inside of a message of the server"
        kept = self.reason != "records cannot be kept"
        assert not kept or self._intended == self._completed, f"{self._intended} intended, {self._completed} completed"

    def give(self, event: ev.Event) -> None:
        """An event, and after it the answers that it makes the core ask the worker for."""
        self._due.append(event)
        while self._due:
            self._receive(self._due.popleft())

    def _receive(self, event: ev.Event) -> None:
        if self.closed:
            # Only records can still fail, those of the end itself; then the worker has not come to Close.
            again = [fx.Close("records cannot be kept")] if isinstance(event, ev.RecordFailed) else []
            assert self.session.receive(event, self.now) == again, "something happens after Close"
            return
        if isinstance(event, ev.ServerData):
            self.from_server += event.data
        done = self.session.receive(event, self.now)
        self._count(done)
        for index, effect in enumerate(done):
            self._perform(effect)
            assert not self.closed or index == len(done) - 1, "effects behind Close"

    # -- what must hold

    def _count(self, done: list[fx.Effect]) -> None:
        """Records stand before what they vouch for: the worker makes them durable first."""
        for effect in done:
            if isinstance(effect, fx.Record):
                self.records.append(effect)
                self._intended += effect.kind == "statement.intended"
                self._asked += effect.kind == "statement.intended" and effect.fields["decision"] != "deny"
                self._completed += effect.kind == "statement.completed"
            elif isinstance(effect, fx.SendToServer):
                self._forwarded += sum(self._runs(bytes(effect.data)))
                assert self._forwarded <= self._asked, "a statement was sent without its record"
        first_other = next((n for n, effect in enumerate(done) if not isinstance(effect, fx.Record)), len(done))
        assert not any(isinstance(effect, fx.Record) for effect in done[first_other:]), "a record behind other effects"

    def _runs(self, data: bytes) -> Iterator[bool]:
        self._server_reader.feed(data)
        while (kind := self._server_reader.next()) > 0:
            body = self._server_reader.buffer[self._server_reader.start + 5 : self._server_reader.stop]
            ours = kind == frontend.EXECUTE and Execute.decode(body).portal.startswith(b"tidegate-")
            yield kind in (frontend.QUERY, frontend.EXECUTE, frontend.FUNCTION_CALL) and not ours

    def _perform(self, effect: fx.Effect) -> None:
        if isinstance(effect, fx.SendToClient):
            self._told(bytes(effect.data))
        elif isinstance(effect, fx.SendToServer):
            self.to_server += effect.data
            self.unanswered.append(bytes(effect.data))
        elif isinstance(effect, fx.Close):
            self.closed, self.reason = True, effect.reason
        elif isinstance(effect, fx.Log) and effect.event == "session.failed":
            raise AssertionError(f"internal error: {effect.fields}")
        elif isinstance(effect, fx.Analyse):
            found = analysis_of(effect.request)
            self.environment.analyses.put(effect.request.key, found)
            self._due.append(ev.Analysed(found))
        elif isinstance(effect, fx.RefreshCatalog):
            self._due.append(ev.CatalogRefreshed())
        elif isinstance(effect, fx.YieldTurn):
            self._due.append(ev.Turn())
        elif isinstance(effect, fx.RequestApproval):
            self.requests.append(f"request-{len(self.requests)}")

    def _told(self, data: bytes) -> None:
        self.to_client += data
        self._client_reader.feed(data)
        while (kind := self._client_reader.next()) > 0:
            assert not self._said_goodbye, "something is said after a FATAL error"
            assert not self.trusted or kind in backend.NAMES, "one message inside of another"
            if kind == backend.ERROR_RESPONSE:
                said = ErrorFields.decode(self._client_reader.buffer[self._client_reader.start + 5 : self._client_reader.stop])
                self._said_goodbye = said.fatal
                assert not self.trusted or said.sqlstate != "XX000", f"internal error: {self.reason}"


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size)) if size else (data,) * bool(data)
