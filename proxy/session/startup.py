"""From the first byte to an admitted client: encryption, StartupMessage, sign-in (manual, 55.2.1, 55.2.10).

::

    hello ──▶ packet ──SSLRequest──▶ tls ──▶ packet ──StartupMessage──▶ sign-in ──▶ admitted
      └────TLS at once (0x16)─────────┘         └──CancelRequest──▶ (end)

Who it is is found out by :class:`~proxy.session.authentication.SignIn`; here it is decided whether they may come in.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy import errors
from proxy.effects import OpenServer, RouteCancel, StartClientTls
from proxy.errors import Refusal
from proxy.events import ClientTlsStarted
from proxy.policy import engine
from proxy.policy.bundle import Connection
from proxy.session import settings
from proxy.session.authentication import SignIn, violation
from proxy.session.gate import reading_matters
from proxy.session.state import EndSession, Identity, State
from proxy.wire import backend, framing, frontend
from proxy.wire.frontend import PROTOCOL_3_2, CancelRequest, GSSENCRequest, SSLRequest, StartupMessage

ALPN = "postgresql"
TLS_HANDSHAKE = b"\x16"  # the first byte of a ClientHello's record (RFC 8446, 5.1); no StartupMessage is that long


class Startup:
    """The first phase of a session; ``admitted`` once OpenServer has been asked for."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._step = "hello"
        self._direct_tls = False
        self._asked: set[type] = set()  # encryption requests answered so far: each may come once
        self._parameters: Mapping[str, str] = {}  # of the StartupMessage
        self.sign_in = SignIn(state, self._admit)
        self.admitted = False

    def client_data(self, data: bytes) -> None:
        state = self._state
        if self._step == "tls":
            raise violation("received unencrypted data after an encryption request")
        if self._step == "hello":
            if data[:1] == TLS_HANDSHAKE:
                self._start_tls(data)
                return
            self._step = "packet"
        state.reader.feed(data)
        while not self.admitted:
            untyped = self._step == "packet"
            kind = state.reader.next_startup() if untyped else state.reader.next()
            if kind == framing.INCOMPLETE:
                return
            if kind < 0:
                raise violation("invalid length of startup packet" if untyped else "invalid message length")
            packet = state.reader.buffer[state.reader.start : state.reader.stop]
            if untyped:
                self._packet(packet)
            else:
                self.sign_in.message(kind, packet[5:])

    def tls_started(self, event: ClientTlsStarted) -> None:
        state = self._state
        state.tls, state.binding, state.certificate = True, event.binding, event.certificate
        self._step = "packet"
        # Nobody who means to speak with another kind of server may end up here (manual, 55.2.10).
        if self._direct_tls and event.alpn != ALPN:
            raise violation("received direct SSL connection request without ALPN protocol negotiation extension")

    def _start_tls(self, received: bytes) -> None:
        """The client began TLS without a word, as PostgreSQL 17 allows it; an error could not be read by it yet."""
        if not self._state.tls_available:
            raise EndSession("direct TLS without a certificate")
        self._direct_tls = True
        self._step = "tls"
        self._state.outbox.add(StartClientTls(received))

    def _packet(self, raw: bytes) -> None:
        packet = frontend.decode_startup(raw)
        if isinstance(packet, SSLRequest | GSSENCRequest):
            self._encryption(packet)
        elif isinstance(packet, CancelRequest):
            # No answer, and the connection closes (manual, 55.2.8).
            self._state.outbox.add(RouteCancel(packet.process_id, packet.secret))
            raise EndSession("cancel request")
        else:
            self._startup(packet)

    def _encryption(self, packet: SSLRequest | GSSENCRequest) -> None:
        state = self._state
        if type(packet) in self._asked or state.tls:
            raise violation("encryption was asked for twice")
        self._asked.add(type(packet))
        # What follows in the clear would be taken for part of the encrypted stream (CVE-2021-23222).
        if state.reader.waiting():
            raise violation("received unencrypted data after an encryption request")
        if isinstance(packet, SSLRequest) and state.tls_available:
            state.outbox.client.add(b"S")
            state.outbox.add(StartClientTls())
            self._step = "tls"
        else:
            state.outbox.client.add(b"N")

    def _startup(self, packet: StartupMessage) -> None:
        state, parameters = self._state, packet.parameters
        if packet.version >> 16 != 3:
            major, minor = packet.version >> 16, packet.version & 0xFFFF
            reason = f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2"
            raise EndSession("protocol version", errors.unsupported(reason))
        state.protocol = min(packet.version, PROTOCOL_3_2)
        state.user, state.dbname = parameters.get("user", ""), parameters.get("database") or parameters.get("user", "")
        if not state.user:
            raise EndSession("no user", errors.identity("no PostgreSQL user name specified in startup packet"))
        if settings.is_true(parameters.get("replication", "")):
            raise EndSession("replication", errors.unsupported("replication connections are not supported by this gateway"))
        extensions = tuple(name for name in parameters if name.startswith("_pq_."))
        if packet.version > PROTOCOL_3_2 or extensions:
            state.outbox.client.add(backend.NegotiateProtocolVersion(state.protocol, extensions).encode())
        self._parameters = parameters
        if state.environment.draining:
            raise EndSession("draining", errors.shutting_down())
        if state.is_stale():
            stale = Refusal("TG003", "the policy is stale: the control plane has not confirmed it for too long", fatal=True)
            raise EndSession("stale bundle", stale)
        self._step = "sign-in"
        self.sign_in.begin()

    def _admit(self, identity: Identity) -> None:
        """Only who has proved who he is learns which connections exist."""
        state = self._state
        state.identity = identity
        state.outbox.client.add(backend.Authentication(backend.AUTH_OK).encode())
        found = state.bundle().connection_for(state.dbname)
        if found is None:
            raise EndSession("unknown connection", errors.unknown_connection(state.dbname))
        connection, state.database = found
        state.connection = connection.name
        if why := engine.admits(state.bundle(), identity.subject, connection.name, state.now, identity.groups):
            raise EndSession("not admitted", errors.identity(why))
        self._settings(connection)
        self._count(connection)
        self.admitted = True
        state.outbox.add(OpenServer(connection.name, state.database))

    def _count(self, connection: Connection) -> None:
        state = self._state
        of_all, of_subject = (state.environment.sessions[place] for place in state.places)
        if connection.max_sessions is not None and of_all >= connection.max_sessions:
            reason = f'connection "{connection.name}" has its {connection.max_sessions} sessions already'
            raise EndSession("too many sessions", errors.too_many_sessions(reason, "max_sessions"))
        limit = connection.max_sessions_per_subject
        if limit is not None and of_subject >= limit:
            reason = f'subject "{state.who.subject}" has its {limit} sessions on connection "{connection.name}" already'
            raise EndSession("too many sessions of the subject", errors.too_many_sessions(reason, "max_sessions_per_subject"))
        state.environment.sessions.update(state.places)
        state.counted = True

    def _settings(self, connection: Connection) -> None:
        """Which settings go to the target: it depends on the connection whether any must not."""
        state, given = self._state, settings.read(self._parameters)
        strict = reading_matters(state.bundle(), connection)
        if isinstance(given, Refusal):
            if strict:
                raise EndSession("startup setting", given)
            given = settings.Settings({})
        state.startup = given.passed_on if strict else settings.unread(self._parameters)
        state.run = given.run
        state.application = given.passed_on.get("application_name", self._parameters.get("application_name", ""))
