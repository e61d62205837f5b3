"""Catalogs read from a real server: their content, their freshness, and what a failure leaves."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import structlog
import uvloop

from proxy.policy.bundle import Bundle
from proxy.sql.catalog import Catalog
from tests.conftest import Target
from tests.worker.gateway import bundle, secrets
from worker import catalogs as module
from worker.analysis_messages import Rows
from worker.catalogs import Catalogs

Known = dict[tuple[str, str], Catalog]


class Pool:
    def __init__(self) -> None:
        self.held: dict[str, Rows] = {}

    def hold_catalogs(self, catalogs: dict[str, Rows]) -> None:
        self.held = catalogs


def load(target: Target, **changes: Any) -> Bundle:
    return Bundle.load(json.dumps(bundle(target, **changes)).encode(), secrets(target))


def reading(given: Bundle, work: Callable[[Catalogs, Known, Pool], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        known: Known = {}
        pool = Pool()
        found = Catalogs(known, pool)  # type: ignore[arg-type]
        found.use(given)
        async with asyncio.timeout(30):
            await work(found, known, pool)

    uvloop.run(run())


PLACE = ("crm", "postgres")


def test_a_catalog_is_read_once_and_handed_to_the_analysis(target: Target) -> None:
    target.sql("CREATE TABLE IF NOT EXISTS catalogued (a int, b text NOT NULL)")

    async def work(found: Catalogs, known: Known, pool: Pool) -> None:
        await asyncio.gather(*(found.ensure(*PLACE) for _ in range(5)))
        relation = known[PLACE].resolve(("public", "catalogued"), ())
        assert relation is not None
        assert [(column.name, column.not_null) for column in relation.columns] == [("a", False), ("b", True)]
        assert list(pool.held) == [known[PLACE].digest]
        assert Catalog.load(pool.held[known[PLACE].digest]).digest == known[PLACE].digest

    reading(load(target), work)


def test_a_refresh_sees_what_changed_before_it(target15: Target) -> None:
    target15.sql("DROP TABLE IF EXISTS appears")

    async def work(found: Catalogs, known: Known, pool: Pool) -> None:
        await found.ensure(*PLACE)
        before = known[PLACE]
        reading_already = asyncio.ensure_future(found.refresh(*PLACE))
        await asyncio.sleep(0.01)
        await asyncio.to_thread(target15.sql, "CREATE TABLE appears (a int)")
        await asyncio.gather(*(found.refresh(*PLACE) for _ in range(4)))
        await reading_already
        assert before.resolve(("public", "appears"), ()) is None
        assert known[PLACE].resolve(("public", "appears"), ()) is not None
        assert list(pool.held) == [known[PLACE].digest], "the old one is not kept"

    reading(load(target15), work)


@pytest.mark.parametrize("change", [{"connection": {"port": 1}}, {"tls": "verify-full"}, {"connection": {"user": "nobody_at_all"}}])
def test_a_catalog_that_cannot_be_read_is_unknown(target15: Target, change: dict[str, Any]) -> None:
    async def work(found: Catalogs, known: Known, pool: Pool) -> None:
        await found.ensure(*PLACE)
        assert known == {}

    with structlog.testing.capture_logs() as lines:
        reading(load(target15, **change), work)
    (line,) = lines
    assert line["event"] == "catalog.not_read"
    assert target15.password not in str(line)


def test_a_failing_refresh_keeps_what_is_known(target15: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*given: object) -> Rows:
        raise OSError("gone")

    async def work(found: Catalogs, known: Known, pool: Pool) -> None:
        await found.ensure(*PLACE)
        before = known[PLACE]
        monkeypatch.setattr(module, "_query", fail)
        await found.refresh(*PLACE)
        assert known[PLACE] is before

    reading(load(target15), work)


def test_a_connection_that_leads_elsewhere_or_nowhere_loses_its_catalog(target15: Target) -> None:
    async def work(found: Catalogs, known: Known, pool: Pool) -> None:
        await found.ensure(*PLACE)
        found.use(load(target15, serial=2))
        assert PLACE in known, "the same target"
        found.use(load(target15, serial=3, connection={"credential_version": 2}))
        assert known == {}
        assert pool.held == {}
        await found.ensure(*PLACE)
        found.use(None)
        assert known == {}

    reading(load(target15), work)


def test_every_value_is_postgresqls_text(target15: Target) -> None:
    rows = asyncio.run(module._query(load(target15).connections["crm"], target15.password, "postgres"))
    assert set(rows) == set(module.QUERIES)
    assert all(value is None or isinstance(value, str) for row in rows["columns"] for value in row)


def test_every_reading_is_told(target15: Target) -> None:
    told: list[tuple[tuple[str, str], str]] = []

    async def run() -> None:
        known: Known = {}
        found = Catalogs(known, Pool(), lambda place, digest, rows: told.append((place, digest)))  # type: ignore[arg-type]
        found.use(load(target15))
        await found.ensure(*PLACE)
        assert told == [(PLACE, known[PLACE].digest)]

    asyncio.run(run())
