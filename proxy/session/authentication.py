"""Who is it? One client's sign-in, by what it brings (manual, 55.2.1 and 55.3).

::

    sasl ──SASLInitialResponse──▶ proof ──SASLResponse──▶ (admitted)
    password ──PasswordMessage──▶ token ──TokenChecked──▶ (admitted)
    bearer ──SASLInitialResponse──▶ token        └──▶ refusal ──SASLResponse──▶ (end)

Who has shown a certificate of the subject named as user is admitted without another word. An API key proves itself by
SCRAM-SHA-256, over TLS bound to the connection where the client can (-PLUS). The user ``oidc`` sends an access token as a
cleartext password, the user ``oauth`` one by OAUTHBEARER; both are only asked for over TLS or loopback, and the token says
who it is. Who is not known goes through the same exchange as who is, and fails at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from proxy import errors
from proxy.effects import CheckToken
from proxy.events import TokenChecked
from proxy.session.state import EndSession, Identity, State
from proxy.wire import backend, bearer, frontend, scram
from proxy.wire.backend import Authentication
from proxy.wire.frontend import PasswordMessage, SASLInitialResponse, SASLResponse

TOKEN_USER = "oidc"  # noqa: S105  (a user name, not a password)
BEARER_USER = "oauth"
Answer = TypeVar("Answer")
_TOKEN_LIMIT = 65_535  # PostgreSQL's own bound for a password message: tokens are long; all else fits into STARTUP_LIMIT


def violation(reason: str) -> EndSession:
    return EndSession(reason, errors.protocol_violation(reason))


def _token_refused(problem: str) -> EndSession:
    return EndSession("token refused", errors.identity(f"access token not accepted: {problem}"))


class SignIn:
    """``admit`` is called once, with who it is; everybody else meets ``EndSession``."""

    def __init__(self, state: State, admit: Callable[[Identity], None]) -> None:
        self._state = state
        self._admit = admit
        self._step = ""
        self._scram: scram.ScramServer | None = None
        self.refused: EndSession | None = None  # follows once the client of OAUTHBEARER has read why; it has failed already
        self._steps: dict[str, Callable[[bytes], None]] = {
            "password": self._password, "bearer": self._bearer, "refusal": self._refusal_read, "sasl": self._sasl, "proof": self._proof,
        }  # fmt: skip

    def begin(self) -> None:
        """The StartupMessage has named a user: ask for what proves it."""
        state = self._state
        if wait := state.environment.attempts.wait(state.client_ip, state.now):
            raise EndSession("too many failures", errors.too_many_failures(wait))
        by_certificate = self._by_certificate()
        if by_certificate is not None:
            self._admit(by_certificate)
        elif state.user in (TOKEN_USER, BEARER_USER):
            self._ask_for_token()
        else:
            self._ask(backend.sasl_request(*self._mechanisms()), "sasl")

    def message(self, kind: int, body: bytes) -> None:
        if kind == frontend.TERMINATE:
            raise EndSession("client gave up authentication")
        if kind != frontend.PASSWORD or self._step not in self._steps:
            raise violation(f"expected password response, got message type {kind}")
        self._steps[self._step](body)

    def token_checked(self, answer: TokenChecked) -> None:
        if self._step != "token":
            raise EndSession("token answer out of turn", errors.internal())
        subject = self._state.bundle().subject_by_token(answer.issuer, answer.subject)
        if answer.problem or subject is None:
            self._refuse_token(answer.problem or "nobody in the policy has its issuer and subject")
        else:
            self._admit(Identity(subject.name, subject.kind, answer.issuer, "", frozenset(answer.groups), answer.expires_at))

    def _ask(self, request: Authentication, step: str) -> None:
        self._state.outbox.client.add(request.encode())
        self._step = step

    def _by_certificate(self) -> Identity | None:
        """Who it is, if the certificate that TLS has checked is that of the subject named as user."""
        shown, subject = self._state.certificate, self._state.bundle().subject(self._state.user)
        if shown is None or subject is None or subject.certificate is None:
            return None
        if not subject.certificate.is_named(shown.common_name, shown.uris):
            return None
        return Identity(subject.name, subject.kind, "certificate", expires_at=shown.expires_at, certificate=shown)

    # -- an access token

    def _ask_for_token(self) -> None:
        state = self._state
        if not state.tls and not state.loopback:
            reason = "an access token may only be sent over TLS"
            raise EndSession("token without TLS", errors.identity(reason, hint="Connect with sslmode=require or stricter."))
        state.reader.limit = _TOKEN_LIMIT
        if state.user == TOKEN_USER:
            self._ask(Authentication(backend.AUTH_CLEARTEXT), "password")
        else:
            self._ask(backend.sasl_request(bearer.MECHANISM), "bearer")

    def _password(self, body: bytes) -> None:
        try:
            token = PasswordMessage.decode(body).password.decode("ascii")
        except UnicodeDecodeError:
            raise _token_refused("it is not a token") from None
        self._check(token)

    def _bearer(self, body: bytes) -> None:
        message = SASLInitialResponse.decode(body)
        if message.mechanism != bearer.MECHANISM or message.data is None:
            raise violation("client selected an invalid SASL authentication mechanism")
        try:
            token = bearer.token_in(message.data)
        except bearer.BearerError as error:
            raise violation(str(error)) from None
        if token:
            self._check(token)
        else:
            self._refuse_token("none was sent")

    def _check(self, token: str) -> None:
        self._step = "token"
        self._state.outbox.add(CheckToken(token))

    def _refuse_token(self, problem: str) -> None:
        """At once; but a client of OAUTHBEARER is first told where tokens come from, and says that it has read it."""
        refused, state = _token_refused(problem), self._state
        if state.user != BEARER_USER:
            raise refused
        self.refused = refused
        issuer = next((issuer.issuer for issuer in state.bundle().issuers), "")
        self._ask(Authentication(backend.AUTH_SASL_CONTINUE, bearer.challenge(issuer)), "refusal")

    def _refusal_read(self, body: bytes) -> None:
        if self.refused is None or SASLResponse.decode(body).data != bearer.ACKNOWLEDGEMENT:
            raise violation("malformed OAUTHBEARER message: the refusal is to be acknowledged")
        raise self.refused

    # -- an API key

    def _mechanisms(self) -> tuple[str, ...]:
        return (scram.MECHANISM_PLUS, scram.MECHANISM) if self._state.binding else (scram.MECHANISM,)

    def _sasl(self, body: bytes) -> None:
        state, message = self._state, SASLInitialResponse.decode(body)
        if message.mechanism not in self._mechanisms() or message.data is None:
            raise violation("client selected an invalid SASL authentication mechanism")
        exchange = scram.ScramServer(self._verifier(), state.entropy(18), state.binding, message.mechanism)
        challenge = self._answer(exchange.first, message.data)
        self._scram = exchange
        self._ask(Authentication(backend.AUTH_SASL_CONTINUE, challenge), "proof")

    def _proof(self, body: bytes) -> None:
        if self._scram is None:
            raise violation("SASL response out of turn")
        state = self._state
        answer = self._answer(self._scram.final, SASLResponse.decode(body).data)
        subject = state.bundle().subject(state.user)
        if answer is None or subject is None:
            raise EndSession("wrong key", errors.wrong_key(state.user))
        key_id, signature = answer
        state.outbox.client.add(Authentication(backend.AUTH_SASL_FINAL, signature).encode())
        self._admit(Identity(subject.name, subject.kind, "api-key", key_id))

    @staticmethod
    def _answer(step: Callable[[bytes], Answer], data: bytes) -> Answer:
        """One step of the exchange; a client that breaks it is sent away, as PostgreSQL does it."""
        try:
            return step(data)
        except scram.BindingError as error:
            raise EndSession("channel binding", errors.identity(str(error))) from None
        except scram.ScramError as error:
            raise violation(str(error)) from None

    def _verifier(self) -> scram.Verifier:
        bundle, user = self._state.bundle(), self._state.user
        subject = bundle.subject(user)
        if subject is None or subject.scram is None:
            known = next((s.scram for s in bundle.subjects.values() if s.scram is not None), None)
            return scram.mock_verifier(user, self._state.environment.mock_secret, known.iterations if known else 4096)
        keys = tuple(scram.ScramKey(k.id, k.stored_key, k.server_key) for k in subject.scram.live_keys(self._state.now))
        return scram.Verifier(subject.scram.salt, subject.scram.iterations, keys)
