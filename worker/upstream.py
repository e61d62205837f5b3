"""Opens the connection to a target: TCP, then SSLRequest and TLS as the connection's mode says (manual, 55.2.9 and 34.19).

The handshake of the protocol itself, and every byte after it, is the core's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Protocol, cast
from weakref import WeakValueDictionary

from proxy.policy.bundle import Connection
from proxy.wire.frontend import CancelRequest
from worker.memory_file import in_memory
from worker.tls import end_point

CONNECT_SECONDS = 10.0
Words = tuple[str, str | None, str | None, str | None]  # mode, authority, certificate, its key
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


class UpstreamError(Exception):
    """The target cannot be reached as the connection demands; one line without credentials."""


class Owner(Protocol):
    """Who an upstream link belongs to."""

    def server_data(self, data: bytes) -> None: ...
    def server_lost(self) -> None: ...
    def server_full(self, full: bool) -> None: ...


class Link(asyncio.Protocol):
    """The asyncio side of one upstream connection."""

    def __init__(self) -> None:
        self.owner: Owner | None = None  # nothing that comes before somebody owns it is for anybody
        self.transport: asyncio.Transport | None = None
        self.binding: bytes | None = None  # over TLS: `tls-server-end-point` of the server's certificate, if it has one
        self.alert = ""  # why it was lost, where TLS says so: since TLS 1.3 a certificate is refused after the handshake
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports have the methods, not the base class

    def data_received(self, data: bytes) -> None:
        if self._answer is not None:
            if not self._answer.done():
                self._answer.set_result(data)
        elif self.owner is not None:
            self.owner.server_data(data)

    def eof_received(self) -> bool:
        return False  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self.alert = f" ({exc.reason})" if isinstance(exc, ssl.SSLError) else ""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())
        elif self._answer is None and self.owner is not None:
            self.owner.server_lost()

    async def closed_by_server(self) -> None:
        """Wait for it; the link belongs to nobody, and nothing else is expected."""
        self._answer = asyncio.get_running_loop().create_future()
        with contextlib.suppress(ConnectionResetError):
            await self._answer

    def pause_writing(self) -> None:
        if self.owner is not None:
            self.owner.server_full(True)

    def resume_writing(self) -> None:
        if self.owner is not None:
            self.owner.server_full(False)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """SSLRequest, then TLS. Raises: UpstreamError where the server has none, OSError, ssl.SSLError."""
        assert self.transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(_SSL_REQUEST)
        answer = await self._answer
        # More than the one byte would have come before TLS began: somebody in between put it there (CVE-2021-23222).
        if answer != b"S":
            raise UpstreamError("the server offers no TLS, which this connection requires")
        self.transport.pause_reading()
        wrapped = await asyncio.get_running_loop().start_tls(
            self.transport, self, context, server_hostname=host, ssl_handshake_timeout=CONNECT_SECONDS
        )
        assert wrapped is not None
        self.transport = wrapped
        self.binding = end_point(wrapped.get_extra_info("ssl_object").getpeercert(binary_form=True) or b"")
        self._answer = None


async def connect(contexts: Contexts, connection: Connection, client_key: str | None = None) -> Link:
    """A link with TCP and TLS as the connection demands, that belongs to nobody yet. Raises: UpstreamError.

    ``client_key`` (PEM) goes with the connection's own certificate, if it has one.
    """
    link = Link()
    place = f"{connection.host}:{connection.port}"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await _open(link, contexts, connection, client_key)
    except BaseException as error:
        if link.transport is not None:
            link.transport.abort()
        if isinstance(error, TimeoutError):
            raise UpstreamError(f"{place} did not answer within {CONNECT_SECONDS:g} seconds") from None
        if isinstance(error, ssl.SSLCertVerificationError):
            raise UpstreamError(f"{place} shows a certificate that is not accepted: {error.verify_message}") from None
        if isinstance(error, OSError):
            raise UpstreamError(f"{place} cannot be reached: {error.strerror or type(error).__name__}") from None
        raise
    return link


async def cancel(contexts: Contexts, connection: Connection, process_id: int, secret: bytes, client_key: str | None = None) -> None:
    """Send a CancelRequest over a connection of its own, and wait until the server closes it (manual, 55.2.8).

    Only then has it told its process: whoever sends a statement earlier may see that one cancelled. Raises: UpstreamError.
    """
    link = await connect(contexts, connection, client_key)
    assert link.transport is not None
    link.transport.write(CancelRequest(process_id, secret).encode())
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await link.closed_by_server()
    except TimeoutError:
        raise UpstreamError("the server did not take a cancel request in time") from None
    finally:
        link.transport.close()


async def _open(link: Link, contexts: Contexts, connection: Connection, client_key: str | None) -> None:
    tls = connection.tls
    try:
        context = None if tls.mode == "disable" else contexts.get((tls.mode, tls.ca, tls.client_cert, client_key))
    except ssl.SSLError as error:
        raise UpstreamError(f"the certificates of connection {connection.name!r} cannot be used: {error.reason}") from None
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: link, connection.host, connection.port)
    keep_alive(transport)
    if context is not None:
        await link.start_tls(context, connection.host)


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Notice a peer that vanished within about two minutes; statements may take longer, silence of the network may not."""
    connected = transport.get_extra_info("socket")
    if connected is None or connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4)):
        connected.setsockopt(socket.IPPROTO_TCP, option, value)


class Contexts:
    """TLS contexts by the policy's words, kept because reading certificates takes milliseconds.

    They hold private keys: one that the policy does not name any more goes with the last connection that uses it.
    """

    def __init__(self) -> None:
        self._current: dict[Words, ssl.SSLContext] = {}
        self._in_use: WeakValueDictionary[Words, ssl.SSLContext] = WeakValueDictionary()

    def get(self, words: Words) -> ssl.SSLContext:
        """Raises: ssl.SSLError."""
        found = self._in_use.get(words)  # a session's own, where it cancels under a policy that was
        if found is None:
            found = self._current[words] = self._in_use[words] = _context(*words)
        return found

    def forget(self) -> None:
        """The policy is another: what it still needs is made again."""
        self._current.clear()


def _context(mode: str, authority: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """A pure function of the policy's words. Raises: ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = mode == "verify-full"
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    elif authority is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cadata=authority)
    if certificate is not None:
        with in_memory(f"{certificate}\n{key}\n") as file:
            context.load_cert_chain(file, password="")  # else OpenSSL would ask the terminal for the passphrase of an encrypted key
    return context
