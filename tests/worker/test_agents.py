"""How agents get in: real clients, with their own TLS and sign-in code, at a real worker in front of PostgreSQL."""

import datetime
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from controlplane.stack.postgres import write_private
from controlplane.stack.tls import self_signed
from proxy.wire.frontend import SYNC_MESSAGE, Bind, Execute, Parse, Query, StartupMessage
from tests import engines
from tests.conftest import Target
from tests.worker.conftest import Make
from tests.worker.control_plane import ControlPlane, Reply
from tests.worker.gateway import KEY, Gateway, bundle, secrets


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return self_signed(tmp_path / "agents-tls")


@pytest.fixture
def gateway(make: Make, certificate: tuple[Path, Path]) -> Gateway:
    """Shows agents a certificate, and speaks TLS with its target."""
    variables = {"TIDEGATE_TLS_CERT": str(certificate[0]), "TIDEGATE_TLS_KEY": str(certificate[1])}
    return make(variables=variables, tls="require")


def psql(gateway: Gateway, sql: str, **parameters: object) -> str:
    """What Debian's psql prints (its libpq is PostgreSQL 15's)."""
    dsn = gateway.dsn(**{"sslmode": "require"} | parameters)
    command = [str(engines.client("psql")), "-X", "-A", "-t", "-d", dsn, "-c", sql]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def test_channel_binding_towards_clients_and_to_the_target(gateway: Gateway, certificate: tuple[Path, Path]) -> None:
    for mode in ("require", "prefer", "disable"):
        assert psql(gateway, "SELECT 1", channel_binding=mode) == "1"
        verified = {"sslmode": "verify-full", "sslrootcert": str(certificate[0]), "host": "localhost"}
        with psycopg.connect(gateway.dsn(**verified, channel_binding=mode)) as connection:
            # The session's other half: the gateway's own sign-in at the target, over TLS.
            [encrypted] = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchall()
            assert encrypted == (True,)
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        psycopg.connect(gateway.dsn(sslmode="disable", channel_binding="require"))


def test_a_wrong_key_and_an_unknown_user_hear_the_same(gateway: Gateway) -> None:
    for user in ("bot", "nobody"):
        with pytest.raises(psycopg.OperationalError, match=f'password authentication failed for user "{user}"'):
            psycopg.connect(gateway.dsn(sslmode="require", channel_binding="require", user=user, password=KEY + "x"))


def test_direct_tls(gateway: Gateway) -> None:
    with psycopg.connect(gateway.dsn(sslmode="require", sslnegotiation="direct", channel_binding="require")) as connection:
        assert connection.execute("SELECT repeat('x', 100000)").fetchall() == [("x" * 100_000,)]
    with psycopg.connect(gateway.dsn(sslmode="require", sslnegotiation="postgres")) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def startup_over_tls(gateway: Gateway, alpn: list[str], ask: bool = False, pieces: int = 1) -> bytes:
    """The answer to a StartupMessage sent over TLS, begun at once or (``ask``) by SSLRequest, the handshake in ``pieces``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as raw:
        if ask:
            raw.sendall(struct.pack("!II", 8, 80877103))
            assert raw.recv(1) == b"S"

        def until_done(step: Callable[[], Any]) -> Any:
            while True:
                try:
                    result = step()
                except ssl.SSLWantReadError:
                    result = None
                data = outgoing.read()
                size = len(data) // pieces + 1
                for start in range(0, len(data), size):
                    raw.sendall(data[start : start + size])
                    time.sleep(0.02 if pieces > 1 else 0)
                if result is not None:
                    return result
                received = raw.recv(65536)
                if not received:
                    return b""
                incoming.write(received)

        until_done(lambda: tls.do_handshake() or True)
        until_done(lambda: tls.write(StartupMessage(3 << 16, {"user": "bot", "database": "crm"}).encode()))
        return bytes(until_done(lambda: tls.read(65536)))


def test_direct_tls_asks_for_postgresql_by_name(gateway: Gateway) -> None:
    assert startup_over_tls(gateway, ["postgresql"])[:1] == b"R"
    assert startup_over_tls(gateway, ["http/1.1", "postgresql"], pieces=5)[:1] == b"R"
    for alpn in ([], ["http/1.1"]):
        answer = startup_over_tls(gateway, alpn)
        assert b"C08P01" in answer
        assert b"without ALPN" in answer
    for alpn in ([], ["postgresql"]):  # with SSLRequest nothing else could be meant
        assert startup_over_tls(gateway, alpn, ask=True)[:1] == b"R"


def test_direct_tls_where_there_is_none_ends_at_once(make: Make) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(make().dsn(sslmode="require", sslnegotiation="direct"))


def test_what_begins_like_tls_and_is_not_ends(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as raw:
        raw.sendall(b"\x16" + bytes(300))
        while raw.recv(1000):  # an alert, perhaps
            pass


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_each_protocol_version_and_its_cancel_key(gateway: Gateway, version: str) -> None:
    """libpq 18 at both versions; its own cancel function sends the key back as it got it."""
    with psycopg.connect(gateway.dsn(min_protocol_version=version, max_protocol_version=version), autocommit=True) as connection:
        assert connection.pgconn.full_protocol_version == {"3.0": 30000, "3.2": 30002}[version]
        threading.Timer(0.5, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(30)")
        assert connection.execute("SELECT pg_backend_pid()").fetchall() == [(connection.info.backend_pid,)]


class Authority:
    """Signs certificates for clients."""

    def __init__(self, directory: Path, name: str = "agents") -> None:
        directory.mkdir()
        self._directory, self._key = directory, ec.generate_private_key(ec.SECP256R1())
        self.file = directory / "ca.pem"
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._builder(self._name, self._key.public_key(), datetime.timedelta(days=1))
        certificate = certificate.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.file.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def client(self, common_name: str, uri: str, lives: datetime.timedelta = datetime.timedelta(days=1)) -> dict[str, str]:
        """libpq's parameters to show a certificate with these names."""
        key, place = ec.generate_private_key(ec.SECP256R1()), self._directory / common_name
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        certificate = self._builder(name, key.public_key(), lives)
        certificate = certificate.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        pem = serialization.Encoding.PEM
        place.with_suffix(".crt").write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(pem))
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        write_private(place.with_suffix(".key"), private.decode())
        return {"sslmode": "require", "sslcert": str(place.with_suffix(".crt")), "sslkey": str(place.with_suffix(".key"))}

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePublicKey, lives: datetime.timedelta) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        start = now - datetime.timedelta(days=2)
        return x509.CertificateBuilder(self._name, name, key, x509.random_serial_number(), start, now + lives)


