"""The gateway's own sign-in at the target, up to its first ReadyForQuery (manual, 55.2.1, 55.2.2).

What the target reports (ParameterStatus) goes to the client as it is; its cancel key does not: the client gets one of
ours with the server's real process id, so that ``pg_backend_pid()`` agrees.
"""

from __future__ import annotations

from proxy import errors
from proxy.effects import RegisterCancelKey, SendToServer
from proxy.errors import Refusal
from proxy.events import ServerOpened
from proxy.session import records
from proxy.session.state import EndSession, State
from proxy.wire import backend, framing, scram
from proxy.wire.backend import Authentication, BackendKeyData, ErrorFields, NegotiateProtocolVersion, ParameterStatus, ReadyForQuery
from proxy.wire.frontend import PROTOCOL_3_0, PROTOCOL_3_2, PasswordMessage, SASLInitialResponse, SASLResponse, StartupMessage
from proxy.wire.md5 import md5_password

_SECRET_BYTES = 32  # of a cancel key, as PostgreSQL 18's; before 3.2 clients could take only four
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Upstream:
    """The second phase of a session; ``ready`` once the client may send statements."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._tls, self._binding = False, b""
        self._scram: scram.ScramClient | None = None
        self._proved = False  # the target proved that it knows the password
        self._authenticated = False
        self.ready = False

    def opened(self, event: ServerOpened) -> None:
        state, policy = self._state, self._state.policy()
        self._tls, self._binding = event.tls, event.binding
        parameters = {"user": policy.user, "database": state.database, **state.startup}
        if policy.statement_timeout_ms is not None:
            parameters = {name: value for name, value in parameters.items() if name.lower() != "statement_timeout"}
            parameters["statement_timeout"] = str(policy.statement_timeout_ms)
        self._send(StartupMessage(PROTOCOL_3_0, parameters).encode())

    def server_data(self) -> None:
        reader = self._state.server_reader
        while not self.ready:
            kind = reader.next()
            if kind == framing.INCOMPLETE:
                return
            if kind < 0:
                raise self._surprise("a message of impossible length")
            self._message(kind, reader.buffer[reader.start : reader.stop])

    def _message(self, kind: int, message: bytes) -> None:
        state, body = self._state, message[5:]
        if kind == backend.ERROR_RESPONSE:
            raise self._refused(ErrorFields.decode(body))
        if kind == backend.NOTICE_RESPONSE:
            # Before that, it speaks to the gateway's login; what a login trigger says may hold anything.
            if self._authenticated and not state.bundle().masking_on(state.connection):
                state.outbox.client.add(message)
            return
        if kind == backend.NEGOTIATE_PROTOCOL_VERSION and NegotiateProtocolVersion.decode(body) == NegotiateProtocolVersion(PROTOCOL_3_0):
            return  # it agrees to what was asked for
        if kind == backend.AUTHENTICATION and not self._authenticated:
            self._authenticate(Authentication.decode(body))
        elif not self._authenticated:
            raise self._surprise(backend.NAMES.get(kind, "an unknown message"))
        elif kind == backend.PARAMETER_STATUS:
            status = ParameterStatus.decode(body)
            state.parameters[status.name] = status.value
            state.outbox.client.add(message)
        elif kind == backend.BACKEND_KEY_DATA:
            key = BackendKeyData.decode(body)
            state.server_process, state.server_secret = key.process_id, key.secret
        elif kind == backend.READY_FOR_QUERY:
            self._ready(ReadyForQuery.decode(body), message)
        else:
            raise self._surprise(backend.NAMES.get(kind, "an unknown message"))

    def _authenticate(self, request: Authentication) -> None:
        if request.code == backend.AUTH_OK:
            if self._scram is not None and not self._proved:
                raise self._surprise("AuthenticationOk before its proof")
            self._authenticated = True
        elif request.code == backend.AUTH_SASL and self._scram is None:
            self._begin_scram(self._password(), request.mechanisms())
        elif request.code in (backend.AUTH_SASL_CONTINUE, backend.AUTH_SASL_FINAL) and self._scram is not None:
            self._continue(self._scram, request)
        elif request.code == backend.AUTH_MD5 and self._scram is None and len(request.data) == 4:
            self._send(PasswordMessage(md5_password(self._state.policy().user, self._password(), request.data)).encode())
        elif request.code == backend.AUTH_CLEARTEXT and self._scram is None:
            if not self._tls and self._state.policy().host not in _LOOPBACK:
                raise self._surprise("a request for a cleartext password on a connection without TLS")
            self._send(PasswordMessage(self._password().encode()).encode())
        else:
            raise self._surprise("an authentication method that the gateway does not speak")

    def _password(self) -> str:
        name = self._state.connection
        password = self._state.bundle().password(name)
        if not password:  # PostgreSQL accepts no empty one
            reason = f'the target of connection "{name}" asks for a password, and the connection has none'
            raise EndSession("upstream asks for a password", Refusal("08004", reason, fatal=True))
        return password

    def _begin_scram(self, password: str, mechanisms: tuple[str, ...]) -> None:
        try:
            self._scram = scram.ScramClient(password, self._state.entropy(18), self._binding, mechanisms)
        except scram.ScramError as error:
            raise self._surprise(str(error)) from None
        self._send(SASLInitialResponse(self._scram.mechanism, self._scram.first()).encode())

    def _continue(self, exchange: scram.ScramClient, request: Authentication) -> None:
        try:
            if request.code == backend.AUTH_SASL_CONTINUE:
                self._send(SASLResponse(exchange.final(request.data)).encode())
            else:
                exchange.verify(request.data)
                self._proved = True
        except scram.ScramError as error:
            raise self._surprise(f"a SCRAM message that is not right ({error})") from None

    def _ready(self, status: ReadyForQuery, message: bytes) -> None:
        state = self._state
        if status.status != b"I":
            raise self._surprise("a transaction that nobody began")
        secret = state.entropy(_SECRET_BYTES if state.protocol >= PROTOCOL_3_2 else 4)
        state.outbox.add(RegisterCancelKey(state.server_process, secret))
        state.outbox.record("session.opened", records.session_opened(state))
        state.opened = True
        state.application = state.parameters.get("application_name", state.application)
        state.outbox.client.add(BackendKeyData(state.server_process, secret).encode())
        state.outbox.client.add(message)
        state.reader.limit = state.server_reader.limit = framing.MESSAGE_LIMIT
        self.ready = True

    def _refused(self, error: ErrorFields) -> EndSession:
        state = error.sqlstate
        if state[:2] == "28":
            # Not the target's own words: they name the gateway's login.
            reason = f'the target of connection "{self._state.connection}" refused the gateway\'s credential'
            return EndSession("upstream refused the credential", Refusal("08004", reason, fatal=True))
        told = error.fields.get("M", b"").decode("utf-8", "replace")
        return EndSession("upstream refused the session", Refusal(state, f"the target refused the session: {told}", fatal=True))

    def _surprise(self, what: str) -> EndSession:
        return EndSession("upstream handshake", errors.server_gone(f"the target sent {what} while the session was being opened"))

    def _send(self, data: bytes) -> None:
        # An effect of its own and not the stream: the worker never merges a password with anything else.
        self._state.outbox.add(SendToServer(data))
