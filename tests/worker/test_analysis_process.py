"""The real analyser in its own process, behind the pool as the worker uses it."""

import asyncio

import psutil
import uvloop

from proxy.sql.facts import Analysis, AnalysisRequest
from tests.conftest import Target
from tests.worker.test_catalogs import load
from worker import catalogs
from worker.analysis_pool import AnalysisPool
from worker.metrics import Metrics


def analysed(target: Target, *statements: str) -> tuple[list[Analysis], list[psutil.Process]]:
    async def run() -> tuple[list[Analysis], list[psutil.Process]]:
        stored: dict[object, Analysis] = {}
        pool = AnalysisPool(stored.__setitem__, Metrics(), processes=1)
        rows = await catalogs._query(load(target).connections["crm"], target.password, "postgres")
        digest = catalogs.Catalog.load(rows).digest
        pool.hold_catalogs({digest: rows})
        task = asyncio.create_task(pool.run_forever())
        requests = [AnalysisRequest(sql, digest, ("pg_catalog", "public"), {}, "m") for sql in statements]
        answers = [await pool.analyse(request) for request in requests]
        children = [child for child in psutil.Process().children() if "worker.analysis_process" in child.cmdline()]
        limits = [child.rlimit(psutil.RLIMIT_CORE) for child in children]
        assert limits == [(0, 0)], "no core dump: it would hold SQL"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert list(stored) == [request.key for request in requests]
        return answers, children

    return uvloop.run(run())


def test_facts_come_from_another_process_and_know_the_catalog(target15: Target) -> None:
    target15.sql("CREATE TABLE IF NOT EXISTS analysed (a int, b text)")
    (select, broken, star), children = analysed(target15, "SELECT 1", "SELEC 1", "SELECT * FROM analysed")
    assert select.statements[0].action == "select"
    assert broken.syntax is not None
    assert star.statements[0].columns == {"public.analysed.a", "public.analysed.b"}
    assert not any(child.is_running() for child in children)


def test_hostile_depth_is_an_answer_and_not_a_death(target15: Target) -> None:
    (deep, after), _ = analysed(target15, "SELECT " + "(" * 20_000 + "1" + ")" * 20_000, "SELECT 2")
    assert deep.problem or deep.syntax
    assert after.statements[0].action == "select"
