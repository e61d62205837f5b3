"""What the core asks the worker to do: one frozen class per kind of I/O.

Effects are performed in the order of the list. A :class:`Record` is made durable before any later effect of the list is
performed; if it cannot be, the rest of the list is dropped and :class:`proxy.events.RecordFailed` comes back. This
ordering *is* the promise "no statement without a record": there is no other path to the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.sql.facts import AnalysisRequest


@dataclass(frozen=True, slots=True)
class SendToClient:
    data: bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class SendToServer:
    data: bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class StartClientTls:
    """Begin the server side of TLS on the client connection (``S`` has been sent by an effect before this one).

    A client that began by itself has sent the start of its handshake already: ``received``.
    """

    received: bytes = b""


@dataclass(frozen=True, slots=True)
class CheckToken:
    """Verify an OIDC access token against the bundle's issuers; answered by ``TokenChecked``. Never log it."""

    token: str

    def __repr__(self) -> str:
        return "CheckToken(token=<hidden>)"


@dataclass(frozen=True, slots=True)
class OpenServer:
    """Connect to the named connection's host and port with its TLS mode; answered by ``ServerOpened/ServerFailed``."""

    connection: str
    database: str  # the target's own database name


@dataclass(frozen=True, slots=True)
class Analyse:
    """Run the analysis in a separate process; answered by ``Analysed``."""

    request: AnalysisRequest


@dataclass(frozen=True, slots=True)
class RefreshCatalog:
    """Read the catalog again; answered by ``CatalogRefreshed``."""

    connection: str
    database: str


@dataclass(frozen=True, slots=True)
class Record:
    """Append to the audit spool. ``kind`` and ``fields`` as in :mod:`proxy.ledger.entry`.

    The worker adds identity of the boot, sequence, time and chain; the fields are plain JSON values.
    """

    kind: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RequestApproval:
    """Claim an approval that was already given for this binding, else open a request; see docs/contracts.md §4."""

    request: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class WithdrawApproval:
    """The client no longer waits (disconnect or cancel)."""

    request_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class CancelServer:
    """Send a CancelRequest with the server's own key to the connection's address.

    ``wait``: perform nothing behind it, and tell the core of nothing, until the server has taken it.
    """

    process_id: int
    secret: bytes
    wait: bool = False


@dataclass(frozen=True, slots=True)
class RegisterCancelKey:
    """From now on a CancelRequest with this key belongs to this session."""

    process_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class RouteCancel:
    """The client connection was only opened to send a CancelRequest with this key: deliver ``CancelRequested`` to its owner.

    The owner may live in another worker process. No answer is ever sent to the client (manual, 55.2.8).
    """

    process_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class PauseClient:
    """Stop reading from the client: the core waits for an answer and holds enough of what the client pipelined."""


@dataclass(frozen=True, slots=True)
class ResumeClient:
    """Read from the client again."""


@dataclass(frozen=True, slots=True)
class YieldTurn:
    """Deliver ``Turn`` when others had theirs: the client has sent more than is handled at once."""


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Deliver ``Tick`` at this time (seconds, same clock as ``receive``'s ``now``); replaces an earlier one."""

    when: float


@dataclass(frozen=True, slots=True)
class Delay:
    """Perform the effects behind this one only after so many seconds; until then the core is told nothing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Log:
    """One structured log line; never holds SQL text, values or credentials."""

    level: str
    event: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Close:
    """Flush what is owed to the client, then close both connections."""

    reason: str


Effect = (
    SendToClient | SendToServer | StartClientTls | CheckToken | OpenServer | Analyse | RefreshCatalog | Record
    | RequestApproval | WithdrawApproval | CancelServer | RegisterCancelKey | RouteCancel | PauseClient | ResumeClient | WakeAt | Delay
    | YieldTurn | Log | Close
)
