import ssl
from pathlib import Path

import pytest

from controlplane.stack.tls import self_signed
from worker import tls


def test_agents_get_tls_where_there_is_a_certificate(tmp_path: Path) -> None:
    assert tls.server_context("", "") is None
    certificate, key = self_signed(tmp_path)
    context = tls.server_context(str(certificate), str(key))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path / "a")
    _, key = self_signed(tmp_path / "b")
    with pytest.raises(ssl.SSLError):
        tls.server_context(str(certificate), str(key))


def test_calls_check_the_servers_name_against_the_hosts_or_the_operators_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, _ = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = tls.client_context()
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert [authority["subject"] for authority in context.get_ca_certs()] or context.cert_store_stats()["x509"] == 1
