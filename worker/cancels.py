"""Brings a CancelRequest to the session that it is meant for, in whichever process of this host that lives.

A client may send its next statement as soon as the connection of its CancelRequest is closed, so that one stays open until
the target has taken the cancel: it would hit the next statement otherwise. Hence the futures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Key = tuple[int, bytes]  # process id and secret, as BackendKeyData gave them to the client
_PATIENCE_SECONDS = 1.0  # with another process; with a key that nobody has, it is always that long


class Cancels:
    """The cancel keys of this process's sessions. ``pass_on`` reaches the host's other processes."""

    def __init__(self, pass_on: Callable[[Key], None]) -> None:
        self._pass_on = pass_on
        self._owners: dict[Key, Callable[[], asyncio.Future[None]]] = {}
        self._passed_on: dict[Key, asyncio.Future[None]] = {}

    def register(self, key: Key, cancel: Callable[[], asyncio.Future[None]]) -> None:
        """``cancel`` tells the session; what it returns is done once the target has taken the cancel."""
        self._owners[key] = cancel

    def forget(self, key: Key) -> None:
        self._owners.pop(key, None)

    def route(self, key: Key) -> asyncio.Future[None]:
        """A CancelRequest arrived here: deliver it, here or elsewhere. A wrong key reaches nobody and is not answered.

        Done when there is nothing more to wait for.
        """
        if (delivered := self.deliver(key)) is not None:
            return delivered
        loop = asyncio.get_running_loop()
        waiting = self._passed_on.get(key)
        if waiting is None:
            waiting = self._passed_on[key] = loop.create_future()
            patience = loop.call_later(_PATIENCE_SECONDS, self.answered, key)
            waiting.add_done_callback(lambda _: patience.cancel())  # it would answer the session's next cancel
            self._pass_on(key)
        return waiting

    def deliver(self, key: Key) -> asyncio.Future[None] | None:
        """Tell the session, if the key belongs to one of this process."""
        cancel = self._owners.get(key)
        return cancel() if cancel is not None else None

    def answered(self, key: Key) -> None:
        """Another process has delivered it."""
        waiting = self._passed_on.pop(key, None)
        if waiting is not None:
            waiting.set_result(None)
