import asyncio

import structlog

from worker.background import Background


def test_a_failing_task_is_logged_and_others_go_on() -> None:
    async def run() -> bool:
        background = Background()
        done = asyncio.Event()

        async def fail() -> None:
            raise ValueError("quotes SQL")

        async def succeed() -> None:
            await asyncio.sleep(0.01)
            done.set()

        background.start(fail(), "failing")
        background.start(succeed(), "good")
        await asyncio.wait_for(done.wait(), 2)
        endless = background.start(asyncio.Event().wait(), "endless")  # type: ignore[arg-type]
        await background.stop()
        return endless.cancelled()

    with structlog.testing.capture_logs() as lines:
        assert asyncio.run(run())
    assert [(line["event"], line["task"]) for line in lines] == [("task.failed", "failing")]
