"""Messages of the client that are handled piece by piece, since they may be larger than what is kept of any.

While one of them passes by, no other message of the client is looked at, and nothing of the gateway's own is sent between
its pieces. ``requests`` says which message is handled how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from proxy.wire.codec import MalformedError
from proxy.wire.frontend import Bind
from proxy.wire.long_bind import BindReader

if TYPE_CHECKING:
    from proxy.session.relay import Relay


class Pieces(Protocol):
    def take(self, relay: Relay) -> None:
        """A piece is there, ``start:stop`` of the client's reader; it is the last one if nothing remains."""


def begin(relay: Relay, pieces: Pieces) -> None:
    """The message that is coming in is handled so from now on."""
    relay.pieces = pieces
    relay.state.reader.stream()
    proceed(relay)


def proceed(relay: Relay) -> None:
    pieces = relay.pieces
    assert pieces is not None
    if not relay.state.reader.remaining:
        relay.pieces = None
    pieces.take(relay)


class Passed:
    """Goes to the server as it comes: the data of a COPY."""

    def take(self, relay: Relay) -> None:
        reader = relay.state.reader
        relay.outbox.server.slice(reader.buffer, reader.start, reader.stop)


class Dropped:
    """Nobody will read it. ``then`` is called when its end has come."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self._then = then

    def take(self, relay: Relay) -> None:
        if not relay.state.reader.remaining:
            self._then()


class PassedBind:
    """Goes to the server as it comes, and is read meanwhile. ``then`` gets it when its end has come; None: it is malformed."""

    def __init__(self, then: Callable[[Bind | None], None]) -> None:
        self._then = then
        self._reader = BindReader()
        self._head = 5  # bytes of type and length, in the first piece

    def take(self, relay: Relay) -> None:
        reader = relay.state.reader
        relay.outbox.server.slice(reader.buffer, reader.start, reader.stop)
        self._reader.feed(reader.buffer[reader.start + self._head : reader.stop])
        self._head = 0
        if reader.remaining:
            return
        try:
            bind = self._reader.end()
        except MalformedError:
            self._then(None)
        else:
            self._then(bind)
