"""TLS towards agents; towards targets see ``upstream``."""

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
