"""The agents' port of one worker process, shared with its sisters by SO_REUSEPORT: the kernel spreads the connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy import events
from worker.connection import Conversation
from worker.log import logger
from worker.settings import Address

_BACKLOG = 1024
_STEP_SECONDS = 0.05


class Listener:
    """Accepts agents until it drains. ``open`` holds their conversations, each adds and removes itself."""

    def __init__(self, address: Address, make: Callable[[], Conversation], open_: set[Conversation]) -> None:
        self._address, self._make, self._open = address, make, open_
        self._server: asyncio.Server | None = None

    @property
    def accepting(self) -> bool:
        return self._server is not None and self._server.is_serving()

    async def start(self) -> None:
        """Raises: OSError."""
        self._server = await asyncio.get_running_loop().create_server(
            self._make, self._address.host, self._address.port, reuse_port=True, backlog=_BACKLOG
        )
        logger().info("listening", host=self._address.host, port=self._address.port)

    async def drain(self, seconds: float) -> None:
        """Accept nobody, let statements under way finish, and end what remains after ``seconds``."""
        if self._server is not None:
            self._server.close()
        for conversation in list(self._open):
            conversation.deliver(events.Drain())
        await self._empty(seconds)
        await self.end_all("drain")

    async def revoke(self, seconds: float) -> None:
        """Tell everybody to go, and drop whoever is still there after ``seconds``; the port stays open to say why."""
        for conversation in list(self._open):
            conversation.deliver(events.Drain())
        await asyncio.sleep(seconds)
        await self.end_all("revoked")

    async def end_all(self, why: str) -> None:
        """Drop every conversation that is still there."""
        if not self._open:
            return
        logger().warning("sessions.dropped", count=len(self._open), reason=why)
        for conversation in list(self._open):
            conversation.abort()
        await self._empty(1.0)

    async def _empty(self, seconds: float) -> None:
        """Wait until nobody is left, for at most ``seconds``."""
        for _ in range(round(seconds / _STEP_SECONDS)):
            if not self._open:
                return
            await asyncio.sleep(_STEP_SECONDS)
