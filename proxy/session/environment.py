"""What the worker keeps up to date and every session reads: policy, catalogs, analyses, counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from proxy.policy.bundle import Bundle
from proxy.policy.engine import MaskSet, masks_for
from proxy.session.attempts import Attempts
from proxy.sql.catalog import Catalog
from proxy.sql.facts import Analysis

_LONG = 32 << 10  # characters


class Analyses:
    """A bounded cache of analyses by ``AnalysisRequest.key``; the oldest is forgotten first.

    Long texts are not kept: they seldom come again, and ten thousand of them would fill the memory.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._known: dict[Hashable, Analysis] = {}

    def get(self, key: Hashable) -> Analysis | None:
        return self._known.get(key)

    def put(self, key: Hashable, analysis: Analysis) -> None:
        if isinstance(key, tuple) and len(key[0]) > _LONG:
            return
        while len(self._known) >= self._limit:
            del self._known[next(iter(self._known))]
        self._known[key] = analysis

    def __len__(self) -> int:
        return len(self._known)


class MaskSets:
    """The masks in force by policy, catalog and subject: crossing rules with a catalog costs more than a statement."""

    def __init__(self, limit: int = 1_000) -> None:
        self._limit = limit
        self._known: dict[Hashable, MaskSet] = {}

    def find(self, bundle: Bundle, catalog: Catalog, connection: str, subject: str, groups: frozenset[str], now: float) -> MaskSet:
        key = (bundle.digest, catalog.digest, connection, subject, groups)
        known = self._known.get(key)
        if known is None or now >= known.valid_until:
            if len(self._known) >= self._limit:
                self._known.clear()  # policies and catalogs come and go; what is still needed comes back at once
            known = self._known[key] = masks_for(bundle, subject, connection, catalog, now, groups)
        return known


@dataclass(slots=True)
class Environment:
    """Owned by the worker process; a session only reads it, but for ``sessions``, and ``attempts`` or ``probes`` if it is refused."""

    mock_secret: bytes  # keys the salts shown to unknown users; the same in all processes of a host, and stable
    bundle: Bundle | None = None
    confirmed_at: float = 0.0  # when the control plane last confirmed that bundle (seconds, clock of ``receive``'s now)
    catalogs: dict[tuple[str, str], Catalog] = field(default_factory=dict)  # by (connection, database)
    analyses: Analyses = field(default_factory=Analyses)
    mask_sets: MaskSets = field(default_factory=MaskSets)
    attempts: Attempts = field(default_factory=Attempts)
    probes: Attempts = field(default_factory=Attempts)  # what else was refused to strangers, and recorded
    draining: bool = False
    sessions: Counter[str] = field(default_factory=Counter)  # open sessions by connection, and by `connection/subject`
