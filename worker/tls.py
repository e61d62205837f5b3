"""TLS towards agents, and for calls to the control plane and to issuers; towards targets see ``upstream``."""

from __future__ import annotations

import ssl


def server_context(certificate: str, key: str) -> ssl.SSLContext | None:
    """TLS towards agents, or None where no certificate is configured. Raises: OSError, ssl.SSLError."""
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def client_context() -> ssl.SSLContext:
    """The host's authorities, or those that SSL_CERT_FILE and SSL_CERT_DIR name: where an operator puts a private one."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
