"""Texts of one shape share an analysis: it is what each of them gets by itself, also where somebody tries, and the rest is their own.

More with ``TIDEGATE_STATEMENTS=20000``, others with ``TIDEGATE_SEED=7``.
"""

import faulthandler
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, seed, settings

from proxy.policy.bundle import Bundle
from proxy.policy.engine import MaskSet, masks_for
from proxy.sql.analysis import analyse
from proxy.sql.catalog import Catalog
from proxy.sql.facts import AnalysisRequest
from proxy.sql.shape import shape
from proxy.wire.backend import DataRow
from tests.conftest import Target
from tests.leak.conftest import MASKING, PASSWORD, ROLE, Vault
from tests.leak.generator import Statement, statements
from tests.leak.raw import RawClient
from tests.leak.test_leaks import ATTACKS, found
from tests.proxy.sql.example import read_rows
from tests.proxy.sql.shapes import plainly_analysed, varied
from tests.worker.gateway import Gateway, bundle

STATEMENTS = int(os.environ.get("TIDEGATE_STATEMENTS", "300"))
BATCH = 250
SEED = int(os.environ.get("TIDEGATE_SEED", "0"))


class Analyst:
    """Analyses texts of the vault as the agent's session would have them."""

    def __init__(self, catalog: Catalog, masks: MaskSet) -> None:
        self._catalog, self._masks = catalog, masks
        self.seen: Counter[str] = Counter()

    def check(self, sql: str, chance: random.Random) -> None:
        """What holds for a text's shape is what its own words say, and those of others of the shape."""
        self.seen["texts"] += 1
        request = AnalysisRequest(sql, self._catalog.digest, ("pg_catalog", "public"), self._masks.by_column, self._masks.digest)
        made = analyse(request, self._catalog)
        plain = replace(made, constants_matter=True)
        assert plain == plainly_analysed(request, self._catalog)
        if made.constants_matter:
            return
        self.seen["general"] += 1
        for _ in range(3):
            other = varied(sql, chance)
            assert shape(other.encode()) == shape(sql.encode())
            assert plain == plainly_analysed(replace(request, sql=other), self._catalog), other


@pytest.fixture(scope="module")
def analyst(target15: Target, vaults: tuple[Vault, Vault]) -> Analyst:
    catalog = Catalog.load(read_rows(target15.dsn("leak_guarded", ROLE, PASSWORD)))
    policy = Bundle.load(json.dumps(bundle(target15, masking=MASKING)).encode(), {})
    return Analyst(catalog, masks_for(policy, "bot", "crm", catalog, 0.0))


def test_attacks_of_one_shape_are_analysed_alike(analyst: Analyst) -> None:
    chance = random.Random(SEED)
    analyst.seen.clear()
    for attack in ATTACKS:
        for text in attack.removeprefix("!").split(";;"):
            analyst.check(text.strip(), chance)
    assert analyst.seen["general"] > 40, analyst.seen


def test_random_statements_of_one_shape_are_analysed_alike(analyst: Analyst) -> None:
    if STATEMENTS > 2_000:
        faulthandler.cancel_dump_traceback_later()  # pytest's limit for a test that hangs
    analyst.seen.clear()
    for number, begun in enumerate(range(0, STATEMENTS, BATCH)):
        @seed(SEED + number)
        @settings(max_examples=min(BATCH, STATEMENTS - begun), deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(statements())
        def run(statement: Statement) -> None:
            analyst.check(statement.text, random.Random(statement.text))

        run()
    assert analyst.seen["general"] > STATEMENTS // 20, analyst.seen


def test_a_shape_is_analysed_once_and_each_text_recorded_as_it_is(gateway: Gateway, client: Callable[[], RawClient]) -> None:
    session, analyses = client(), "tidegate_analyses_total"
    session.query("SELECT id, secret AS s7 FROM vault.people WHERE id = 0 AND name LIKE 'P%'")
    before = gateway.metric(analyses)
    for number in (1, 2, 3):
        text = f"SELECT id, secret AS s7 FROM vault.people WHERE id = {number} AND name LIKE '%{number}'"
        rows = [DataRow.decode(answer[5:]).values for answer in session.query(text) if answer[:1] == b"D"]
        assert rows == [(b"%d" % number, b"***")]
        gateway.until(lambda text=text: text in gateway.statements())
    assert gateway.metric(analyses) == before
    session.query("UPDATE vault.people SET secret = 'new' WHERE id = 1 AND id = 2")
    assert any(answer[:1] == b"E" for answer in session.query("UPDATE vault.people SET secret = '***' WHERE id = 1 AND id = 2"))
    assert gateway.metric(analyses) == before + 2
    assert found(session.heard, "") == []
