"""TLS towards agents, and for calls to the control plane and to issuers; towards targets see ``upstream``."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

from proxy.session.startup import ALPN


@dataclass(frozen=True, slots=True)
class AgentTls:
    """What a worker process shows agents."""

    context: ssl.SSLContext
    binding: bytes  # of its certificate, see `end_point`


def agent_tls(certificate: str, key: str) -> AgentTls | None:
    """TLS towards agents, or None where no certificate is configured. Raises: OSError, ssl.SSLError."""
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols([ALPN])
    # The first one is the server's own, its authorities follow (RFC 8446, 4.4.2).
    leaf = x509.load_pem_x509_certificates(Path(certificate).read_bytes())[0]
    return AgentTls(context, end_point(leaf.public_bytes(serialization.Encoding.DER)))


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
