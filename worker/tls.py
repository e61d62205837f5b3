"""TLS towards agents, and for calls to the control plane and to issuers; towards targets see ``upstream``."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

from proxy.events import ClientCertificate, ClientTlsStarted
from proxy.session.startup import ALPN

_RECORD = 8 << 10  # bytes


@dataclass(frozen=True, slots=True)
class AgentTls:
    """What a worker process shows agents."""

    context: ssl.SSLContext
    binding: bytes  # of its certificate, see `end_point`


def agent_tls(certificate: str, key: str, client_ca: str = "") -> AgentTls | None:
    """TLS towards agents, or None where no certificate is configured. Raises: OSError, ssl.SSLError.

    With ``client_ca``, an agent may show a certificate; one that these authorities did not sign ends the connection.
    """
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols([ALPN])
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    # The first one is the server's own, its authorities follow (RFC 8446, 4.4.2).
    leaf = x509.load_pem_x509_certificates(Path(certificate).read_bytes())[0]
    return AgentTls(context, end_point(leaf.public_bytes(serialization.Encoding.DER)))


def started(transport: asyncio.Transport, tls: AgentTls) -> ClientTlsStarted:
    """What the core is to know of a connection over which TLS now runs."""
    connection: ssl.SSLObject = transport.get_extra_info("ssl_object")
    return ClientTlsStarted(tls.binding, connection.selected_alpn_protocol() or "", _names(connection.getpeercert()))


def _names(certificate: Mapping[str, Any] | None) -> ClientCertificate | None:
    """``certificate`` as ``SSLObject.getpeercert`` has it: empty where none was shown."""
    if not certificate:
        return None
    common = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    uris = tuple(value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI")
    return ClientCertificate(common[0] if len(common) == 1 else "", uris, int(ssl.cert_time_to_seconds(certificate["notAfter"])))


async def start_server_tls(
    transport: asyncio.Transport, protocol: asyncio.Protocol, context: ssl.SSLContext, received: bytes, seconds: float
) -> asyncio.Transport | None:
    """The server's side of TLS on a connection whose peer has sent ``received`` of its handshake already.

    Raises: OSError (ssl.SSLError is one), TimeoutError.
    """
    loop = asyncio.get_running_loop()
    waiting = loop.create_task(_hand_over(transport, protocol, received)) if received else None
    try:
        # Awaited here and not in a task: the first data comes one turn of the loop after the caller has the new transport.
        return await loop.start_tls(transport, protocol, context, server_side=True, ssl_handshake_timeout=seconds)
    finally:
        if waiting is not None:
            waiting.cancel()


def records(data: bytes | bytearray | memoryview) -> list[memoryview]:
    """What is sent to a client over TLS, cut so that no record is longer than the buffer from which servers send.

    libpq sees to 8 KB of room for one read, and what is left of a longer record stays with OpenSSL, where only libpq's own waiting looks: a
    program that waits for the socket itself, as psycopg does, would wait for ever.
    """
    view = memoryview(data)
    return [view[start : start + _RECORD] for start in range(0, len(view), _RECORD)]


async def _hand_over(transport: asyncio.Transport, protocol: asyncio.Protocol, data: bytes) -> None:
    """Give TLS what was read before it stood between socket and protocol, as if the transport had just read it."""
    while transport.get_protocol() is protocol:  # noqa: ASYNC110  (one turn: start_tls takes its place and tells nobody)
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # now TLS has been told of its transport, and nothing was read since
    tls = cast("asyncio.BufferedProtocol", transport.get_protocol())
    while data:
        room = memoryview(tls.get_buffer(len(data)))
        part = min(len(room), len(data))
        room[:part] = data[:part]
        tls.buffer_updated(part)
        data = data[part:]


def end_point(certificate: bytes) -> bytes:
    """``tls-server-end-point`` (RFC 5929, 4.1) of a certificate (DER): its hash, by the algorithm that its signature uses.

    Empty where the signature has no hash of its own (Ed25519): the RFC leaves that open, and nothing can be bound to it.
    """
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return b""
    if algorithm is None:
        return b""
    weak = algorithm.name in ("md5", "sha1")
    digest = hashes.Hash(hashes.SHA256() if weak else algorithm)
    digest.update(certificate)
    return digest.finalize()


def client_context() -> ssl.SSLContext:
    """The host's authorities, or those that SSL_CERT_FILE and SSL_CERT_DIR name: where an operator puts a private one."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
