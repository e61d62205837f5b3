import asyncio
import datetime
import hashlib
import ssl
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from controlplane.stack.tls import self_signed
from worker import tls


def test_agents_get_tls_where_there_is_a_certificate(tmp_path: Path) -> None:
    assert tls.agent_tls("", "") is None
    certificate, key = self_signed(tmp_path)
    shown = tls.agent_tls(str(certificate), str(key))
    assert shown is not None
    assert shown.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert shown.binding == hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).digest()


@pytest.mark.parametrize(("algorithm", "bound_by"), [(hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384"), (None, "")])
def test_a_certificate_is_hashed_as_its_signature_hashes(algorithm: hashes.HashAlgorithm | None, bound_by: str) -> None:
    """RFC 5929, 4.1."""
    key: Any = ed25519.Ed25519PrivateKey.generate() if algorithm is None else ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([]), datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    raw = builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)
    assert tls.end_point(raw) == (hashlib.new(bound_by, raw).digest() if bound_by else b"")


def test_what_is_no_certificate_binds_nothing() -> None:
    assert tls.end_point(b"") == tls.end_point(b"junk") == b""


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path / "a")
    _, key = self_signed(tmp_path / "b")
    with pytest.raises(ssl.SSLError):
        tls.agent_tls(str(certificate), str(key))


def test_calls_check_the_servers_name_against_the_hosts_or_the_operators_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, _ = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = tls.client_context()
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert [authority["subject"] for authority in context.get_ca_certs()] or context.cert_store_stats()["x509"] == 1


def test_a_handshake_goes_on_from_what_was_read_already(tmp_path: Path) -> None:
    """Direct TLS: the first bytes came before anybody knew that they are TLS. However they are cut, nothing is lost."""
    certificate, key = self_signed(tmp_path)
    shown = tls.agent_tls(str(certificate), str(key))
    assert shown is not None
    echoed: list[bytes] = []

    class Talk(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport
            self.started = False

        def data_received(self, data: bytes) -> None:
            if self.started:
                self.transport.write(data)
            else:
                self.started = True
                self.transport.pause_reading()
                upgrades.append(asyncio.get_running_loop().create_task(self.upgrade(data)))

        async def upgrade(self, data: bytes) -> None:
            self.transport = await tls.start_server_tls(self.transport, self, shown.context, data, 10)

    upgrades: list[asyncio.Task[None]] = []

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Talk, "127.0.0.1", 0)
        trusted = ssl.create_default_context(cafile=str(certificate))
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(20):
            for _ in range(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted, server_hostname="localhost")
                writer.write(b"x" * 200_000)
                echoed.append(await reader.readexactly(200_000))
                writer.close()
        server.close()
        await asyncio.gather(*upgrades)

    uvloop.run(run())
    assert echoed == [b"x" * 200_000] * 10


def test_no_record_is_longer_than_libpq_has_room_for(tmp_path: Path) -> None:
    """psycopg waited for ever for rows of some kilobytes: what libpq had not taken of a record was with OpenSSL, and no more came."""
    certificate, key = self_signed(tmp_path)
    shown = tls.agent_tls(str(certificate), str(key))
    assert shown is not None
    data = bytes(range(256)) * 400
    tasks: list[asyncio.Task[None]] = []

    class Talk(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            tasks.append(asyncio.get_running_loop().create_task(self.upgrade(transport)))

        async def upgrade(self, transport: Any) -> None:
            wrapped: Any = await tls.start_server_tls(transport, self, shown.context, b"", 10)
            wrapped.writelines(tls.records(data))

    async def run() -> tuple[bytes, list[int]]:
        server = await asyncio.get_running_loop().create_server(Talk, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ssl.create_default_context(cafile=str(certificate)).wrap_bio(received, sent, server_hostname="localhost")
        lengths, taken = [], b""
        async with asyncio.timeout(20):
            while len(taken) < len(data):
                try:
                    taken += client.read(1 << 20)
                except ssl.SSLWantReadError:
                    writer.write(sent.read())
                    head = await reader.readexactly(5)  # RFC 8446, 5.1: type, version, length
                    lengths.append(int.from_bytes(head[3:]))
                    received.write(head + await reader.readexactly(lengths[-1]))
        writer.close()
        server.close()
        await asyncio.gather(*tasks)
        return taken, lengths

    taken, lengths = uvloop.run(run())
    assert taken == data
    assert max(lengths) <= (8 << 10) + 256  # what encryption adds
    assert tls.records(b"") == []


def test_a_handshake_that_is_none_fails(tmp_path: Path) -> None:
    shown = tls.agent_tls(*map(str, self_signed(tmp_path)))
    assert shown is not None

    async def run() -> None:
        made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        class Talk(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                made.set_result((transport, self))

        server = await asyncio.get_running_loop().create_server(Talk, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(20):
            transport, protocol = await made
            with pytest.raises((OSError, TimeoutError)):
                await tls.start_server_tls(transport, protocol, shown.context, b"\x16" + bytes(300), 2)
        writer.close()
        server.close()

    uvloop.run(run())
