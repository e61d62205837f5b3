"""What the phases of one session share. :class:`proxy.session.session.Session` owns it; nothing outlives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.errors import Refusal
from proxy.events import ClientCertificate
from proxy.policy.bundle import Bundle, Connection
from proxy.session.environment import Environment
from proxy.session.outbox import Outbox
from proxy.wire.framing import STARTUP_LIMIT, FrameReader
from proxy.wire.frontend import PROTOCOL_3_0


class EndSession(Exception):
    """The session ends now: with a refusal that the client is told, or in silence. Caught in one place, from any depth."""

    def __init__(self, reason: str, refusal: Refusal | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Identity:
    """Who authenticated, and by what; looked up again in the current bundle at every statement."""

    subject: str
    kind: str
    issuer: str  # "api-key", "certificate", or the issuer of the token
    key_id: str = ""  # of the API key
    groups: frozenset[str] = frozenset()  # that the token adds
    expires_at: int | None = None  # of the token or certificate, seconds since the epoch
    certificate: ClientCertificate | None = None


@dataclass(slots=True)
class State:
    environment: Environment
    entropy: Callable[[int], bytes]
    client: str  # address:port
    loopback: bool
    tls_available: bool
    id: str = ""  # uuid of the session
    now: float = 0.0
    active_at: float = 0.0  # when the client last sent something, or its last statement ended
    tls: bool = False
    binding: bytes = b""  # what -PLUS binds the client's exchange to
    certificate: ClientCertificate | None = None  # that the client showed
    reader: FrameReader = field(default_factory=lambda: FrameReader(STARTUP_LIMIT))  # from the client
    server_reader: FrameReader = field(default_factory=lambda: FrameReader(STARTUP_LIMIT))
    outbox: Outbox = field(default_factory=Outbox)
    protocol: int = PROTOCOL_3_0  # agreed on with the client
    user: str = ""  # as the client gave it
    dbname: str = ""
    identity: Identity | None = None
    connection: str = ""  # name in the policy
    database: str = ""  # the target's own name
    startup: dict[str, str] = field(default_factory=dict)  # settings of the StartupMessage that go upstream
    run: str = ""
    application: str = ""
    parameters: dict[str, str] = field(default_factory=dict)  # what the server reported by ParameterStatus
    server_process: int = 0
    server_secret: bytes = b""
    counted: bool = False  # in environment.sessions
    opened: bool = False  # session.opened is recorded
    statements: int = 0

    @property
    def client_ip(self) -> str:
        host = self.client.rpartition(":")[0]
        return host.removeprefix("[").removesuffix("]")

    @property
    def who(self) -> Identity:
        if self.identity is None:
            raise RuntimeError("nobody has authenticated")
        return self.identity

    @property
    def places(self) -> tuple[str, str]:
        """Where the session counts in ``environment.sessions``. (No connection's name has a slash.)"""
        return self.connection, f"{self.connection}/{self.who.subject}"

    def bundle(self) -> Bundle:
        """The policy in force.

        Raises:
            EndSession: there is none.
        """
        if self.environment.bundle is None:
            raise EndSession("no bundle", Refusal("TG003", "this gateway has no policy yet, so nothing is allowed", fatal=True))
        return self.environment.bundle

    def policy(self) -> Connection:
        """The session's connection as the policy has it now.

        Raises:
            EndSession: it was removed.
        """
        found = self.bundle().connection(self.connection)
        if found is None:
            gone = Refusal("3D000", f'connection "{self.connection}" is no longer in the policy', fatal=True)
            raise EndSession("connection removed", gone)
        return found

    def new_id(self) -> str:
        """A random (version 4) UUID."""
        raw = bytearray(self.entropy(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def is_stale(self) -> bool:
        """Whether the control plane was last heard of longer ago than the policy allows."""
        return self.now - self.environment.confirmed_at > self.bundle().max_staleness
