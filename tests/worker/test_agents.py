"""How agents get in: real clients, with their own TLS and sign-in code, at a real worker in front of PostgreSQL."""

import subprocess
from pathlib import Path

import psycopg
import pytest

from controlplane.stack.tls import self_signed
from tests import engines
from tests.worker.conftest import Make
from tests.worker.gateway import KEY, Gateway


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
            [ssl] = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchall()
            assert ssl == (True,)
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        psycopg.connect(gateway.dsn(sslmode="disable", channel_binding="require"))


def test_a_wrong_key_and_an_unknown_user_hear_the_same(gateway: Gateway) -> None:
    for user in ("bot", "nobody"):
        with pytest.raises(psycopg.OperationalError, match=f'password authentication failed for user "{user}"'):
            psycopg.connect(gateway.dsn(sslmode="require", channel_binding="require", user=user, password=KEY + "x"))
