"""The masks in force on a relation: own, inherited, generated, copied, and through views."""

from __future__ import annotations

import pytest

from proxy.policy.masks import Mask
from proxy.sql.effective import EffectiveMasks, RelationMasks
from proxy.sql.facts import AnalysisRequest
from tests.proxy.sql.example import PATH, RULES, catalog, masks_of


def effective(rules: dict[str, Mask] = RULES) -> EffectiveMasks:
    known = catalog()
    return EffectiveMasks(known, AnalysisRequest("", known.digest, PATH, masks_of(known, rules), repr(sorted(rules))))


def on(name: str, rules: dict[str, Mask] = RULES) -> RelationMasks:
    relation = catalog().resolve(name.split("."), ())
    assert relation is not None
    return effective(rules).of(relation)


def methods(name: str, rules: dict[str, Mask] = RULES) -> dict[str, str]:
    relation = catalog().resolve(name.split("."), ())
    assert relation is not None
    found = on(name, rules).masks
    return {column.name: found[column.attnum].method for column in relation.columns if column.attnum in found}


def test_partitions_and_children_inherit() -> None:
    assert methods("crm.visits_2024") == {"report": "redact"}
    assert methods("crm.staff") == {"ssn": "redact"}


def test_a_parent_shows_the_rows_of_its_children() -> None:
    assert methods("crm.people", {"crm.staff.ssn": Mask("redact")}) == {"ssn": "redact"}


def test_a_foreign_key_holds_what_it_refers_to_and_a_default_what_it_calls() -> None:
    assert methods("shop.refers") == {"email": "email", "who": "redact"}


def test_a_view_knows_what_a_change_of_it_changes() -> None:
    customers = catalog().resolve(["crm", "customers"], ())
    assert customers is not None
    assert customers.oid in on("crm.v_few_names").bases


def test_generated_columns_keep_nothing() -> None:
    assert methods("crm.odd", {"crm.odd.mail": Mask("partial", (1, 1))})["shout"] == "redact"


def test_views_inherit_by_lineage() -> None:
    assert methods("crm.v_plain") == {"reach": "hash"}  # the column itself keeps its method
    assert methods("crm.v_line") == {"line": "redact"}  # what is computed keeps nothing
    assert methods("crm.v_union") == {"text": "redact"}
    assert methods("crm.v_sum") == {}
    assert methods("crm.m_copy") == {"number": "redact", "digest": "redact"}


SHUT = ["crm.v_where", "crm.v_function", "crm.v_told", "pg_catalog.pg_statistic", "pg_catalog.pg_largeobject"]


@pytest.mark.parametrize("name", SHUT)
def test_relations_that_cannot_be_read(name: str) -> None:
    assert on(name).refuse


def test_statistics_are_shown_of_tables_without_masks() -> None:
    stats, known = on("pg_catalog.pg_stats"), catalog()
    oids = {name: str(known.resolve(name.split("."), ()).oid) for name in ("shop.notes", "crm.customers", "crm.log")}  # type: ignore[union-attr]
    shown = stats.rows.partition("{")[2].partition("}")[0].split(",")
    assert {name for name, oid in oids.items() if oid in shown} == {"shop.notes"}
    assert stats.closed
    assert not stats.refuse
    assert on("pg_catalog.pg_stats", {}) == RelationMasks()


def test_a_view_is_refused_for_what_its_masks_are_about() -> None:
    assert on("crm.v_where", {"crm.customers.ssn": Mask("redact")}).refuse == ""


def test_what_triggers_copy_is_masked() -> None:
    assert methods("crm.log") == {"entry": "redact"}
    assert methods("crm.log", {"crm.orders.card": Mask("redact")}) == {}


def test_other_sessions_statements_are_hidden() -> None:
    assert methods("pg_catalog.pg_stat_activity") == {"query": "nullify"}


def test_names_that_code_must_not_mention() -> None:
    names = effective().revealing_names()
    assert {"customers", "orders", "v_plain", "log", "email_of", "email_twice", "by_name", "everyone"} <= names
    assert not {"items", "notes", "clear_notes", "count_items", "partners"} & names


def test_without_masks_there_is_nothing_to_work_out() -> None:
    assert on("pg_catalog.pg_stats", {}) == RelationMasks()
