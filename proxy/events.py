"""What the worker tells the core: one frozen class per thing that can happen to a session."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.sql.facts import Analysis


@dataclass(frozen=True, slots=True)
class ClientData:
    """Bytes from the client, cut anywhere."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a client certificate says that the worker's authorities have signed, and that the client holds the key of."""

    common_name: str = ""  # empty unless there is exactly one
    uris: tuple[str, ...] = ()  # of the subjectAltName
    expires_at: int = 0  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class ClientTlsStarted:
    """The TLS handshake asked for by :class:`proxy.effects.StartClientTls` succeeded."""

    binding: bytes = b""  # `tls-server-end-point` of our certificate (RFC 5929, 4); empty: it has none
    alpn: str = ""  # the application protocol that was agreed on (RFC 7301)
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class ClientFinished:
    """The client will send nothing more. It may still read, or be gone: then ``ClientGone`` follows."""


@dataclass(frozen=True, slots=True)
class ClientGone:
    """The client closed its connection or the connection broke."""


@dataclass(frozen=True, slots=True)
class TokenChecked:
    """Answer to :class:`proxy.effects.CheckToken`: verified claims, or one line that says why not."""

    issuer: str = ""
    subject: str = ""
    groups: tuple[str, ...] = ()
    expires_at: int | None = None  # seconds since the epoch
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ServerOpened:
    """The upstream TCP (and TLS) connection stands; the handshake of the protocol is the core's.

    The catalog of this connection and database is loaded in the environment if any mask, or any rule that names relations,
    columns or functions, can apply to it (else the core asks for it by ``RefreshCatalog`` when it needs it).
    """

    tls: bool
    binding: bytes = b""  # `tls-server-end-point` of the certificate that the server showed; empty: it has none


@dataclass(frozen=True, slots=True)
class ServerFailed:
    """The upstream could not be reached; ``reason`` holds no credential."""

    reason: str


@dataclass(frozen=True, slots=True)
class ServerData:
    """Bytes from the server, cut anywhere."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ServerGone:
    """The server closed the upstream connection or it broke; ``alert``: what TLS said of it, in brackets, or nothing."""

    alert: str = ""


@dataclass(frozen=True, slots=True)
class Analysed:
    """Answer to :class:`proxy.effects.Analyse`. The worker has put it into ``environment.analyses`` too.

    A dead or slow analyser answers with ``Analysis(problem=...)``: unanalyzable.
    """

    analysis: Analysis


@dataclass(frozen=True, slots=True)
class CatalogRefreshed:
    """Answer to :class:`proxy.effects.RefreshCatalog`; the environment holds what is known now (or None)."""


@dataclass(frozen=True, slots=True)
class RecordFailed:
    """A record could not be made durable. Effects behind it in the same list were not performed."""

    reason: str


@dataclass(frozen=True, slots=True)
class ApprovalAnswered:
    """Answer to :class:`proxy.effects.RequestApproval`.

    ``outcome``: ``open`` (the request stands and waits; sent at once, for the notice to the client), ``consumed``
    (approved, and this use of it is claimed: run the statement now), ``rejected``, ``expired``, ``cancelled``,
    ``no_approver``, ``unavailable`` (broker or control plane cannot be reached).
    """

    request_id: str
    outcome: str
    comment: str = ""
    url: str = ""
    bound: int | None = None  # *consumed*: rows that the statement may change at most


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """A CancelRequest with this session's key arrived, on whichever worker process."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A timer asked for by :class:`proxy.effects.WakeAt` is due (the time is an argument of ``receive``)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Others had their turn, as :class:`proxy.effects.YieldTurn` asked for."""


@dataclass(frozen=True, slots=True)
class Drain:
    """The worker is shutting down: finish the statement under way, then end the session."""


Event = (
    ClientData | ClientTlsStarted | ClientFinished | ClientGone | TokenChecked | ServerOpened | ServerFailed | ServerData | ServerGone
    | Analysed | CatalogRefreshed | RecordFailed | ApprovalAnswered | CancelRequested | Tick | Turn | Drain
)
