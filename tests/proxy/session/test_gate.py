from typing import Any

import pytest

from proxy.session.gate import names_matter, reading_matters
from tests.proxy.session.example import MASKED, bundle

RULE = {"name": "r", "then": "deny", "workflow": None, "message": None, "shadow": False}


def matters(**policy: Any) -> bool:
    compiled = bundle(**policy)
    connection = compiled.connection("crm")
    assert connection is not None
    return names_matter(compiled, connection)


def test_names_do_not_matter_where_everything_is_allowed() -> None:
    assert not matters()
    assert not matters(rules=[{**RULE, "when": {"actions": ["drop"]}}])
    assert not matters(rules=[{**RULE, "when": {"relations": ["x"], "connections": ["other"]}}])


def test_names_matter_under_masks_or_opaque_functions() -> None:
    assert matters(**MASKED)
    assert matters(connection={"opaque_functions": "deny"})


@pytest.mark.parametrize("when", [{"relations": ["x"]}, {"columns": ["a.b.c"]}, {"functions": ["f"]}, {"touches_masked": True}])
def test_names_matter_under_rules_that_name_something(when: dict[str, Any]) -> None:
    assert matters(rules=[{**RULE, "when": when}])


def test_the_text_matters_as_soon_as_anything_could_be_refused() -> None:
    for policy, expected in (
        ({}, False), ({"connection": {"default": "deny"}}, True), ({"connection": {"unanalyzable": "deny"}}, True), (MASKED, True),
        ({"rules": [{**RULE, "when": {"actions": ["drop"]}}]}, True),
        ({"rules": [{**RULE, "when": {"actions": ["drop"], "connections": ["other"]}}]}, False),
    ):  # fmt: skip
        compiled: Any = bundle(**policy)
        assert reading_matters(compiled, compiled.connection("crm")) is expected, policy
