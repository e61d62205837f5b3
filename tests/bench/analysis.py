"""`make bench-analysis`: what a statement costs that was never seen, here and through an analysis process, and one that was.

Queries of six relations (five joins) over the recorded catalog of `tests/proxy/sql`, each time with another text: one that touches
no masked column, one whose masked columns are output only, one that is masked at the scan. Where such a query was seen with other
constants, it is looked for by its shape before it is analysed. Times in this process are processor time; through the analysis process
they are what a session waits. `ROUNDS=n` sets how many of each.
"""

import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from proxy.policy.engine import MaskSet  # noqa: E402
from proxy.session.environment import Analyses  # noqa: E402
from proxy.session.gate import Context, Gate  # noqa: E402
from proxy.sql.analysis import analyse  # noqa: E402
from proxy.sql.facts import Analysis, AnalysisRequest  # noqa: E402
from tests.proxy.sql.example import PATH, RECORDED, catalog, masks_of  # noqa: E402
from worker.analysis_pool import AnalysisPool  # noqa: E402
from worker.metrics import Metrics  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "300"))
JOINS = """
    FROM crm.customers c JOIN crm.orders o ON o.customer_id = c.id LEFT JOIN crm.visits v ON v.customer_id = c.id
    JOIN shop.items i ON i.id = o.id LEFT JOIN shop.notes n ON n.id = i.id JOIN crm.people p ON p.id = c.id
    WHERE o.total > {0} AND i.kind IN ('linen', 'tools') AND v.on_day >= DATE '2024-06-01' AND n.body LIKE 'note {0}%'
"""
SHAPES = {
    "no masked column": f"SELECT c.id, c.name, o.total, i.title, count(*) AS n {JOINS} GROUP BY c.id, c.name, o.total, i.title ORDER BY n",
    "masked in the result": f"SELECT c.id, c.email, c.ssn, o.card, i.title {JOINS} ORDER BY o.total DESC LIMIT {{0}}",
    "masked at the scan": f"SELECT c.city, max(c.ssn), string_agg(o.card, ','), count(*) AS n {JOINS} GROUP BY c.city ORDER BY n",
}
PLANS = dict(zip(SHAPES, ("none", "result", "scan"), strict=True))
COLD, SHAPE, WARM = 2e-3, 30e-6, 5e-6  # goals, in seconds


def request(text: str, masks: dict[Any, Any]) -> AnalysisRequest:
    return AnalysisRequest(text, catalog().digest, PATH, masks, "masks")


def median(measure: Callable[[int], float]) -> float:
    for number in range(20):
        measure(-1 - number)  # libraries are loaded, memos filled
    return statistics.median(measure(number) for number in range(ROUNDS))


def cold(shape: str, masks: dict[Any, Any]) -> float:
    """In this process."""

    def once(number: int) -> float:
        asked = request(SHAPES[shape].format(number), masks)
        began = time.process_time()
        found = analyse(asked, catalog())
        took = time.process_time() - began
        assert found.plan.kind == PLANS[shape], found.plan
        return took

    return median(once)


async def through_process(masks: dict[Any, Any]) -> dict[str, float]:
    """By the pool that workers have."""
    pool = AnalysisPool(lambda key, analysis: None, Metrics(), processes=1)
    pool.hold_catalogs({catalog().digest: json.loads(RECORDED.read_text())})
    serving = asyncio.ensure_future(pool.run_forever())
    found = {}
    for shape, text in SHAPES.items():
        took = []
        for number in range(-20, ROUNDS):
            began = time.perf_counter()
            analysis = await pool.analyse(request(text.format(number), masks))
            took.append(time.perf_counter() - began)
            assert analysis.plan.kind == PLANS[shape], analysis
        found[shape] = statistics.median(took[20:])
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    return found


def shaped(shape: str, masks: dict[Any, Any]) -> tuple[float, bool]:
    """A text that was seen with other constants, looked up before it is analysed; and whether that finds its analysis."""
    known, found = Analyses(), []
    first = request(SHAPES[shape].format(10**8), masks)
    known.put(first.key, analyse(first, catalog()))
    general = request("SELECT 1", masks)
    known.put(general.key, analyse(general, catalog()))  # so that shapes are looked at in any case

    def once(number: int) -> float:
        asked = [request(SHAPES[shape].format(1_000 + 10 * number + digit), masks) for digit in range(10)]
        began = time.process_time()
        for one in asked:
            found.append(known.get(one.key))
        return (time.process_time() - began) / 10

    return median(once), all(found)


def warm(masks: dict[Any, Any]) -> float:
    """The look-up of a text among ten thousand, as a session does it."""

    @dataclass
    class _Connection:
        trusted_functions: tuple[str, ...] = ("crm.order_total",)
        derived_use: str = "scan"

    known = Analyses()
    context = cast("Context", SimpleNamespace(
        catalog_digest=catalog().digest, path=PATH, masks=MaskSet(masks, "masks", float("inf")), connection=_Connection(),
    ))  # fmt: skip
    gate: Any = object.__new__(Gate)
    texts = [SHAPES["masked at the scan"].format(number).encode() for number in range(10_000)]
    for text in texts:
        known.put(gate.request(text.decode(), context).key, Analysis())

    def once(number: int) -> float:
        sent = bytes(texts[number * 31 % len(texts)])
        began = time.process_time()
        for _ in range(10):
            assert known.get(gate.request(sent.decode(), context).key) is not None
        return (time.process_time() - began) / 10

    return median(once)


def main() -> int:
    masks = masks_of(catalog())
    here = {shape: cold(shape, masks) for shape in SHAPES}
    piped = asyncio.run(through_process(masks))
    print(f"{'median of a 5-join query':34}{'measured':>12}{'goal':>12}")
    for shape in SHAPES:
        print(f"{'never seen, ' + shape:34}{here[shape] * 1e3:9.2f} ms{COLD * 1e3:9.2f} ms")
        print(f"{'… through an analysis process':34}{piped[shape] * 1e3:9.2f} ms")
        took, found = shaped(shape, masks)
        print(f"{'… seen with other constants':34}{took * 1e6:9.2f} µs{SHAPE * 1e6:9.2f} µs{'' if found else '  and analysed anew'}")
    print(f"{'seen before':34}{warm(masks) * 1e6:9.2f} µs{WARM * 1e6:9.2f} µs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
