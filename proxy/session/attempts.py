"""Who failed to sign in, how often, and from where: failures are answered late, and too many of them not heard at all.

Every failure adds one to its network's level, and every ``FORGIVEN_SECONDS`` take one away. The answer to a failure waits
the longer the higher the level; at ``LIMIT`` nobody of that network is let in until it has fallen. Nobody is exempt, or an
attacker would look for a way to count as that. One object for each process, so the bounds hold for each process.
"""

from __future__ import annotations

import ipaddress

LIMIT = 50  # failures in a row, after which one more is heard every FORGIVEN_SECONDS
FORGIVEN_SECONDS = 3.0
_SHORTEST, _LONGEST = 0.05, 2.0  # seconds that an answer waits


def network_of(address: str) -> str:
    """What counts as one place: an IPv4 address, the /64 of an IPv6 address (a host has all of it)."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))


class Attempts:
    """The failures of the last minutes. Of more networks than ``networks``, those are forgotten that failed longest ago."""

    def __init__(self, networks: int = 10_000) -> None:
        self._networks = networks
        self._levels: dict[str, tuple[float, float]] = {}  # network → (level, when it was so)

    def failed(self, address: str, now: float) -> float:
        """Count one failure. How many seconds its answer is to wait."""
        network = network_of(address)
        level = min(self._level(network, now) + 1.0, float(LIMIT))
        self._levels.pop(network, None)
        while len(self._levels) >= self._networks:
            del self._levels[next(iter(self._levels))]
        self._levels[network] = (level, now)
        doubled: float = _SHORTEST * 2.0 ** (level - 1)
        return min(doubled, _LONGEST)

    def wait(self, address: str, now: float) -> float:
        """Seconds until somebody from there is heard again; 0: now."""
        return max(0.0, (self._level(network_of(address), now) - (LIMIT - 1)) * FORGIVEN_SECONDS)

    def _level(self, network: str, now: float) -> float:
        level, since = self._levels.get(network, (0.0, now))
        return max(0.0, level - max(0.0, now - since) / FORGIVEN_SECONDS)

    def __len__(self) -> int:
        return len(self._levels)
