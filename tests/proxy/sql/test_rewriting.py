"""Rewrite rules: what else the server does when a relation is changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.sql.rewriting import rule_actions
from proxy.sql.walk import Reader
from tests.proxy.sql.example import PATH, analysed, catalog
from tests.proxy.sql.test_bodies import outcome_of


@pytest.mark.parametrize(
    ("sql", "actions", "shows"),
    [
        ("INSERT INTO shop.ruled VALUES (1)", {"insert", "select"}, [False]),
        ("DELETE FROM shop.ruled WHERE id = 1", {"delete", "listen"}, [False, False]),
        ("UPDATE shop.ruled SET id = 1 WHERE id = 2", set(), []),
        ("UPDATE crm.told SET id = 1 WHERE id = 2", {"select"}, [True]),
    ],
)
def test_actions_of_what_is_done(sql: str, actions: set[str], shows: list[bool]) -> None:
    outcome = outcome_of(sql)
    assert [action.shows for action in outcome.rules] == shows
    assert outcome.actions == actions
    assert not outcome.problem


def test_a_rule_counts_as_what_it_does() -> None:
    (facts,) = analysed("DELETE FROM shop.ruled WHERE id = 1").statements
    assert {"delete", "listen"} <= facts.actions
    assert facts.without_where  # the rule's own DELETE has none
    assert facts.writes == {"shop.ruled", "shop.notes"}


def test_the_systems_own_rules_and_broken_ones_are_not_known() -> None:
    relation = next(one for one in catalog().relations.values() if one.name == "ruled")
    caller = Reader(catalog(), PATH)
    caller.actions.add("insert")
    assert rule_actions(replace(relation, rules=()), caller) is None
    assert rule_actions(replace(relation, rules=("CREATE RULE nonsense",)), caller) is None
    assert rule_actions(replace(relation, rules=("CREATE RULE r AS ON INSERT TO shop.ruled DO ALSO DELETE FROM nosuch",)), caller) is None


def test_code_behind_views_counts() -> None:
    assert "delete" in outcome_of("SELECT count(*) FROM shop.clearing").actions
    assert "delete" in outcome_of("REFRESH MATERIALIZED VIEW shop.cleared").actions
    assert "delete" not in outcome_of("SELECT one FROM shop.cleared").actions
