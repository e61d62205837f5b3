"""The connections of a process on which nobody has signed in yet.

They cost memory and descriptors and prove nothing, so there are never more than a bound, of all and of one network: the
oldest goes when another comes. A client that signs in at once always gets its turn, however many sit there in silence.
"""

from __future__ import annotations

import resource
from typing import Protocol

from proxy.session.attempts import network_of
from worker.metrics import Metrics

_MOST = 4096


class Connection(Protocol):
    def abort(self) -> None: ...


class HalfOpen:
    def __init__(self, metrics: Metrics, limit: int, limit_per_network: int) -> None:
        self._metrics, self._limit, self._limit_per_network = metrics, limit, limit_per_network
        self._all: dict[Connection, str] = {}  # in the order in which they came
        self._by_network: dict[str, dict[Connection, None]] = {}

    def add(self, connection: Connection, address: str) -> None:
        """A connection came; others may have to go for it."""
        network = network_of(address)
        if len(self._by_network.get(network, ())) >= self._limit_per_network:
            self._drop(next(iter(self._by_network[network])))
        elif len(self._all) >= self._limit:
            self._drop(next(iter(self._all)))
        self._all[connection] = network
        self._by_network.setdefault(network, {})[connection] = None

    def discard(self, connection: Connection) -> None:
        """It signed in, or is gone."""
        network = self._all.pop(connection, None)
        if network is None:
            return
        place = self._by_network[network]
        del place[connection]
        if not place:
            del self._by_network[network]

    def _drop(self, connection: Connection) -> None:
        self.discard(connection)
        self._metrics.half_open_dropped.inc()
        connection.abort()

    def __len__(self) -> int:
        return len(self._all)


def bounds() -> tuple[int, int]:
    """For a whole process and for one network: half of the descriptors stay free for who has signed in, and half of the rest for others.

    The process takes as many descriptors as it is allowed to.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit = min(_MOST, hard // 2) if hard != resource.RLIM_INFINITY else _MOST
    return limit, limit // 2
