"""What the worker keeps up to date and every session reads: policy, catalogs, analyses, counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from proxy.policy.bundle import Bundle
from proxy.policy.engine import MaskSet, masks_for
from proxy.session.attempts import Attempts
from proxy.session.prepared import AnalysisKey
from proxy.sql.catalog import Catalog
from proxy.sql.facts import Analysis
from proxy.sql.shape import shape

_LONG = 32 << 10  # characters


class Analyses:
    """A bounded cache of analyses by ``AnalysisRequest.key``; the oldest is forgotten first.

    An analysis to which constants do not matter is also kept by the shape of its text, and found by other texts of that shape.
    Long texts are not kept: they seldom come again, and ten thousand of them would fill the memory.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._known: dict[AnalysisKey, Analysis] = {}
        self._general: dict[AnalysisKey, Analysis] = {}

    def get(self, key: AnalysisKey) -> Analysis | None:
        known = self._known.get(key)
        if known is None and self._general and (general := _general(key)) is not None:
            known = self._general.get(general)
            if known is not None:
                self._keep(self._known, key, known)
        return known

    def put(self, key: AnalysisKey, analysis: Analysis) -> None:
        if len(str(key[0])) > _LONG:
            return
        self._keep(self._known, key, analysis)
        if not analysis.constants_matter and (general := _general(key)) is not None:
            self._keep(self._general, general, analysis)

    def _keep(self, where: dict[AnalysisKey, Analysis], key: AnalysisKey, analysis: Analysis) -> None:
        while len(where) >= self._limit:
            del where[next(iter(where))]
        where[key] = analysis

    def __len__(self) -> int:
        return len(self._known)


def _general(key: AnalysisKey) -> AnalysisKey | None:
    """The key with the shape in the place of the text; None where there is none."""
    text, *context = key
    general = shape(str(text).encode())
    return None if general is None else (general, *context)


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
