"""What Prometheus sees. Every process writes into files of PROMETHEUS_MULTIPROC_DIR; the parent adds them up.

Names, label values and numbers only: no subject, no SQL, no value. What happens per statement is counted in plain
integers and moved into Prometheus once a second, since a labelled increment costs as much as relaying a message.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Mapping
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5)


class Metrics:
    """One process's counters and gauges."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()

        def gauge(name: str, text: str, mode: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"tidegate_{name}", text, labels, multiprocess_mode=mode, registry=registry)  # type: ignore[arg-type]

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"tidegate_{name}", text, labels, registry=registry)

        self.sessions = gauge("sessions", "Sessions open now", "livesum")
        self.ready = gauge("ready", "Processes that hold a fresh bundle and accept agents", "livesum")
        self.sessions_opened = counter("sessions_opened", "Sessions opened", ("connection",))
        self.sessions_refused = counter("sessions_refused", "Sessions refused", ("sqlstate",))
        self.half_open_dropped = counter("half_open_dropped", "Connections dropped before sign-in because there were too many")
        self.statements = counter("statements", "Statements recorded, by decision", ("decision",))
        self.outcomes = counter("statement_outcomes", "Statements completed, by outcome", ("outcome",))
        self.rows = counter("rows", "Rows sent to agents")
        self.bytes = counter("result_bytes", "Result bytes sent to agents")
        self.masked_cells = counter("masked_cells", "Cells masked in results")
        self.detected = counter("detected", "Values found by the detectors, by kind", ("kind",))
        self.spool_entries = gauge("spool_entries", "Audit entries not acknowledged yet", "livesum")
        self.spool_bytes = gauge("spool_bytes", "Bytes of the audit spool", "livesum")
        self.spool_lag = gauge("spool_lag_seconds", "Age of the oldest entry not acknowledged", "livemax")
        self.spool_refused = counter("spool_refused", "Records that could not be made durable")
        self.audit_alarm = gauge("audit_alarm", "1 where shipping stopped and a human must look", "livemax", ("reason",))
        self.bundle_serial = gauge("bundle_serial", "Serial number of the bundle in force", "livemin")
        self.bundle_age = gauge("bundle_age_seconds", "Seconds since the control plane confirmed the bundle", "livemax")
        self.approvals_waiting = gauge("approvals_waiting", "Statements that wait for a human", "livesum")
        self.analyses = counter("analyses", "Cold analyses, by outcome", ("outcome",))
        self.analysis_seconds = Histogram("tidegate_analysis_seconds", "Time of a cold analysis", buckets=_SECONDS, registry=registry)
        self.internal_errors = counter("internal_errors", "Sessions closed because of an exception in the gateway")
        self._pending: Tally[tuple[str, str]] = Tally()

    def recorded(self, kind: str, fields: Mapping[str, object]) -> None:
        """Count a durable record."""
        tally = self._pending
        if kind == "statement.intended":
            tally["statements", str(fields.get("decision", ""))] += 1
        elif kind == "statement.completed":
            tally["outcomes", str(fields.get("outcome", ""))] += 1
            for name, field in (("rows", "rows"), ("bytes", "bytes"), ("masked_cells", "masked_cells")):
                amount = fields.get(field)
                if isinstance(amount, int) and amount:
                    tally[name, ""] += amount
            for found, amount in cast("dict[str, int]", fields.get("detected", {})).items():
                tally["detected", found] += amount
        elif kind == "session.opened":
            tally["sessions_opened", str(fields.get("connection", ""))] += 1
        elif kind == "session.refused":
            tally["sessions_refused", str(fields.get("sqlstate", ""))] += 1

    def publish(self) -> None:
        """Move what was counted since the last call into Prometheus."""
        pending, self._pending = self._pending, Tally()
        for (name, label), amount in pending.items():
            counter: Counter = getattr(self, name)
            (counter.labels(label) if label else counter).inc(amount)

    async def publish_forever(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.publish()
