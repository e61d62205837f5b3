import asyncio

import pytest

from worker import cancels as module
from worker.cancels import Cancels, Key


def test_a_key_reaches_its_session_and_is_done_when_the_target_has_taken_the_cancel() -> None:
    async def run() -> None:
        passed: list[Key] = []
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        cancels = Cancels(passed.append)
        cancels.register((1, b"abcd"), lambda: taken)
        assert cancels.route((1, b"abcd")) is taken
        assert passed == []
        cancels.forget((1, b"abcd"))
        assert cancels.deliver((1, b"abcd")) is None

    asyncio.run(run())


def test_an_unknown_key_reaches_the_other_processes_and_is_done_when_one_of_them_says_so() -> None:
    async def run() -> None:
        passed: list[Key] = []
        cancels = Cancels(passed.append)
        waiting = cancels.route((1, b"abce"))
        assert cancels.route((1, b"abce")) is waiting
        assert passed == [(1, b"abce")]
        cancels.answered((2, b"abce"))
        assert not waiting.done()
        cancels.answered((1, b"abce"))
        assert waiting.done()

    asyncio.run(run())


def test_nobody_waits_for_ever_for_a_key_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.01)

    async def run() -> None:
        async with asyncio.timeout(5):
            await Cancels(lambda key: None).route((1, b"abce"))

    asyncio.run(run())


def test_the_patience_with_one_cancel_does_not_end_the_wait_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    # pgjdbc times many short statements of one session out: their next statement was hit when a cancel seemed to be taken too early.
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.01)

    async def run() -> None:
        loop, key = asyncio.get_running_loop(), (1, b"abce")
        cancels, later = Cancels(lambda key: None), loop.create_future()
        first = cancels.route(key)
        loop.call_later(0.01, later.set_result, None)
        cancels.answered(key)
        await first
        monkeypatch.setattr(module, "_PATIENCE_SECONDS", 60)
        second = cancels.route(key)
        await later
        assert not second.done()

    asyncio.run(run())
