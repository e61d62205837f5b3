"""A vault behind a gateway that allows everything but to see its secrets, and the same vault with nothing in front."""

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Target
from tests.leak.raw import RawClient
from tests.worker.control_plane import ControlPlane
from tests.worker.gateway import KEY, Gateway, bundle

ROLE, PASSWORD = "leak_agent", secrets.token_urlsafe(16)
SCHEMA = (Path(__file__).parent / "schema.sql").read_text()
# What attacks may have changed; a vault that gives another answer is built anew.
_STATE = """
    SELECT md5(concat((SELECT array_agg(p ORDER BY id) FROM vault.people p), (SELECT array_agg(b ORDER BY id) FROM vault.base b),
           (SELECT array_agg(e ORDER BY id) FROM vault.events e), (SELECT array_agg(t ORDER BY id) FROM open.notes t),
           (SELECT array_agg(o ORDER BY id) FROM open.people o), (SELECT array_agg(w ORDER BY code) FROM vault.wards w),
           (SELECT array_agg(n.nspname || c.relname ORDER BY 1) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname IN ('vault', 'open', 'gone')),
           (SELECT array_agg(attname ORDER BY attrelid, attnum) FROM pg_attribute WHERE attrelid >= 16384),
           (SELECT array_agg(tgname) FROM pg_trigger), (SELECT count(*) FROM pg_constraint), (SELECT count(*) FROM pg_proc),
           (SELECT array_agg(k ORDER BY id) FROM vault.kinds k), (SELECT array_agg(g ORDER BY id) FROM vault.governed g),
           (SELECT array_agg(o ORDER BY id) FROM open.orders o), (SELECT array_agg(g ORDER BY n) FROM open.guesses g),
           (SELECT array_agg(oprname) FROM pg_operator WHERE oid >= 16384), (SELECT count(*) FROM pg_extension),
           (SELECT count(*) FROM vault.log), (SELECT count(*) FROM vault.diary), (SELECT count(*) FROM vault.ruled),
           (SELECT count(*) FROM open.rung), (SELECT count(*) FROM open.bell)))
"""


class Vault:
    """A database with the schema, built anew when something changed it."""

    def __init__(self, dsn: str, schema: str = SCHEMA) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._schema = schema
        self.build()

    def build(self) -> None:
        self._connection.execute("SET client_min_messages = error; DROP SCHEMA IF EXISTS vault, open, gone, safe CASCADE")
        self._connection.execute(self._schema)
        self._built = self._state()

    def mend(self) -> bool:
        """Whether it had to be built anew."""
        if changed := self._state() != self._built:
            self.build()
        return changed

    def settle(self) -> None:
        """Clear away what changes that were rolled back have left, so that plans stay the same."""
        self._connection.execute("VACUUM (ANALYZE) vault.people, vault.base, vault.heir, vault.events, vault.wards, vault.log")
        self._connection.execute("VACUUM (ANALYZE) open.people, open.notes")

    def _state(self) -> object:
        try:
            return self._connection.execute(_STATE).fetchone()
        except psycopg.Error as error:
            return error.sqlstate

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="package")
def vaults(target15: Target) -> Iterator[tuple[Vault, Vault]]:
    """Behind the gateway, and open to everybody."""
    target15.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    made = []
    for dbname in ("leak_guarded", "leak_bare"):
        target15.sql(f"CREATE DATABASE {dbname} OWNER {ROLE}")
        made.append(Vault(target15.dsn(dbname, ROLE, PASSWORD)))
    yield made[0], made[1]
    for vault in made:
        vault.close()
    for dbname in ("leak_guarded", "leak_bare"):
        target15.sql(f"DROP DATABASE {dbname} WITH (FORCE)")
    target15.sql(f"DROP ROLE {ROLE}")


@contextmanager
def guard(directory: Path, target: Target, broker: str, databases: list[str]) -> Iterator[Gateway]:
    """A gateway before the guarded vault, and before these databases of the same server under ``crm/NAME``."""
    plane = ControlPlane()
    connection = {"dbname": "leak_guarded", "databases": databases, "user": ROLE}
    secret = {"connections": {"crm": {"password": PASSWORD, "hash_key": base64.b64encode(bytes(32)).decode()}}}
    made = Gateway(plane, directory / "worker", broker)
    try:
        made.start(ready=False)
        made.until(lambda: plane.called("enrol"))
        plane.publish(bundle(target, masking=MASKING, connection=connection), secret)
        made.until(lambda: made.health()[0] == 200)
        yield made
    finally:
        made.close()
        plane.close()


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory, target15: Target, vaults: tuple[Vault, Vault], broker: str) -> Iterator[Gateway]:
    """One process: a session that makes a table has the gateway read the catalog for all others."""
    with guard(tmp_path_factory.mktemp("leaks"), target15, broker, []) as made:
        yield made


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Callable[[], RawClient]]:
    opened: list[RawClient] = []

    def connect() -> RawClient:
        opened.append(RawClient("127.0.0.1", gateway.port, "bot", KEY, "crm"))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def _masking(name: str, columns: list[str], method: dict[str, object]) -> dict[str, object]:
    return {"name": name, "connections": None, "columns": columns, "method": method, "lookups": "deny", "cleared": []}


KINDS = (
    "label", "title", "page", "words", "asked", "plan", "cost", "price", "spell", "stay", "stays", "amounts", "at", "seen", "big", "ref",
    "spot", "lines", "homes", "moods",
)  # fmt: skip
MASKING = [
    _masking("secrets", [f"vault.people.{name}" for name in ("secret", "note", "tags", "mood", "home", "raw")], {"name": "redact"}),
    _masking("more", ["vault.base.secret", "vault.events.secret", "vault.governed.secret"], {"name": "redact"}),
    _masking("kinds", [f"vault.kinds.{name}" for name in KINDS], {"name": "redact"}),
    _masking("email", ["vault.people.email"], {"name": "email"}),
    _masking("phone", ["vault.people.phone"], {"name": "partial", "first": 2, "last": 1}),
    _masking("born", ["vault.people.born"], {"name": "year"}),
    _masking("pay", ["vault.people.pay"], {"name": "round", "to": 1000}),
    _masking("token", ["vault.people.token"], {"name": "hash"}),
]
