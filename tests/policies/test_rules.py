"""What the core accepts is accepted, and nothing else."""

from __future__ import annotations

import pytest

from policies import rules


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ([], "at least one"),
        ("a.b.c", "list"),
        ([1], "list"),
        (["a.b"], "schema.table.column"),
        (["a..b"], "name"),
        (["a.b.c"], ""),
        (['*."B".c?'], ""),
        (["a.b." + "x" * 252], ""),
        (["a.b." + "x" * 253], "256 characters"),
    ],
)
def test_columns(columns: object, why: str) -> None:
    problem = rules.columns_problem(columns)
    assert (why in problem) if why else problem == ""


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ({"name": "redact"}, ""),
        ({"name": "partial", "first": 1, "last": 2}, ""),
        ({"name": "partial", "first": 1}, "takes"),
        ({"name": "reduct"}, "unknown masking method"),
        ({"name": "round", "to": 0}, "round"),
        ({"name": "fixed", "text": "a\0"}, "fixed"),
        ("redact", "object"),
    ],
)
def test_methods(method: object, why: str) -> None:
    problem = rules.method_problem(method)
    assert (why in problem) if why else problem == ""


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ({}, ""),
        ({"actions": ["drop"], "without_where": True}, ""),
        ({"actions": ["dorp"]}, "unknown action"),
        ({"actions": []}, "length"),
        ({"action": ["drop"]}, "unknown field"),
        ({"matches": "("}, "RE2"),
        ({"matches": "(?=x)"}, "RE2"),
        ({"from": ["10.0.0.0/33"]}, "when.from"),
        ([], "object"),
    ],
)
def test_conditions(when: object, why: str) -> None:
    problem = rules.when_problem(when, "deny")
    assert (why in problem) if why else problem == ""


@pytest.mark.django_db
def test_names_that_do_not_exist() -> None:
    assert rules.dangling({"groups": ["nobody"]}) == "groups: there is no group 'nobody'."
    assert rules.dangling({"actions": ["drop"]}) == ""
