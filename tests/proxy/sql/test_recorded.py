"""A decision can be made again from its entry: whatever the engine asks of an analysis is recorded."""

import json

import pytest

from proxy.policy.engine import Question, decide
from proxy.sql.facts import Analysis, Facts, MaskPlan, SyntaxProblem
from proxy.sql.recorded import analysis_of, fields_of
from tests.proxy.policy.example import NOW, bundle, facts, rule

POLICY = bundle(
    connection={"default": "allow", "opaque_functions": "deny", "unanalyzable": {"approve": "owners"}},
    rules=[
        rule("deny", name="bounded", without_where=True),
        rule("deny", name="both", actions=["delete"], relations=["crm.orders"]),
        rule("approve", name="writes", workflow="owners", actions=["update", "prepare"]),
        rule("deny", name="no ssn", columns=["*.*.ssn"]),
        rule("deny", name="sleep", functions=["pg_sleep"]),
        rule("deny", name="several", multiple_statements=True, actions=["insert"]),
        rule("allow", name="text", matches="hello"),
        rule("deny", name="masked", touches_masked=True, actions=["copy_to"]),
        rule("deny", name="seen", shadow=True, actions=["select"]),
    ],
)
SELECT = facts("select", reads=("crm.customers",), columns=("crm.customers.id",), normalised="SELECT id FROM crm.customers")
DELETE = facts("delete", reads=("crm.orders", "crm.items"), writes=("crm.items",), normalised="DELETE FROM crm.items")
ANALYSES = [
    Analysis(),
    Analysis((SELECT,)),
    Analysis((facts("delete", writes=("crm.orders",), without_where=True),)),
    Analysis((DELETE,)),
    Analysis((SELECT, facts("delete", writes=("crm.items",)), facts("select", reads=("crm.orders",)))),  # "both" is met by none of them
    Analysis((facts("update", actions=("update", "prepare"), writes=("crm.orders",)),)),
    Analysis((facts("select", columns=("crm.customers.ssn",)),)),
    Analysis((facts("select", functions=("pg_catalog.pg_sleep",)),)),
    Analysis((facts("select", actions=("select", "function"), opaque_functions=("crm.f",), functions=("crm.f",)),)),
    Analysis((SELECT, facts("insert", writes=("crm.orders",)))),
    Analysis((facts("select", normalised="SELECT hello"),)),
    Analysis((facts("copy_to"),), MaskPlan("scan", "…", ("crm.customers.ssn",))),
    Analysis((SELECT,), MaskPlan("refuse", masked=("crm.customers.ssn",), reason="it is used in a trigger")),
    Analysis(syntax=SyntaxProblem("syntax error at or near \"'4711'\"", 8)),
    Analysis(problem="the text is too long"),
    Analysis((SELECT, Facts("unanalyzable", frozenset({"unanalyzable"}), problem="not known"))),
]


@pytest.mark.parametrize("analysis", ANALYSES, ids=range(len(ANALYSES)))
def test_the_decision_is_the_same(analysis: Analysis) -> None:
    again = analysis_of(json.loads(json.dumps(fields_of(analysis))))
    first, second = (
        decide(Question(POLICY, "bot", frozenset(), "crm", "crm", asked, "10.1.2.3", NOW)) for asked in (analysis, again)
    )
    assert first == second


def test_a_syntax_error_is_recorded_without_the_text_that_has_it() -> None:
    analysis = ANALYSES[-3]
    decision = decide(Question(bundle(), "bot", frozenset(), "crm", "crm", analysis, "10.1.2.3", NOW))
    assert "4711" not in json.dumps(fields_of(analysis)) + decision.reason


def test_one_statement_repeats_nothing() -> None:
    assert fields_of(Analysis((DELETE,)))["statements"] == [{"action": "delete", "writes": ["crm.items"]}]


def test_an_entry_of_before_there_were_all_fields() -> None:
    known = {"actions": ["delete", "select"], "relations": ["crm.orders"], "columns": [], "functions": [], "plan": "none"}
    [found] = analysis_of(known).statements
    assert found.actions == {"delete", "select"}
    assert found.reads == {"crm.orders"}
    assert not found.problem
    assert analysis_of({}) == Analysis()