URI = "spiffe://corp/agents/bot"


def _state_of(connection: psycopg.Connection[Any], statement: str) -> str | None:
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate
    return ""


def test_client_certificates(make: Make, certificate: tuple[Path, Path], target15: Target, tmp_path: Path) -> None:
    agents, strangers = Authority(tmp_path / "agents"), Authority(tmp_path / "strangers")
    variables = {"TIDEGATE_TLS_CERT": str(certificate[0]), "TIDEGATE_TLS_KEY": str(certificate[1])}
    variables["TIDEGATE_TLS_CLIENT_CA"] = str(agents.file)
    [bot] = bundle(target15)["subjects"]
    gateway = make(variables=variables, subjects=[{**bot, "certificate": {"uri": URI}}])
    shown = agents.client("anybody", URI)

    with psycopg.connect(gateway.dsn(**shown, sslnegotiation="direct", password="", require_auth="none")) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    with psycopg.connect(gateway.dsn(**shown, password="", require_auth="none"), autocommit=True) as connection:
        gateway.plane.publish(bundle(target15, serial=2), secrets(target15))  # the subject loses its certificate
        gateway.until(lambda: _state_of(connection, "SELECT 1") == "28000")
    gateway.until(lambda: gateway.kinds().count("session.opened") == 2)
    assert {entry["fields"]["issuer"] for entry in gateway.entries if entry["kind"] == "session.opened"} == {"certificate"}
    # Without the mapping, or with another certificate of the same authorities, the key is asked for.
    for parameters in (shown, agents.client("other", "spiffe://corp/agents/other"), {"sslmode": "require"}):
        with psycopg.connect(gateway.dsn(**parameters, require_auth="scram-sha-256")) as connection:
            assert connection.execute("SELECT 1").fetchall() == [(1,)]
    for bad in (strangers.client("bot", URI), agents.client("late", URI, datetime.timedelta(days=-1))):
        with pytest.raises(psycopg.OperationalError, match=r"SSL|closed|reset"):
            psycopg.connect(gateway.dsn(**bad))


def libpq_with_token(gateway: Gateway, token: str, **parameters: object) -> list[str]:
    """libpq 18 itself, which gets its token from a program's hook."""
    given = {"user": "oauth", "password": "", "oauth_issuer": "https://id.example", "oauth_client_id": "agents"} | parameters
    command = [sys.executable, "-m", "tests.worker.libpq_hook", gateway.dsn(**given), token]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_oauthbearer_with_libpqs_own_discovery(
    make: Make, control_plane: ControlPlane, certificate: tuple[Path, Path], target15: Target
) -> None:
    key = RSAKey.generate_key(2048, {"kid": "a"})
    [bot] = bundle(target15)["subjects"]
    variables = {"TIDEGATE_TLS_CERT": str(certificate[0]), "TIDEGATE_TLS_KEY": str(certificate[1])}
    issuer = {"name": "corp", "issuer": "https://id.example", "audience": "tidegate", "algorithms": ["RS256"]}
    mapped = {**bot, "scram": None, "oidc": {"issuer": "corp", "subject": "client:bot"}}
    control_plane.on("GET", "/jwks", Reply(200, {"keys": [key.as_dict(private=False)]}))
    gateway = make(variables=variables, subjects=[mapped], issuers=[{**issuer, "jwks_uri": control_plane.url + "/jwks"}])

    def token(**changes: object) -> str:
        claims = {"iss": "https://id.example", "sub": "client:bot", "aud": "tidegate", "exp": int(time.time()) + 300} | changes
        return jwt.encode({"alg": "RS256", "kid": "a"}, claims, key)

    asked = "asked https://id.example/.well-known/openid-configuration openid"
    assert libpq_with_token(gateway, token()) == [asked, "answered 42"]
    assert libpq_with_token(gateway, token(), sslmode="require", require_auth="oauth")[-1] == "answered 42"
    for bad, why in ((token(exp=1), "expired"), (token(sub="client:other"), "nobody in the policy"), ("ey.no.token", "not a signed token")):
        answer = libpq_with_token(gateway, bad)
        assert answer[0] == asked
        assert "access token not accepted" in " ".join(answer)
        assert why in " ".join(answer)
    with psycopg.connect(gateway.dsn(user="oidc", password=token())) as connection:  # as before, where libpq is older
        assert connection.execute("SELECT 42").fetchall() == [(42,)]


