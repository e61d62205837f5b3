from prometheus_client import CollectorRegistry, generate_latest

from worker.metrics import Metrics


def test_records_become_counters_without_a_name_or_value_of_an_agent() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for decision in ("allow", "allow", "deny"):
        metrics.recorded("statement.intended", {"decision": decision, "sql": "SELECT secret", "subject": "bot"})
    metrics.recorded("statement.completed", {"outcome": "ok", "rows": 5, "bytes": 100, "masked_cells": 3, "detected": {"card": 2}})
    metrics.recorded("session.refused", {"sqlstate": "28P01", "user": "bot"})
    metrics.publish()
    metrics.publish()
    text = generate_latest(registry).decode()
    for line in (
        'tidegate_statements_total{decision="allow"} 2.0', 'tidegate_statements_total{decision="deny"} 1.0', "tidegate_rows_total 5.0",
        "tidegate_result_bytes_total 100.0", "tidegate_masked_cells_total 3.0", 'tidegate_detected_total{kind="card"} 2.0',
        'tidegate_sessions_refused_total{sqlstate="28P01"} 1.0',
    ):  # fmt: skip
        assert line in text
    assert "secret" not in text
    assert "bot" not in text
