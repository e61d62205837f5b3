"""Where a request comes from."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest | None) -> str:
    """The browser's address: behind the reverse proxy that ends TLS, what that says in ``X-Real-IP``."""
    if request is None:
        return ""
    if settings.SECURE_PROXY_SSL_HEADER:
        try:
            return str(ipaddress.ip_address(request.headers.get("X-Real-IP", "").strip()))
        except ValueError:
            pass
    return str(request.META.get("REMOTE_ADDR", ""))[:45]
