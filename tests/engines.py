"""The engines that a test session runs on: addresses are fixed when this is imported, servers start when a fixture asks.

Given by the environment instead: `TIDEGATE_DATABASE_URL` and `TIDEGATE_BROKER_URL` (the control plane's),
`TIDEGATE_TEST_TARGET_DSN` (a superuser's libpq string), `TIDEGATE_PG15_BINDIR` (default: Debian's place).
"""

import atexit
import os
import secrets
import shutil
import tempfile
from functools import cache
from pathlib import Path

from psycopg.conninfo import make_conninfo

from controlplane.stack import secrets as stack_secrets
from controlplane.stack.ports import LOOPBACK, free_port
from controlplane.stack.postgres import SUPERUSER, Postgres, default_bindir
from controlplane.stack.tls import self_signed
from controlplane.stack.valkey import Valkey

DEBIAN15 = Path(os.environ.get("TIDEGATE_PG15_BINDIR", "/usr/lib/postgresql/15/bin"))
# Each process that runs tests has engines of its own: what pytest-xdist's controller made is not given to its workers.
_RUNNER = os.environ.get("PYTEST_XDIST_WORKER", "main")
if os.environ.get("TIDEGATE_TEST_ENGINES_OF", _RUNNER) != _RUNNER:
    for _name in os.environ.pop("TIDEGATE_TEST_MADE").split():
        del os.environ[_name]
GIVEN = frozenset(os.environ)  # before anything here adds to it
PASSWORD = secrets.token_urlsafe(16)


@cache
def directory() -> Path:
    """Data of this session's engines, gone when the session ends."""
    path = Path(tempfile.mkdtemp(prefix="tidegate-tests-"))
    path.chmod(0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@cache
def port_of(name: str) -> int:
    return free_port()


@cache
def environment() -> dict[str, str]:
    """What the control plane reads (docs/contracts.md §7), completed with what the environment leaves open."""
    made = {
        **stack_secrets.generate(),
        "TIDEGATE_DATABASE_URL": f"postgresql://{SUPERUSER}:{PASSWORD}@{LOOPBACK}:{port_of('control')}/{SUPERUSER}",
        "TIDEGATE_BROKER_URL": f"redis://:{PASSWORD}@{LOOPBACK}:{port_of('broker')}/0",
        "TIDEGATE_PUBLIC_URL": "http://localhost:8000",
        "TIDEGATE_ALLOWED_HOSTS": "testserver",
        "TIDEGATE_EMAIL_URL": f"file://{directory() / 'mail'}",
        "TIDEGATE_EMAIL_FROM": "tidegate@example.com",
        "TIDEGATE_TEST_TARGET_DSN": make_conninfo(
            host=LOOPBACK, port=port_of("target15"), dbname=SUPERUSER, user=SUPERUSER, password=PASSWORD
        ),
    }
    return made | {name: os.environ[name] for name in made if name in GIVEN}


def announced() -> dict[str, str]:
    """`environment()`, and who made it: for this process's own environment, which what it starts inherits."""
    made = environment().keys() - GIVEN
    return environment() | {"TIDEGATE_TEST_ENGINES_OF": _RUNNER, "TIDEGATE_TEST_MADE": " ".join(sorted(made))}


def control_database() -> Postgres | None:
    """The control plane's server, not started; None when the environment gives one."""
    if "TIDEGATE_DATABASE_URL" in GIVEN:
        return None
    return Postgres(directory() / "control", port=port_of("control"), password=PASSWORD, durable=False)


def broker() -> Valkey | None:
    """The broker, not started; None when the environment gives one."""
    if "TIDEGATE_BROKER_URL" in GIVEN:
        return None
    return Valkey(directory() / "broker", port=port_of("broker"), password=PASSWORD)


def target15() -> Postgres:
    """Debian's PostgreSQL 15, which offers TLS with the certificate `directory()/tls/cert.pem`."""
    certificate, key = self_signed(directory() / "tls")
    tls = {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
    return Postgres(
        directory() / "target15", name="target15", bindir=DEBIAN15, port=port_of("target15"), password=PASSWORD, durable=False, settings=tls
    )


def target18() -> Postgres:
    """The wheel's PostgreSQL 18, built without TLS."""
    return Postgres(directory() / "target18", name="target18", port=port_of("target18"), password=PASSWORD, durable=False)


def client(program: str) -> Path:
    """psql or pgbench: Debian's, which speaks TLS, else the wheel's."""
    return next(path for path in (DEBIAN15 / program, default_bindir() / program) if path.exists())
