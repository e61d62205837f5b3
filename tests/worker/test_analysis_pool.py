"""A pool whose processes hang, die and lie; what it answers then, and that it goes on."""

import asyncio
import sys
from collections.abc import Callable, Coroutine

import pytest
import uvloop

from proxy.sql.facts import Analysis, AnalysisRequest
from worker import analysis_pool
from worker.analysis_pool import AnalysisPool
from worker.metrics import Metrics

FAKE = (sys.executable, "-m", "tests.worker.slow_analyser")


def request(sql: str, catalog: str = "") -> AnalysisRequest:
    return AnalysisRequest(sql, catalog, ("public",), {}, "m")


class Stored(dict[tuple[object, ...], Analysis]):
    def put(self, key: tuple[object, ...], analysis: Analysis) -> None:
        self[key] = analysis


def pooled(work: Callable[[AnalysisPool, Stored], Coroutine[None, None, None]], processes: int = 1) -> None:
    async def run() -> None:
        stored = Stored()
        pool = AnalysisPool(stored.put, Metrics(), processes=processes, command=FAKE)
        task = asyncio.create_task(pool.run_forever())
        async with asyncio.timeout(30):
            await work(pool, stored)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    uvloop.run(run())


def pid(analysis: Analysis) -> str:
    return analysis.problem.split()[0]


def test_an_answer_is_stored_and_the_process_is_kept() -> None:
    async def work(pool: AnalysisPool, stored: Stored) -> None:
        first, second = await pool.analyse(request("a")), await pool.analyse(request("b"))
        assert pid(first) == pid(second)
        assert stored[request("a").key] == first

    pooled(work)


@pytest.mark.parametrize(("sql", "problem"), [("hang", "took longer than"), ("die", "died over it"), ("nonsense", "died over it")])
def test_a_process_that_does_not_answer_is_replaced(monkeypatch: pytest.MonkeyPatch, sql: str, problem: str) -> None:
    monkeypatch.setattr(analysis_pool, "DEADLINE", 1.0)

    async def work(pool: AnalysisPool, stored: Stored) -> None:
        before = await pool.analyse(request("a"))
        broken = await pool.analyse(request(sql))
        assert problem in broken.problem
        assert request(sql).key not in stored
        assert pid(await pool.analyse(request("b"))) != pid(before)

    pooled(work)


def test_one_that_hangs_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis_pool, "DEADLINE", 3.0)

    async def work(pool: AnalysisPool, stored: Stored) -> None:
        await asyncio.gather(pool.analyse(request("pause")), pool.analyse(request("pause2")))  # both are up
        hanging = asyncio.ensure_future(pool.analyse(request("hang")))
        await asyncio.sleep(0.1)
        assert (await pool.analyse(request("b"))).problem
        assert not hanging.done()
        await hanging

    pooled(work, processes=2)


def test_a_catalog_is_sent_when_it_is_new_and_again_to_a_new_process() -> None:
    async def work(pool: AnalysisPool, stored: Stored) -> None:
        pool.hold_catalogs({"d1": {"schemas": [["public"]]}})
        assert (await pool.analyse(request("a", "d1"))).problem.split()[1] == "d1"
        assert (await pool.analyse(request("b", "d1"))).problem.split()[1] == "d1", "and only once"
        await pool.analyse(request("die", "d1"))
        assert (await pool.analyse(request("c", "d1"))).problem.split()[1] == "d1"
        assert "is gone" in (await pool.analyse(request("d", "d2"))).problem

    pooled(work)


def test_equal_requests_under_way_are_one() -> None:
    async def work(pool: AnalysisPool, stored: Stored) -> None:
        answers = await asyncio.gather(*(pool.analyse(request("pause")) for _ in range(5)))
        assert len({id(answer) for answer in answers}) == 1

    pooled(work)


def test_a_full_queue_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis_pool, "_QUEUE", 2)

    async def work(pool: AnalysisPool, stored: Stored) -> None:
        answers = await asyncio.gather(*(pool.analyse(request(f"{number}")) for number in range(5)))
        assert sum("too many" in answer.problem for answer in answers) == 3

    pooled(work)


def test_nobody_waits_for_ever_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis_pool, "_PATIENCE", 0.5)
    monkeypatch.setattr(analysis_pool, "DEADLINE", 1.5)

    async def work(pool: AnalysisPool, stored: Stored) -> None:
        await pool.analyse(request("a"))
        first, second = await asyncio.gather(pool.analyse(request("hang")), pool.analyse(request("b")))
        assert "turn in time" in second.problem
        assert first.problem

    pooled(work)


def test_the_processes_get_none_of_the_workers_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_BROKER_URL", "redis://:secret@host/0")

    async def work(pool: AnalysisPool, stored: Stored) -> None:
        assert "TIDEGATE" not in (await pool.analyse(request("a"))).problem

    pooled(work)
