"""Scan masking: the text that goes to the server, and what is refused because no such text can be made."""

from __future__ import annotations

import pytest

from proxy.sql.parser import parse
from proxy.sql.scan import CannotSplice, splice
from tests.proxy.sql.example import analysed, catalog, fixtures, readable


@pytest.mark.parametrize(("sql", "expected"), fixtures("scan"))
def test_masked_relations_are_replaced_where_they_stand(sql: str, expected: str) -> None:
    plan = analysed(sql).plan
    assert plan.kind == "scan", plan.reason
    assert readable(plan.sql) == expected


def test_what_is_copied_leaves_generated_columns_out_as_copy_does() -> None:
    assert "shout" not in analysed("COPY crm.odd TO STDOUT").plan.sql


def test_a_text_without_replacements_is_returned_as_it_is() -> None:
    sql = "SELECT 1 -- é"
    assert splice(sql, parse(sql), [], []) == sql


def test_positions_count_bytes_not_characters() -> None:
    sql = "SELECT 'é日本😀', upper(o.card), 'ß' FROM crm.orders AS o WHERE remark <> 'ü'"
    plan = analysed(sql).plan
    assert plan.kind == "scan"
    assert plan.sql.startswith("SELECT 'é日本😀', upper(o.card), 'ß' FROM ")
    assert plan.sql.endswith(" AS o WHERE remark <> 'ü'")


def test_a_changed_tree_is_not_sent() -> None:
    """The check is not a formality: a text whose tree differs from what is wanted is refused."""
    from proxy.sql import scan

    sql = "SELECT card FROM crm.orders"
    statements = parse(sql)
    with pytest.raises(CannotSplice, match="would not mean the same"):
        scan._check("SELECT remark FROM crm.orders", sql, statements, {})
    with pytest.raises(CannotSplice, match="would not be valid"):
        scan._check("SELECT FROM FROM", sql, statements, {})


def test_sub_selects_spell_every_name_in_full() -> None:
    relation = catalog().resolve(("crm", "orders"), ())
    assert relation is not None
    assert 'FROM "crm".orders AS _' in analysed("SELECT card || '' FROM orders", path=("pg_catalog", "crm")).plan.sql
