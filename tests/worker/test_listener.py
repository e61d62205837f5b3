"""Accepting, draining, revoking: with conversations that only say what they were told."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import cast

import pytest
import structlog
import uvloop

from controlplane.stack.ports import free_port
from proxy import events
from tests.worker.control_plane import until
from worker.listener import Listener
from worker.settings import Address


class Talk(asyncio.Protocol):
    """Leaves when it is told to drain, unless it is stubborn."""

    def __init__(self, open_: set["Talk"], stubborn: bool) -> None:
        self.open, self.stubborn = open_, stubborn
        self.told: list[events.Event] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.discard(self)

    def deliver(self, event: events.Event) -> None:
        self.told.append(event)
        if not self.stubborn:
            self.transport.close()

    def abort(self) -> None:
        self.transport.abort()


def listening(work: Callable[[Listener, set[Talk], int], Coroutine[None, None, None]], stubborn: bool = False) -> None:
    async def run() -> None:
        port, open_ = free_port(), set[Talk]()
        listener = Listener(Address("127.0.0.1", port), lambda: Talk(open_, stubborn), open_)  # type: ignore[arg-type,return-value]
        await listener.start()
        async with asyncio.timeout(20):
            await work(listener, open_, port)
            await listener.drain(1)

    with structlog.testing.capture_logs():
        uvloop.run(run())


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_drain_tells_everybody_and_drops_who_stays(stubborn: bool) -> None:
    async def work(listener: Listener, open_: set[Talk], port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: open_)
        (talk,) = open_
        began = asyncio.get_running_loop().time()
        assert listener.accepting
        await listener.drain(0.5)
        assert not listener.accepting
        assert talk.told == [events.Drain()]
        assert not open_
        assert (asyncio.get_running_loop().time() - began >= 0.4) is stubborn
        with pytest.raises(OSError, match="onnect"):
            await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    listening(work, stubborn)


def test_a_revocation_drops_everybody_and_goes_on_listening() -> None:
    async def work(listener: Listener, open_: set[Talk], port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: open_)
        await listener.revoke(0.1)
        assert not open_
        _, again = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: open_)
        for one in (writer, again):
            one.close()

    listening(work, stubborn=True)


def test_several_processes_share_the_port() -> None:
    async def work(listener: Listener, open_: set[Talk], port: int) -> None:
        sister: set[Talk] = set()
        other = Listener(Address("127.0.0.1", port), lambda: Talk(sister, False), sister)  # type: ignore[arg-type,return-value]
        await other.start()
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        await until(lambda: len(open_) + len(sister) == 40)
        assert open_
        assert sister
        for _, writer in clients:
            writer.close()
        await other.drain(1)

    listening(work)
