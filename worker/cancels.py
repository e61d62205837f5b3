"""Brings a CancelRequest to the session that it is meant for, in whichever process of this host that lives."""

from __future__ import annotations

from collections.abc import Callable

from proxy.events import CancelRequested, Event

Key = tuple[int, bytes]  # process id and secret, as BackendKeyData gave them to the client


class Cancels:
    """The cancel keys of this process's sessions. ``pass_on`` reaches the host's other processes."""

    def __init__(self, pass_on: Callable[[Key], None]) -> None:
        self._pass_on = pass_on
        self._owners: dict[Key, Callable[[Event], None]] = {}

    def register(self, key: Key, deliver: Callable[[Event], None]) -> None:
        self._owners[key] = deliver

    def forget(self, key: Key) -> None:
        self._owners.pop(key, None)

    def route(self, key: Key) -> None:
        """A CancelRequest arrived here: deliver it, here or elsewhere. A wrong key reaches nobody and is not answered."""
        if not self.deliver(key):
            self._pass_on(key)

    def deliver(self, key: Key) -> bool:
        """Whether the key belongs to a session of this process, which is told."""
        deliver = self._owners.get(key)
        if deliver is None:
            return False
        deliver(CancelRequested())
        return True
