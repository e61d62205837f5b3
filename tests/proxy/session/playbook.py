"""A conversation with one session: events go in, and what comes out is written as words that a test can compare.

``Playbook`` plays worker and target: it answers what the core asks for (analyses are given by the test), so that a test
only says what the client and the server send. Everything that a session did is in ``effects``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from proxy import effects as fx
from proxy import events as ev
from proxy.policy.bundle import Bundle
from proxy.session.environment import Environment
from proxy.session.session import Session
from proxy.sql.facts import Analysis
from proxy.wire import backend, frontend, scram
from proxy.wire.backend import Authentication, BackendKeyData, CommandComplete, DataRow, ErrorFields, ParameterStatus, ReadyForQuery
from proxy.wire.frontend import SASLInitialResponse, SASLResponse, StartupMessage
from tests.proxy.session.example import CATALOG, NOW, bundle, one

PROBE_ROW = DataRow((b'["pg_catalog","public"]', b"tidegate_agent"))


class Encodable(Protocol):
    def encode(self) -> bytes: ...


class Playbook:
    def __init__(self, policy: Bundle | None = None, analyses: Mapping[str, Analysis] | None = None, **session: Any) -> None:
        self.environment = Environment(b"m" * 32, policy or bundle(), NOW, {("crm", "crm_db"): CATALOG})
        self.analyses = dict(analyses or {})
        self.now = NOW
        self.effects: list[fx.Effect] = []
        self.answer_analyses = self.answer_probes = self.answer_turns = True
        self._counter = 0
        arguments = {"client": "10.1.2.3:5555", "tls_available": False, "is_loopback": False} | session
        self.session = Session(self.environment, entropy=self._entropy, **arguments)

    def _entropy(self, count: int) -> bytes:
        self._counter += 1
        return self._counter.to_bytes(2, "big") * (count // 2)

    def give(self, event: ev.Event) -> list[str]:
        """What the session does about an event, in words, with the worker's ordinary answers already given."""
        done = self.session.receive(event, self.now)
        self.effects += done
        words: list[str] = []
        for effect in done:
            probe = isinstance(effect, fx.SendToServer) and b"current_schemas" in effect.data
            if isinstance(effect, fx.Analyse) and self.answer_analyses:
                analysis = self.analyses.get(effect.request.sql) or one("select")
                self.environment.analyses.put(effect.request.key, analysis)
                words += self.give(ev.Analysed(analysis))
            elif isinstance(effect, fx.RefreshCatalog) and self.answer_analyses:
                words += self.give(ev.CatalogRefreshed())
            elif isinstance(effect, fx.YieldTurn) and self.answer_turns:
                words += self.give(ev.Turn())
            elif probe and self.answer_probes:
                words += self.server(*PROBE_ANSWER)
            else:
                words += said(effect)
        return words

    def client(self, *messages: Encodable | bytes) -> list[str]:
        return self.give(ev.ClientData(joined(messages)))

    def server(self, *messages: Encodable | bytes) -> list[str]:
        return self.give(ev.ServerData(joined(messages)))

    def sign_in(self) -> Playbook:
        """The whole of a successful start; what comes next is the first statement."""
        self.client(StartupMessage(3 << 16, {"user": "bot", "database": "crm", "application_name": "psql"}))
        prove(self)
        self.give(ev.ServerOpened(tls=False))
        self.server(Authentication(backend.AUTH_OK), *REPORTED, BackendKeyData(77, b"real"), IDLE)
        self.effects.clear()
        return self

    def records(self, kind: str) -> list[Mapping[str, Any]]:
        return [effect.fields for effect in self.effects if isinstance(effect, fx.Record) and effect.kind == kind]

    def sent(self, to: type[fx.SendToServer] | type[fx.SendToClient] = fx.SendToServer) -> bytes:
        return b"".join(bytes(effect.data) for effect in self.effects if isinstance(effect, to))


REPORTED = (ParameterStatus("client_encoding", "UTF8"), ParameterStatus("standard_conforming_strings", "on"))
IDLE, IN_BLOCK, FAILED = ReadyForQuery(b"I"), ReadyForQuery(b"T"), ReadyForQuery(b"E")
PROBE_ANSWER = (b"3\0\0\0\x04" * 2, b"1\0\0\0\x04", b"2\0\0\0\x04", PROBE_ROW, CommandComplete("SELECT 1"), b"3\0\0\0\x04" * 2, IDLE)


@functools.cache
def salted(password: str, salt: bytes, iterations: int) -> bytes:
    return _derive(password, salt, iterations)


_derive, scram._salted = scram._salted, salted  # thousands of conversations with one key: derive it once


def prove(book: Playbook, key: str = "agent key", binding: bytes = b"") -> list[str]:
    """The client's side of SCRAM; with a ``binding``, of SCRAM-SHA-256-PLUS."""
    client = scram.ScramClient(key, b"c" * 18, binding, (scram.MECHANISM_PLUS, scram.MECHANISM))
    book.client(SASLInitialResponse(client.mechanism, client.first()))
    challenge = [effect for effect in book.effects if isinstance(effect, fx.SendToClient)][-1]
    return book.client(SASLResponse(client.final(bytes(challenge.data)[9:])))


def joined(messages: Iterable[Encodable | bytes]) -> bytes:
    return b"".join(message if isinstance(message, bytes) else message.encode() for message in messages)


def error(sqlstate: str, message: str = "no", severity: str = "ERROR", **fields: str) -> bytes:
    raw = {"S": severity, "V": severity, "C": sqlstate, "M": message, **fields}
    return ErrorFields({kind: text.encode() for kind, text in raw.items()}).encode(b"E")


def said(effect: fx.Effect) -> list[str]:
    """An effect in words: ``server Query``, ``client ErrorResponse 42501``, ``record statement.intended allow`` …"""
    if isinstance(effect, fx.SendToServer):
        return [f"server {word}" for word in _messages(bytes(effect.data), frontend.NAMES)]
    if isinstance(effect, fx.SendToClient):
        return [f"client {word}" for word in _messages(bytes(effect.data), backend.NAMES)]
    if isinstance(effect, fx.Record):
        fields = effect.fields
        return [f"record {effect.kind} {fields.get('decision') or fields.get('outcome') or fields.get('sqlstate') or ''}".strip()]
    return [] if isinstance(effect, fx.Log | fx.Delay) else [type(effect).__name__]


def _messages(data: bytes, names: Mapping[int, str]) -> list[str]:
    words = []
    while data:
        if data[0] not in names or len(data) < 5:
            return [*words, repr(data)]
        length = int.from_bytes(data[1:5], "big") + 1
        body, name = data[5:length], names[data[0]]
        if name == "ErrorResponse":
            name += f" {ErrorFields.decode(body).sqlstate}"
        elif name == "ReadyForQuery":
            name += f" {body.decode()}"
        words.append(name)
        data = data[length:]
    return words
