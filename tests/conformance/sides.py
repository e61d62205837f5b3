"""The two ways to the same kind of server: directly, and through a worker. Everything but the port is equal.

The gateway's subject has the name and password of the server's superuser, and there is a connection for each database, under its
name: a suite cannot be told more than an address. Where the server offers TLS, so does the gateway, and it uses it on both ends.
"""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from controlplane.stack.ports import LOOPBACK, free_port
from controlplane.stack.postgres import SUPERUSER, Postgres, default_bindir
from controlplane.stack.tls import self_signed
from controlplane.stack.valkey import Valkey
from proxy.wire.scram import derive
from tests import engines
from tests.worker.control_plane import Call, ControlPlane, Reply
from tests.worker.gateway import SALT, Gateway, bundle

PASSWORD = "conformance"
DIRECT, THROUGH = "direct", "through"


@dataclass(frozen=True, slots=True)
class Side:
    """Where a suite connects, and the server behind it."""

    name: str  # direct | through
    port: int
    server: Postgres
    version: int
    host: str = LOOPBACK
    user: str = SUPERUSER
    password: str = PASSWORD

    @property
    def tls(self) -> bool:
        return self.version == 15  # the wheel's servers are built without it

    def libpq(self, dbname: str) -> dict[str, str]:
        """The variables that libpq and its like read."""
        return {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user, "PGPASSWORD": self.password, "PGDATABASE": dbname}


@contextmanager
def side(name: str, version: int, databases: tuple[str, ...], directory: Path) -> Iterator[Side]:
    """A new server, and for `through` a worker in front of it; all of it ends with the context."""
    tls = self_signed(directory / "tls") if version == 15 else None
    server = Postgres(
        directory / "server",
        name="server",
        bindir=engines.DEBIAN15 if version == 15 else default_bindir(),
        password=PASSWORD,
        durable=False,
        settings=_settings(tls),
    )
    server.start()
    try:
        if name == DIRECT:
            yield Side(name, server.port, server, version)
        else:
            with _gateway(server, version, (SUPERUSER, *databases), directory, tls) as gateway:
                yield Side(name, gateway.port, server, version)
    finally:
        server.stop()


def _settings(tls: tuple[Path, Path] | None) -> dict[str, str]:
    # pg_regress gives its own servers two prepared transactions; drivers' suites skip what they cannot have.
    settings = {"max_prepared_transactions": "10"}
    return settings if tls is None else settings | {"ssl": "on", "ssl_cert_file": str(tls[0]), "ssl_key_file": str(tls[1])}


@contextmanager
def _gateway(
    server: Postgres, version: int, databases: tuple[str, ...], directory: Path, tls: tuple[Path, Path] | None
) -> Iterator[Gateway]:
    plane, broker = ControlPlane(), Valkey(directory / "broker", port=free_port(), password=PASSWORD)
    broker.start()
    variables = {} if tls is None else {"TIDEGATE_TLS_CERT": str(tls[0]), "TIDEGATE_TLS_KEY": str(tls[1])}
    gateway = Gateway(plane, directory / "worker", broker.url(), processes=2, **variables)
    plane.on("POST", "audit", _acknowledge)
    try:
        gateway.start(ready=False)
        gateway.until(lambda: plane.called("enrol"))
        plane.publish(_allow_all(server, databases, "disable" if tls is None else "require"), _secrets(databases))
        gateway.until(lambda: gateway.health()[0] == 200)
        yield gateway
        gateway.stop()
    finally:
        gateway.close()
        plane.close()
        broker.stop()


def _acknowledge(call: Call) -> Reply:
    """What the suites did is of no interest here."""
    return Reply(200, {"acknowledged": json.loads(call.json["entries"][-1]["entry"])["seq"]})


def _allow_all(server: Postgres, databases: tuple[str, ...], tls: str) -> dict[str, object]:
    target = SimpleNamespace(host=LOOPBACK, port=server.port, user=SUPERUSER, password=PASSWORD)
    made = bundle(target, tls=tls)  # type: ignore[arg-type]
    key = derive(PASSWORD, SALT, 4096, "k1")
    encoded = {"stored_key": base64.b64encode(key.stored_key).decode(), "server_key": base64.b64encode(key.server_key).decode()}
    [subject], [connection], [grant] = made["subjects"], made["connections"], made["grants"]
    subject["name"] = SUPERUSER
    subject["scram"]["keys"] = [{"id": "k1", "expires": None, **encoded}]
    made["connections"] = [{**connection, "name": name, "dbname": name} for name in databases]
    grant |= {"subjects": [SUPERUSER], "connections": list(databases)}
    return dict(made)


def _secrets(databases: tuple[str, ...]) -> dict[str, object]:
    secret: Mapping[str, str] = {"password": PASSWORD, "hash_key": base64.b64encode(bytes(32)).decode()}
    return {"connections": dict.fromkeys(databases, secret)}


def programs(version: int) -> Path:
    """Where psql, pg_dump and pgbench of this version are."""
    return engines.DEBIAN15 if version == 15 else default_bindir()


def with_programs(environment: dict[str, str], version: int) -> dict[str, str]:
    return environment | {"PATH": f"{programs(version)}{os.pathsep}{environment['PATH']}"}
