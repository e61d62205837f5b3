from __future__ import annotations

from typing import Any

from django.test import RequestFactory

from controlplane.addresses import client_address


def test_the_proxy_is_believed_only_where_there_is_one(settings: Any) -> None:
    request = RequestFactory(REMOTE_ADDR="127.0.0.1").get("/", headers={"X-Real-IP": "192.0.2.7"})
    assert client_address(request) == "127.0.0.1"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert client_address(request) == "192.0.2.7"
    odd = RequestFactory(REMOTE_ADDR="127.0.0.1").get("/", headers={"X-Real-IP": "x" * 100})
    assert client_address(odd) == "127.0.0.1"
    assert client_address(None) == ""
