"""Unknown means no: every way of not knowing ends in a refusal."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from proxy.policy.bundle import Bundle, BundleError
from proxy.policy.decision import Allow, Deny
from proxy.policy.masks import Mask, mask_cell
from proxy.sql.facts import ACTIONS, Analysis, Facts, MaskPlan
from tests.proxy.policy.example import ask, bundle, facts, masking, payload, rule


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_no_action_is_allowed_without_a_grant(action: str) -> None:
    assert isinstance(ask(bundle(grants=[]), facts(action)), Deny)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_grant_of_every_other_action_is_none_of_this(action: str) -> None:
    grants = [{"subjects": ["bot"], "groups": [], "connections": ["crm"], "actions": sorted(ACTIONS - {action})}]
    assert isinstance(ask(bundle(grants=grants), facts(action)), Deny)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "stranger"},
        {"subject": ""},
        {"connection": "nowhere"},
        {"connection": "open", "subject": "stranger"},  # default allow is for subjects of the policy
        {"analysis": Analysis(problem="analyser is dead")},
        {"analysis": Analysis(statements=(facts("select", problem="misread"),))},
        {"analysis": Analysis(statements=(Facts(action="select", actions=frozenset()),))},
        {"analysis": Analysis(statements=(facts("teleport"),))},
        {"analysis": Analysis(statements=(facts("select"),), plan=MaskPlan("refuse"))},
        {"analysis": Analysis(statements=(facts("select"),), plan=MaskPlan("shrug"))},
        {"analysis": Analysis(statements=(facts("select"),), plan=MaskPlan(""))},
        {"analysis": Analysis(statements=(facts("select", opaque_functions=("f",)),))},
    ],
)
def test_what_is_not_known_is_denied(changes: dict[str, Any]) -> None:
    assert isinstance(ask(bundle(), facts("select")), Allow)
    decision = ask(bundle(), facts("select"), **changes)
    assert isinstance(decision, Deny)
    assert decision.reason


def test_a_workflow_that_went_missing_denies() -> None:
    policy = bundle(rules=[rule("approve", workflow="owners")])
    assert isinstance(ask(dataclasses.replace(policy, workflows={}), facts("select")), Deny)


@pytest.mark.parametrize("then", ["deny", "approve"])
@pytest.mark.parametrize(
    ("conditions", "unknown"),
    [
        ({"client_from": ["192.168.0.0/16"]}, {"client_ip": ""}),
        ({"client_not_from": ["10.0.0.0/8"]}, {"client_ip": "[local]"}),
        ({"estimated_rows": {"over": 10**9}}, {}),
        ({"relations": ["crm.*"]}, {"analysis": Analysis(statements=(facts("select", reads=("customers",)),))}),
        ({"relations": ["crm.*"]}, {"analysis": Analysis(statements=(facts("select", reads=("odd.name.with.dots",)),))}),
        ({"columns": ["crm.customers.ssn"]}, {"analysis": Analysis(statements=(facts("select", columns=("ssn",)),))}),
        ({"functions": ["crm.f"]}, {"analysis": Analysis(statements=(facts("select", functions=("f",)),))}),
    ],
)
def test_a_restricting_rule_holds_where_its_condition_cannot_be_known(
    then: str, conditions: dict[str, Any], unknown: dict[str, Any]
) -> None:
    policy = bundle(rules=[rule(then, workflow="owners", **conditions)])
    assert not isinstance(ask(policy, facts("select"), **unknown), Allow)


@pytest.mark.parametrize(
    ("conditions", "unknown"),
    [
        ({"client_from": ["10.0.0.0/8"]}, {"client_ip": ""}),
        ({"client_not_from": ["192.168.0.0/16"]}, {"client_ip": "nonsense"}),
        ({"estimated_rows": {"over": 0}}, {}),
        ({"relations": ["crm.*"]}, {"analysis": Analysis(statements=(facts("delete", writes=("customers",)),))}),
        ({"relations": ["crm.*"]}, {"analysis": Analysis(statements=(facts("delete", writes=("crm.a.b",)),))}),
        ({"relations": ["crm.*"]}, {"analysis": Analysis(statements=(facts("delete"),))}),
        ({"relations": ["crm.*"]}, {"analysis": Analysis(statements=(facts("delete", writes=("crm.a",), reads=("hr.b",)),))}),
        ({"columns": ["crm.customers.*"]}, {"analysis": Analysis(statements=(facts("delete", columns=("id",)),))}),
        ({"functions": ["now"]}, {"analysis": Analysis(statements=(facts("delete", functions=("evil.now",)),))}),
    ],
)
def test_a_permitting_rule_needs_certainty(conditions: dict[str, Any], unknown: dict[str, Any]) -> None:
    policy = bundle(rules=[rule("allow", **conditions)])
    assert isinstance(ask(policy, facts("delete"), **unknown), Deny)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("format", {"format": "tidegate-bundle/2"}),
        ("unknown field `surprise`", {"surprise": 1}),
        ("rules[0]", {"rules": [{**rule(), "when": {"moon": "full"}}]}),
        ("rules[0]", {"rules": [{**rule(), "then": "maybe"}]}),
        ("rules[0].workflow", {"rules": [rule("approve", workflow="dangling")]}),
        ("rules[0].workflow", {"rules": [rule("approve")]}),
        ("rules[0]", {"rules": [rule(actions=["teleport"])]}),
        ("rules[0].when.actions", {"rules": [rule(actions=[])]}),
        ("rules[0]", {"rules": [rule(matches="(")]}),
        ("rules[0]", {"rules": [rule(client_from=["10.0.0.1/8"])]}),
        ("rules[0]", {"rules": [rule(between={"from": "22:00", "to": "06:00", "tz": "Moon/Base"})]}),
        ("rules[0].when.between", {"rules": [rule(between={"from": "25:00", "to": "06:00"})]}),
        ("rules[0]", {"rules": [rule(between={"from": "06:00", "to": "06:00"})]}),
        ("rules[0].when.groups", {"rules": [rule(groups=["nobody"])]}),
        ("rules[0].when.estimated_rows", {"rules": [rule(estimated_rows={"under": 1})]}),
        ("rules[0]", {"rules": [rule(columns=["ssn"])]}),
        ("rules[1]", {"rules": [rule(), rule()]}),
        ("masking[0]", {"masking": [masking(method={"name": "rot13"})]}),
        ("masking[0]", {"masking": [masking(method={"name": "partial", "first": -1, "last": 4})]}),
        ("masking[0]", {"masking": [masking(method={"name": "round", "to": 0})]}),
        ("masking[0]", {"masking": [masking(method={"name": "redact", "first": 1})]}),
        ("masking[0]", {"masking": [masking(columns=("customers.ssn",))]}),
        ("masking[0].columns", {"masking": [masking(columns=())]}),
        ("masking[0].cleared.groups", {"masking": [masking(cleared=[{"groups": ["nobody"]}])]}),
        ("grants[0].actions", {"grants": [{"connections": ["crm"], "actions": ["teleport"]}]}),
        ("grants[0].groups", {"grants": [{"connections": ["crm"], "actions": ["select"], "groups": ["nobody"]}]}),
        ("serial", {"serial": -1}),
        ("max_staleness", {"max_staleness": 0}),
    ],
)
def test_a_bundle_with_something_unknown_is_refused_with_its_path(path: str, change: dict[str, Any]) -> None:
    with pytest.raises(BundleError) as caught:
        Bundle.load(json.dumps(payload(**change)).encode(), {})
    assert path in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        {"unanalyzable": "shrug"},
        {"opaque_functions": {"approve": "dangling"}},
        {"default": "maybe"},
        {"derived_use": "x"},
        {"row_evidence": "all"},
    ],
)
def test_a_connection_with_something_unknown_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"connections\[0\]"):
        bundle(connection=setting)


@pytest.mark.parametrize("method", ["", "no such method", "REDACT"])
def test_an_unknown_mask_yields_null(method: str) -> None:
    assert mask_cell(Mask(method), 25, 0, b"value", b"k" * 32) is None