def test_a_thousand_idle_half_open_connections_keep_nobody_out(gateway: Gateway) -> None:
    silent = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(1000)]
    for number, one in enumerate(silent):
        one.sendall((b"", b"\0", b"\0\0\0\x08", b"\x16")[number % 4])
    try:
        began = time.monotonic()
        with psycopg.connect(gateway.dsn(sslmode="require")) as connection:
            assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert time.monotonic() - began < 10
    finally:
        for one in silent:
            one.close()
    gateway.until(lambda: gateway.metric("tidegate_sessions") == 0)


def test_guessing_gets_slower_and_then_is_not_heard(gateway: Gateway) -> None:
    def guess(number: int) -> str:
        with pytest.raises(psycopg.OperationalError) as refused:
            psycopg.connect(gateway.dsn(password=f"guess-{number}", user=("bot", "nobody")[number % 2]))
        return str(refused.value)

    began = time.monotonic()
    for number in range(4):
        assert "password authentication failed" in guess(number)
    assert time.monotonic() - began > 0.7  # 0.05 + 0.1 + 0.2 + 0.4
    with ThreadPoolExecutor(20) as pool:
        heard = list(pool.map(guess, range(80)))
    unheard = [said for said in heard if "too many sign-ins from this address have failed" in said]
    assert len(unheard) > 10
    assert all("Try again in" in said for said in unheard)
    gateway.until(lambda: _signs_in(gateway))  # some seconds later the right key is heard again
    assert gateway.kinds().count("session.refused") < 70


def _signs_in(gateway: Gateway) -> bool:
    try:
        psycopg.connect(gateway.dsn()).close()
    except psycopg.OperationalError:
        return False
    return True


BATCH = b"".join(message.encode() for message in (Parse(b"", b"SELECT 2"), Bind(b"", b""), Execute(b""))) + SYNC_MESSAGE


@pytest.mark.parametrize(
    "sent",
    [
        Query(b"SELECT 1 FROM pg_sleep(1)").encode(), Query(b"BEGIN").encode() + BATCH + Query(b"COMMIT").encode(),
        Query(b"SELECT repeat('x', 100) FROM generate_series(1, 100000)").encode(), b"", Query(b"SELECT 1").encode()[:-1],
    ],
)  # fmt: skip
def test_a_client_that_shuts_its_sending_side_down_gets_its_answers(make: Make, target15: Target, sent: bytes) -> None:
    gateway = make()
    assert half_closed(gateway.dsn(), sent) == half_closed(target15.dsn(), sent)
    gateway.until(lambda: gateway.kinds().count("session.closed") == 1)
    outcomes = {entry["fields"]["outcome"] for entry in gateway.entries if entry["kind"] == "statement.completed"}
    assert outcomes <= {"ok"}


def test_a_client_that_is_killed_takes_its_statement_along(make: Make, target15: Target) -> None:
    gateway = make()
    code = "import psycopg, sys; psycopg.connect(sys.argv[1]).execute('SELECT pg_sleep(100)')"
    client = subprocess.Popen([sys.executable, "-c", code, gateway.dsn()])
    active = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(100)' AND state = 'active'"
    gateway.until(lambda: target15.sql(active))
    client.kill()
    client.wait()
    gateway.until(lambda: not target15.sql(active))
    gateway.until(lambda: gateway.kinds()[-1:] == ["session.closed"])
    assert [entry["fields"]["outcome"] for entry in gateway.entries if entry["kind"] == "statement.completed"][-1] == "lost"


def half_closed(dsn: str, sent: bytes) -> bytes:
    """What comes to a client that signs in, sends this, and shuts its sending side down."""
    session = psycopg.connect(dsn, autocommit=True, sslmode="disable")
    with session, socket.socket(fileno=os.dup(session.fileno())) as client:
        client.settimeout(30)
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answer = bytearray()
        while data := client.recv(65536):
            answer += data
        return bytes(answer)
