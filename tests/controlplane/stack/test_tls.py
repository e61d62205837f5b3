"""The certificate works for a real TLS handshake on loopback, and is made anew before it expires."""

import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest

from controlplane.stack import tls


def test_a_client_that_trusts_it_gets_through(tmp_path: Path) -> None:
    certificate, key = tls.self_signed(tmp_path)
    server_side, client_side = socket.socketpair()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(certificate, key)
    client_context = ssl.create_default_context(cafile=str(certificate))
    server = threading.Thread(target=lambda: server_context.wrap_socket(server_side, server_side=True).close())
    server.start()
    with client_context.wrap_socket(client_side, server_hostname="localhost") as client:
        assert client.version() in ("TLSv1.2", "TLSv1.3")
    server.join()


def test_kept_while_valid_and_renewed_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tls.self_signed(tmp_path)
    first = certificate.read_bytes()
    assert key.stat().st_mode & 0o077 == 0
    tls.self_signed(tmp_path)
    assert certificate.read_bytes() == first
    monkeypatch.setattr(tls, "RENEW_BEFORE", tls.VALID + datetime.timedelta(days=1))
    tls.self_signed(tmp_path)
    assert certificate.read_bytes() != first
