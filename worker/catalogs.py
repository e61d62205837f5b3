"""What the targets contain, read over a session of the worker's own and kept fresh.

One catalog per (connection, database), with the credentials and the TLS mode of the connection. Loaded before a first
session needs it, again when the core asks, and every minute in the background; requests that arrive together share one
reading. A catalog that cannot be read stays as it was, or unknown: the core then refuses what it cannot judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import psycopg
from psycopg.pq.abc import PGresult

from proxy.policy.bundle import Bundle, Connection
from proxy.sql.catalog import QUERIES, Catalog
from worker.analysis_messages import Rows
from worker.analysis_pool import AnalysisPool
from worker.log import logger
from worker.memory_file import in_memory

REFRESH_SECONDS = 60.0
_CONNECT_SECONDS = 5
_STATEMENT_MS = 15_000

Place = tuple[str, str]  # connection name, the target's database


class Catalogs:
    """Keeps ``known`` (the environment's mapping) and the analysis pool's rows up to date; ``tell`` hears of every reading."""

    def __init__(
        self, known: MutableMapping[Place, Catalog], pool: AnalysisPool, tell: Callable[[Place, str, Rows], object] = lambda *_: None
    ) -> None:
        self._known, self._pool, self._tell = known, pool, tell
        self._bundle: Bundle | None = None
        self._rows: dict[str, Rows] = {}
        self._reading: dict[Place, asyncio.Task[None]] = {}

    def use(self, bundle: Bundle | None) -> None:
        """A new bundle: forget the catalogs of connections that are gone or lead elsewhere now."""
        old, self._bundle = self._bundle, bundle
        for place in list(self._known):
            if bundle is None or old is None or not _same_target(old.connection(place[0]), bundle.connection(place[0])):
                del self._known[place]
        self._hand_over()

    async def ensure(self, connection: str, database: str) -> None:
        """Have a catalog, of whatever age below a minute or so. Never raises."""
        if (connection, database) not in self._known:
            await self.refresh(connection, database)

    async def refresh(self, connection: str, database: str) -> None:
        """Read it again; a reading that began before this call is waited for and followed by another. Never raises."""
        place = (connection, database)
        under_way = self._reading.get(place)
        if under_way is not None:
            await asyncio.wait([under_way])  # it may have looked before the change that the caller wants to see
        # Of several that waited, the first one reads for all.
        task = self._reading.get(place)
        if task is None or task is under_way or task.done():
            task = asyncio.get_running_loop().create_task(self._read(place), name="catalog")
            self._reading[place] = task
        await asyncio.wait([task])

    async def refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            for connection, database in list(self._known):
                await self.refresh(connection, database)

    async def _read(self, place: Place) -> None:
        try:
            bundle = self._bundle
            connection = bundle.connection(place[0]) if bundle else None
            if bundle is None or connection is None:
                return
            rows = await _query(connection, bundle.password(connection.name), place[1], bundle.client_key(connection.name))
            catalog = await asyncio.to_thread(Catalog.load, rows)  # indexing thousands of columns takes a while
            if self._bundle is not None and _same_target(connection, self._bundle.connection(place[0])):
                self._rows[catalog.digest] = rows
                self._known[place] = catalog
                self._hand_over()
                self._tell(place, catalog.digest, rows)
        except (psycopg.Error, OSError, TimeoutError, ValueError) as error:
            logger().warning("catalog.not_read", connection=place[0], database=place[1], reason=_reason(error))
        finally:
            self._reading.pop(place, None)

    def _hand_over(self) -> None:
        used = {catalog.digest for catalog in self._known.values()}
        self._rows = {digest: rows for digest, rows in self._rows.items() if digest in used}
        self._pool.hold_catalogs(self._rows)


async def _query(connection: Connection, password: str, database: str, client_key: str | None = None) -> Rows:
    with _files(connection, client_key) as files:
        async with asyncio.timeout(_CONNECT_SECONDS + len(QUERIES) * _STATEMENT_MS / 1000):
            session = await psycopg.AsyncConnection.connect(
                host=connection.host, port=connection.port, dbname=database, user=connection.user, password=password,
                sslmode=connection.tls.mode, **files, gssencmode="disable", connect_timeout=_CONNECT_SECONDS,
                application_name="tidegate-catalog", client_encoding="UTF8", autocommit=True,
                options=f"-c default_transaction_read_only=on -c statement_timeout={_STATEMENT_MS}",
            )  # fmt: skip
            async with session:
                return await _run(session)


async def _run(session: psycopg.AsyncConnection[tuple[object, ...]]) -> Rows:
    rows: Rows = {}
    # One snapshot: relations and columns of two different moments would not fit together.
    await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    for name, query in QUERIES.items():
        cursor = await session.execute(query)
        assert cursor.pgresult is not None
        rows[name] = await asyncio.to_thread(_texts, cursor.pgresult)
    await session.execute("COMMIT")
    return rows


def _texts(result: PGresult) -> list[list[str | None]]:
    """Every value as PostgreSQL sent it, whatever its type."""
    columns = range(result.nfields)
    values = ([result.get_value(row, column) for column in columns] for row in range(result.ntuples))
    return [[None if value is None else value.decode() for value in row] for row in values]


@contextlib.contextmanager
def _files(connection: Connection, client_key: str | None) -> Iterator[dict[str, Any]]:
    """What libpq reads from files: the authorities (the connection's own, else the system's), our certificate and its key."""
    tls = connection.tls
    found: dict[str, Any] = {}
    with contextlib.ExitStack() as files:
        if tls.mode in ("verify-ca", "verify-full"):
            found["sslrootcert"] = ssl.get_default_verify_paths().cafile if tls.ca is None else files.enter_context(in_memory(tls.ca))
        if tls.client_cert is not None:
            found["sslcert"] = found["sslkey"] = files.enter_context(in_memory(f"{tls.client_cert}\n{client_key}\n"))
        yield found


def _same_target(old: Connection | None, new: Connection | None) -> bool:
    def target(connection: Connection) -> tuple[object, ...]:
        return connection.host, connection.port, connection.user, connection.credential_version, connection.tls

    return old is not None and new is not None and target(old) == target(new)


def _reason(error: Exception) -> str:
    """libpq's messages name host and role, never the password; one line of them."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
