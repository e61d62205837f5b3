"""Which columns are masked: rules in their order, clearances with their end, patterns against a catalog."""

from __future__ import annotations

import math
from typing import Any

import pytest

from proxy.policy.masks import Mask
from proxy.policy.obligations import MaskSet, masks_for
from proxy.sql.catalog import Column, Relation
from proxy.wire import values
from tests.proxy.policy.example import NOW, bundle, masking


class Tables:
    """The part of a catalog that masks need."""

    def __init__(self, *relations: Relation) -> None:
        self.relations = {relation.oid: relation for relation in relations}


def table(oid: int, schema: str, name: str, *columns: str, kind: str = "r") -> Relation:
    made = [
        Column(place, column, values.TEXT, "pg_catalog.text", -1, False, values.TEXT, "base")
        for place, column in enumerate(columns, start=1)
    ]
    return Relation(oid, schema, name, kind, tuple(made))


CATALOG = Tables(
    table(100, "crm", "customers", "id", "ssn", "email"),
    table(101, "crm", "customer_view", "id", "ssn", kind="v"),
    table(102, "hr", "people", "ssn"),
    table(11, "pg_catalog", "pg_thing", "ssn"),
)
CLEARED = [{"subjects": [], "groups": ["compliance"], "until": NOW + 60}]


def masks(
    *rules: dict[str, Any], subject: str = "bot", connection: str = "crm", now: float = NOW, groups: frozenset[str] = frozenset()
) -> MaskSet:
    return masks_for(bundle(masking=list(rules)), subject, connection, CATALOG, now, groups)


def test_every_relation_whose_columns_match_views_included() -> None:
    found = masks(masking(columns=("*.*.ssn",)))
    assert set(found.by_column) == {(100, 2), (101, 2), (102, 1)}
    assert found.by_column[100, 2] == Mask("redact", (), "ssn", False, -1)


def test_a_named_system_schema_is_meant() -> None:
    assert set(masks(masking(columns=("pg_catalog.*.ssn",))).by_column) == {(11, 1)}
    assert set(masks(masking(columns=("pg_*.*.ssn",))).by_column) == {(11, 1)}


def test_the_first_matching_rule_wins() -> None:
    first = masking("first", ("crm.customers.*",), method={"name": "partial", "first": 1, "last": 0})
    found = masks(first, masking("second", ("*.*.ssn",)))
    assert {place: mask.rule for place, mask in found.by_column.items()} == {
        (100, 1): "first", (100, 2): "first", (100, 3): "first", (101, 2): "second", (102, 1): "second",
    }  # fmt: skip


def test_cleared_for_the_first_the_next_may_still_mask() -> None:
    first = masking("first", ("crm.customers.ssn",), cleared=[{"subjects": ["bot"]}])
    second = masking("second", ("*.*.ssn",), method={"name": "hash"})
    assert masks(first, second).by_column[100, 2].rule == "second"
    assert (100, 2) not in masks(first).by_column
    assert masks(first, second, subject="token-bot").by_column[100, 2].rule == "first"


@pytest.mark.parametrize(("now", "cleared"), [(NOW, True), (NOW + 59.9, True), (NOW + 60, False)])
def test_clearance_ends(now: float, cleared: bool) -> None:
    found = masks(masking(cleared=CLEARED), groups=frozenset({"compliance"}), now=now)
    assert (not found.by_column) is cleared
    assert found.valid_until == (NOW + 60 if cleared else math.inf)


def test_clearance_needs_a_group_that_the_policy_knows() -> None:
    assert masks(masking(cleared=CLEARED), groups=frozenset({"Compliance"})).by_column


def test_an_unknown_subject_is_cleared_for_nothing() -> None:
    everybody = masking(cleared=[{"subjects": ["stranger"], "groups": ["agents"]}])
    assert masks(everybody, subject="stranger", groups=frozenset({"agents"})).by_column


def test_rules_of_other_connections_do_not_apply() -> None:
    assert not masks(masking(connections=["open"])).by_column
    assert masks(masking(connections=["open"]), connection="open").by_column
    assert masks(masking(connections=[])).by_column  # none named: all


def test_equal_sets_have_equal_digests() -> None:
    one, same = masks(masking()), masks(masking(), masking("irrelevant", ("no.such.column",)))
    other = masks(masking(lookups="allow"))
    assert one.digest == same.digest
    assert len({one.digest, other.digest, masks().digest, masks(masking(method={"name": "nullify"})).digest}) == 4
