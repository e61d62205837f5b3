"""Reports of catalogs over real HTTP: by digest first, once, and again after a failure."""

import asyncio
import base64
import json
import zlib
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
import structlog
import uvloop

from tests.worker.control_plane import Call, ControlPlane, Reply, until
from worker import catalog_reports
from worker.analysis_messages import Rows
from worker.background import Background
from worker.catalog_reports import CatalogReports
from worker.control import Control

PLACE = ("crm", "postgres")
ROWS: Rows = {"schemas": [["public"], ["crm"]]}


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    made = ControlPlane()
    yield made
    made.close()


def reporting(plane: ControlPlane, directory: Path, work: Callable[[CatalogReports], Coroutine[None, None, None]]) -> None:
    me = plane.enrol(directory)

    async def run() -> None:
        control, background = Control(plane.url, me), Background()
        try:
            async with asyncio.timeout(20):
                await work(CatalogReports(control, background))
        finally:
            await background.stop()
            await control.close()

    uvloop.run(run())


def test_what_is_wanted_is_sent_once(plane: ControlPlane, tmp_path: Path) -> None:
    plane.on("POST", "catalog", lambda call: Reply(200, {"wanted": "content" not in call.json}))

    async def work(reports: CatalogReports) -> None:
        reports.tell(PLACE, "a" * 64, ROWS)
        await until(lambda: len(plane.called("catalog")) == 2)
        reports.tell(PLACE, "a" * 64, ROWS)
        reports.tell(PLACE, "b" * 64, ROWS)
        await until(lambda: len(plane.called("catalog")) == 4)

    reporting(plane, tmp_path, work)
    first, second, third, _ = [call.json for call in plane.called("catalog")]
    assert first == {"connection": "crm", "database": "postgres", "digest": "a" * 64}
    assert json.loads(zlib.decompress(base64.b64decode(second["content"]))) == ROWS
    assert third["digest"] == "b" * 64


def test_what_is_known_is_not_sent(plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plane.on("POST", "catalog", Reply(200, {"wanted": False}))
    monkeypatch.setattr(catalog_reports, "AGAIN_SECONDS", 0.0)

    async def work(reports: CatalogReports) -> None:
        for number in (1, 2):
            reports.tell(PLACE, "a" * 64, ROWS)
            await until(lambda wanted=number: len(plane.called("catalog")) == wanted)

    reporting(plane, tmp_path, work)
    assert all("content" not in call.json for call in plane.called("catalog"))


def test_a_failure_is_told_after_the_next_reading(plane: ControlPlane, tmp_path: Path) -> None:
    def fails_once(call: Call) -> Reply:
        return Reply(503) if len(plane.called("catalog")) == 1 else Reply(200, {"wanted": False})

    plane.on("POST", "catalog", fails_once)

    async def work(reports: CatalogReports) -> None:
        reports.tell(PLACE, "a" * 64, ROWS)
        await until(lambda: lines)
        reports.tell(PLACE, "a" * 64, ROWS)
        await until(lambda: len(plane.called("catalog")) == 2)

    with structlog.testing.capture_logs() as lines:
        reporting(plane, tmp_path, work)
    assert [line["event"] for line in lines] == ["catalog.not_told"]


def test_what_is_too_large_stays(plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plane.on("POST", "catalog", Reply(200, {"wanted": True}))
    monkeypatch.setattr(catalog_reports, "LARGEST", 5)

    async def work(reports: CatalogReports) -> None:
        reports.tell(PLACE, "a" * 64, ROWS)
        await until(lambda: lines)

    with structlog.testing.capture_logs() as lines:
        reporting(plane, tmp_path, work)
    assert [line["event"] for line in lines] == ["catalog.too_large_to_tell"]
    assert len(plane.called("catalog")) == 1
