"""From the first byte to an admitted client: encryption, StartupMessage, authentication (manual, 55.2.1, 55.2.10, 55.3).

::

    packet ──SSLRequest──▶ tls ──▶ packet ──StartupMessage──▶ sasl ──▶ proof ──▶ admitted
                                      │                └─────▶ password ──▶ token ──▶ admitted
                                      └──CancelRequest──▶ (end)

An API key proves itself by SCRAM-SHA-256; the user ``oidc`` sends an access token as a cleartext password, which is only
asked for over TLS or loopback. Who is not known goes through the same exchange as who is, and fails at its end.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy import errors
from proxy.effects import CheckToken, OpenServer, RouteCancel, StartClientTls
from proxy.errors import Refusal
from proxy.events import TokenChecked
from proxy.policy import engine
from proxy.policy.bundle import Connection
from proxy.session import settings
from proxy.session.gate import reading_matters
from proxy.session.state import EndSession, Identity, State
from proxy.wire import backend, framing, frontend, scram
from proxy.wire.backend import Authentication
from proxy.wire.frontend import CancelRequest, GSSENCRequest, PasswordMessage, SASLInitialResponse, SASLResponse, SSLRequest, StartupMessage

TOKEN_USER = "oidc"  # noqa: S105  (a user name, not a password)
_TOKEN_LIMIT = 65_535  # PostgreSQL's own bound for a password message


def violation(reason: str) -> EndSession:
    return EndSession(reason, errors.protocol_violation(reason))


class Startup:
    """The first phase of a session; ``admitted`` once OpenServer has been asked for."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._step = "packet"
        self._asked: set[type] = set()  # encryption requests answered so far: each may come once
        self._scram: scram.ScramServer | None = None
        self._parameters: Mapping[str, str] = {}  # of the StartupMessage
        self.admitted = False

    def client_data(self) -> None:
        state = self._state
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
                self._message(kind, packet[5:])

    def tls_started(self) -> None:
        self._state.tls = True
        self._step = "packet"

    def token_checked(self, answer: TokenChecked) -> None:
        if self._step != "token":
            raise EndSession("token answer out of turn", errors.internal())
        if answer.problem:
            raise EndSession("token refused", errors.identity(f"access token not accepted: {answer.problem}"))
        subject = self._state.bundle().subject_by_token(answer.issuer, answer.subject)
        if subject is None:
            reason = "access token not accepted: nobody in the policy has its issuer and subject"
            raise EndSession("unknown token subject", errors.identity(reason))
        identity = Identity(subject.name, subject.kind, answer.issuer, "", frozenset(answer.groups), answer.expires_at)
        self._admit(identity)

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
            raise EndSession("protocol version", errors.unsupported(f"unsupported frontend protocol {major}.{minor}: server supports 3.0"))
        state.user, state.dbname = parameters.get("user", ""), parameters.get("database") or parameters.get("user", "")
        if not state.user:
            raise EndSession("no user", errors.identity("no PostgreSQL user name specified in startup packet"))
        if settings.is_true(parameters.get("replication", "")):
            raise EndSession("replication", errors.unsupported("replication connections are not supported by this gateway"))
        extensions = tuple(name for name in parameters if name.startswith("_pq_."))
        if packet.version & 0xFFFF or extensions:
            state.outbox.client.add(backend.NegotiateProtocolVersion(0, extensions).encode())
        self._parameters = parameters
        self._authenticate()

    def _authenticate(self) -> None:
        state = self._state
        if state.environment.draining:
            raise EndSession("draining", errors.shutting_down())
        if state.is_stale():
            stale = Refusal("TG003", "the policy is stale: the control plane has not confirmed it for too long", fatal=True)
            raise EndSession("stale bundle", stale)
        state.reader.limit = _TOKEN_LIMIT
        if state.user == TOKEN_USER:
            if not state.tls and not state.loopback:
                reason = "an access token may only be sent over TLS"
                raise EndSession("token without TLS", errors.identity(reason, hint="Connect with sslmode=require or stricter."))
            state.outbox.client.add(Authentication(backend.AUTH_CLEARTEXT).encode())
            self._step = "password"
        else:
            state.outbox.client.add(backend.sasl_request(scram.MECHANISM).encode())
            self._step = "sasl"

    def _message(self, kind: int, body: bytes) -> None:
        if kind == frontend.TERMINATE:
            raise EndSession("client gave up authentication")
        if kind != frontend.PASSWORD or self._step not in ("password", "sasl", "proof"):
            raise violation(f"expected password response, got message type {kind}")
        if self._step == "password":
            self._password(PasswordMessage.decode(body))
        elif self._step == "sasl":
            self._sasl(SASLInitialResponse.decode(body))
        else:
            self._proof(SASLResponse.decode(body))

    def _password(self, message: PasswordMessage) -> None:
        try:
            token = message.password.decode("ascii")
        except UnicodeDecodeError:
            raise EndSession("malformed token", errors.identity("access token not accepted: it is not a token")) from None
        self._step = "token"
        self._state.outbox.add(CheckToken(token))

    def _sasl(self, message: SASLInitialResponse) -> None:
        if message.mechanism != scram.MECHANISM or message.data is None:
            raise violation("client selected an invalid SASL authentication mechanism")
        self._scram = scram.ScramServer(self._verifier(), self._state.entropy(18))
        try:
            challenge = self._scram.first(message.data)
        except scram.ScramError as error:
            raise violation(str(error)) from None
        self._state.outbox.client.add(Authentication(backend.AUTH_SASL_CONTINUE, challenge).encode())
        self._step = "proof"

    def _proof(self, message: SASLResponse) -> None:
        if self._scram is None:
            raise violation("SASL response out of turn")
        try:
            answer = self._scram.final(message.data)
        except scram.ScramError as error:
            raise violation(str(error)) from None
        subject = self._state.bundle().subject(self._state.user)
        if answer is None or subject is None:
            raise EndSession("wrong key", errors.wrong_key(self._state.user))
        key_id, signature = answer
        self._state.outbox.client.add(Authentication(backend.AUTH_SASL_FINAL, signature).encode())
        self._admit(Identity(subject.name, subject.kind, "api-key", key_id))

    def _verifier(self) -> scram.Verifier:
        bundle, user = self._state.bundle(), self._state.user
        subject = bundle.subject(user)
        if subject is None or subject.scram is None:
            known = next((s.scram for s in bundle.subjects.values() if s.scram is not None), None)
            return scram.mock_verifier(user, self._state.environment.mock_secret, known.iterations if known else 4096)
        keys = tuple(scram.ScramKey(k.id, k.stored_key, k.server_key) for k in subject.scram.live_keys(self._state.now))
        return scram.Verifier(subject.scram.salt, subject.scram.iterations, keys)

    def _admit(self, identity: Identity) -> None:
        """Only who has proved who he is learns which connections exist."""
        state = self._state
        state.identity = identity
        state.outbox.client.add(Authentication(backend.AUTH_OK).encode())
        found = state.bundle().connection_for(state.dbname)
        if found is None:
            raise EndSession("unknown connection", errors.unknown_connection(state.dbname))
        connection, state.database = found
        state.connection = connection.name
        if why := engine.admits(state.bundle(), identity.subject, connection.name, state.now, identity.groups):
            raise EndSession("not admitted", errors.identity(why))
        self._settings(connection)
        sessions = state.environment.sessions
        if connection.max_sessions is not None and sessions[connection.name] >= connection.max_sessions:
            reason = f'connection "{connection.name}" has its {connection.max_sessions} sessions already'
            raise EndSession("too many sessions", errors.too_many_sessions(reason))
        sessions[connection.name] += 1
        state.counted = True
        self.admitted = True
        state.outbox.add(OpenServer(connection.name, state.database))

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
