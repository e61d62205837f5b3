"""Decisions are values: equal if they say the same, and nobody can change one."""

from __future__ import annotations

import dataclasses

import pytest

from proxy.policy.decision import Allow, Decision, Deny, RequireApproval


@pytest.mark.parametrize("decision", [Allow("granted"), Deny("no"), RequireApproval("owners", "held")])
def test_values(decision: Decision) -> None:
    assert decision == dataclasses.replace(decision)
    assert (decision.rules, decision.would) == ((), ())
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.reason = "other"  # type: ignore[misc]


def test_a_denial_is_one_by_policy_unless_it_says_otherwise() -> None:
    assert Deny("no").sqlstate == "42501"
