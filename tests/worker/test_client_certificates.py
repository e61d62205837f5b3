"""The gateway's own certificate towards a target that asks for it: PostgreSQL 15 with ``cert`` and ``clientcert`` in its pg_hba.conf."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from controlplane.stack.postgres import Postgres
from controlplane.stack.tls import self_signed
from tests import engines
from tests.certificates import Pair, issued
from tests.conftest import Target, running, unavailable
from tests.worker.control_plane import ControlPlane
from tests.worker.gateway import Gateway, bundle, secrets

HBA = """\
hostssl all by_certificate 127.0.0.1/32 cert
hostssl all by_both 127.0.0.1/32 scram-sha-256 clientcert=verify-full
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class Strict:
    """The server, and the authority of the certificates that it takes."""

    target: Target
    authority: Pair


@pytest.fixture(scope="module")
def strict() -> Iterator[Strict]:
    if not (engines.DEBIAN15 / "initdb").exists():
        unavailable(f"no PostgreSQL 15 in {engines.DEBIAN15}")
    place, authority = engines.directory(), issued("an authority")
    certificate, key = self_signed(place / "tls")
    hba, authorities = place / "strict_hba.conf", place / "strict_authority.pem"
    hba.write_text(HBA)
    authorities.write_text(authority.certificate)
    settings = {
        "ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key), "ssl_ca_file": str(authorities), "hba_file": str(hba),
    }  # fmt: skip

    def server() -> Postgres:
        return Postgres(
            place / "strict", name="strict", bindir=engines.DEBIAN15, password=engines.PASSWORD, durable=False, settings=settings
        )

    for target in running(server, 15):
        target.sql("CREATE ROLE by_certificate LOGIN")
        target.sql("CREATE ROLE by_both LOGIN PASSWORD 'both'")
        yield Strict(target, authority)


Reach = Callable[..., Gateway]


@pytest.fixture
def reach(strict: Strict, control_plane: ControlPlane, broker: str, tmp_path: Path) -> Iterator[Reach]:
    """A gateway whose connection leads to the strict server."""
    made: list[Gateway] = []

    def start(user: str, shown: Pair | None, password: str = "", mode: str = "verify-full") -> Gateway:
        own = (engines.directory() / "tls" / "cert.pem").read_text()
        tls = {"mode": mode, "ca": own if mode == "verify-full" else None, "client_cert": shown.certificate if shown else None}
        opened: dict[str, Any] = secrets(strict.target)
        opened["connections"]["crm"] |= {"password": password, "client_key": shown.key if shown else None}
        found = Gateway(control_plane, tmp_path / "worker", broker)
        made.append(found)
        found.start(ready=False)
        found.until(lambda: control_plane.called("enrol"))
        control_plane.publish(bundle(strict.target, connection={"host": "localhost", "user": user, "tls": tls}), opened)
        found.until(lambda: found.health()[0] == 200)
        return found

    yield start
    for gateway in made:
        gateway.close()


@pytest.mark.parametrize(("user", "password", "mode"), [("by_certificate", "", "verify-full"), ("by_both", "both", "require")])
def test_sessions_cancels_and_the_catalog_show_it(reach: Reach, strict: Strict, user: str, password: str, mode: str) -> None:
    shown = issued(user, strict.authority)
    gateway = reach(user, shown, password, mode)
    with psycopg.connect(gateway.dsn(), autocommit=True) as connection:
        seen = connection.execute("SELECT client_dn, current_user FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert seen == (f"/CN={user}", user)
        failures: list[BaseException] = []
        thread = threading.Thread(target=_fails, args=(connection, failures))
        thread.start()
        active = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
        gateway.until(lambda: strict.target.sql(active))
        connection.cancel()
        thread.join(20)
        assert [type(failure) for failure in failures] == [psycopg.errors.QueryCanceled]
    log = gateway.log.read_text()
    assert "catalog.not_read" not in log
    gateway.until(gateway.statements)
    assert all(entry["fields"]["catalog"] for entry in gateway.entries if entry["kind"] == "statement.intended")
    # The key was never written down: the cached bundle is sealed, and files for OpenSSL and libpq are in memory only.
    secret = shown.key.splitlines()[1]
    for file in (gateway.log, *gateway.directory.rglob("*")):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def _fails(connection: psycopg.Connection[Any], failures: list[BaseException]) -> None:
    try:
        connection.execute("SELECT pg_sleep(60)")
    except psycopg.Error as error:
        failures.append(error)


@pytest.mark.parametrize(
    ("user", "common_name", "password", "why"),
    [
        ("by_certificate", None, "", "refused the gateway's credential"),
        ("by_certificate", "somebody", "", "refused the gateway's credential"),
        ("by_both", "by_both", "", "asks for a password, and the connection has none"),
        ("by_both", "by_both", "wrong", "refused the gateway's credential"),
        ("by_both", "somebody", "both", "refused the gateway's credential"),
    ],
)
def test_what_the_target_does_not_take(reach: Reach, strict: Strict, user: str, common_name: str | None, password: str, why: str) -> None:
    gateway = reach(user, issued(common_name, strict.authority) if common_name else None, password)
    with pytest.raises(psycopg.OperationalError, match=why):
        psycopg.connect(gateway.dsn())


def test_a_certificate_of_an_authority_that_the_target_does_not_know(reach: Reach) -> None:
    gateway = reach("by_certificate", issued("by_certificate", issued("another authority")))
    with pytest.raises(psycopg.OperationalError, match=r"closed the connection (at once|unexpectedly) \(TLSV1_ALERT_UNKNOWN_CA\)"):
        psycopg.connect(gateway.dsn())


def test_a_key_of_another_certificate(reach: Reach, strict: Strict) -> None:
    shown = Pair(issued("by_certificate", strict.authority).certificate, issued("other").key)
    gateway = reach("by_certificate", shown)
    with pytest.raises(psycopg.OperationalError, match="certificates of connection 'crm' cannot be used: KEY_VALUES_MISMATCH"):
        psycopg.connect(gateway.dsn())
