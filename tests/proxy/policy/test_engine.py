"""Decisions: what wins over what, and what each reason says."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from proxy.policy.decision import Allow, Deny, RequireApproval
from proxy.policy.engine import admits, estimates, stable_until
from proxy.sql.facts import Analysis, MaskPlan, SyntaxProblem
from tests.proxy.policy.example import NOW, ask, bundle, facts, masking, payload, rule

DENY, APPROVE, ALLOW = rule("deny", name="d"), rule("approve", name="a", workflow="owners"), rule("allow", name="l")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([ALLOW, APPROVE, DENY], Deny),
        ([DENY, ALLOW], Deny),
        ([APPROVE, DENY], Deny),
        ([ALLOW, APPROVE], RequireApproval),
        ([APPROVE, ALLOW], RequireApproval),
        ([ALLOW], Allow),
        ([], Deny),  # nothing speaks for a delete
    ],
)
def test_deny_wins_then_approval_then_allow(rules: list[dict[str, Any]], expected: type) -> None:
    decision = ask(bundle(rules=rules), facts("delete"))
    assert isinstance(decision, expected)
    assert set(decision.rules) == {item["name"] for item in rules}


def test_the_reason_names_rule_action_and_object() -> None:
    no_ddl = {**rule("deny", name="no DDL", actions=["drop"]), "message": "Schema changes go through migrations."}
    decision = ask(bundle(rules=[no_ddl]), facts("drop", writes=("crm.customers",)))
    assert decision == Deny(
        'rule "no DDL" denies drop on crm.customers: Schema changes go through migrations.',
        "Granted on this connection: explain, insert, select.",
        ("no DDL",),
    )


def test_grants_together_must_cover_every_action() -> None:
    assert isinstance(ask(bundle(), facts("insert", actions=("insert", "select"))), Allow)
    decision = ask(bundle(), facts("explain", actions=("explain", "delete"), writes=("crm.orders",)))
    assert decision == Deny(
        'subject "bot" has no grant for delete on connection "crm" on crm.orders', "Granted on this connection: explain, insert, select."
    )


@pytest.mark.parametrize(("now", "expected"), [(NOW - 101, Deny), (NOW - 100, Allow), (NOW + 99.9, Allow), (NOW + 100, Deny)])
def test_a_grant_holds_from_its_first_second_until_its_last(now: float, expected: type) -> None:
    assert isinstance(ask(bundle(), facts("insert"), now=now), expected)


def test_groups_of_a_token_count_if_the_policy_knows_them() -> None:
    assert isinstance(ask(bundle(), facts("select"), subject="token-bot"), Deny)
    assert isinstance(ask(bundle(), facts("select"), subject="token-bot", groups=frozenset({"agents"})), Allow)
    grants = [{"subjects": [], "groups": [], "connections": ["crm"], "actions": ["select"]}]
    assert isinstance(ask(bundle(grants=grants), facts("select"), groups=frozenset({"strangers"})), Deny)


def test_several_statements_are_decided_as_a_whole() -> None:
    held = rule("approve", workflow="owners", actions=["delete"])
    policy = bundle(rules=[held, rule("deny", name="d", actions=["drop"])])
    assert isinstance(ask(policy, facts("select"), facts("insert")), Allow)
    assert isinstance(ask(policy, facts("select"), facts("delete")), RequireApproval)
    decision = ask(policy, facts("select"), facts("delete"), facts("drop"))
    assert isinstance(decision, Deny)
    assert decision.rules == ("the rule", "d")
    assert isinstance(ask(policy, facts("select"), facts("update")), Deny)


def test_an_allow_rule_for_one_statement_does_not_carry_another() -> None:
    policy = bundle(rules=[rule("allow", actions=["update"])])
    assert isinstance(ask(policy, facts("update")), Allow)
    assert isinstance(ask(policy, facts("update"), facts("delete")), Deny)
    assert isinstance(ask(policy, facts("update", actions=("update", "delete"))), Deny)


def test_default_allow_lets_what_nothing_speaks_about() -> None:
    assert isinstance(ask(bundle(), facts("drop"), connection="open"), Allow)
    assert isinstance(ask(bundle(rules=[rule("deny", actions=["drop"])]), facts("drop"), connection="open"), Deny)


def test_a_shadow_rule_is_reported_and_not_enforced() -> None:
    policy = bundle(rules=[rule("deny", name="trial", shadow=True), rule("approve", name="later", shadow=True, workflow="owners")])
    decision = ask(policy, facts("select"))
    assert isinstance(decision, Allow)
    assert decision.would == ("would deny: trial", "would approve: later")
    assert decision.rules == ()


def test_a_workflow_without_approvers_denies_and_says_so() -> None:
    decision = ask(bundle(rules=[rule("approve", name="held", workflow="nobody")]), facts("select"))
    assert isinstance(decision, Deny)
    assert 'workflow "nobody" has no approver' in decision.reason
    assert decision.rules == ("held",)


def test_the_first_of_two_workflows_is_asked() -> None:
    second = {"name": "second", "quorum": 2, "expires": 1, "hold": "ticket", "max_wait": 0, "has_approvers": True}
    rules = [rule("approve", name="one", workflow="second"), rule("approve", name="two", workflow="owners")]
    decision = ask(bundle(rules=rules, workflows=[*payload()["workflows"], second]), facts("select"))
    assert isinstance(decision, RequireApproval)
    assert (decision.workflow, decision.rules) == ("second", ("one", "two"))


class TestOpaqueFunctions:
    CALL = facts("select", opaque_functions=("crm.mystery",), functions=("crm.mystery",))

    def test_denied_by_default_with_the_name(self) -> None:
        decision = ask(bundle(), self.CALL)
        assert decision == Deny(
            'the effect of function crm.mystery cannot be known, and connection "crm" denies that',
            "trusted_functions of the connection may name it.",
        )

    def test_an_allow_rule_does_not_override_the_setting(self) -> None:
        assert isinstance(ask(bundle(rules=[ALLOW]), self.CALL), Deny)

    def test_allowed_if_the_connection_says_so_and_the_grant_covers_it(self) -> None:
        policy = bundle(connection={"opaque_functions": "allow"})
        assert isinstance(ask(policy, self.CALL), Allow)
        assert isinstance(ask(policy, facts("select", actions=("select", "function"), opaque_functions=("crm.mystery",))), Deny)

    def test_held_if_the_connection_says_so(self) -> None:
        policy = bundle(connection={"opaque_functions": {"approve": "owners"}})
        decision = ask(policy, self.CALL)
        assert isinstance(decision, RequireApproval)
        assert decision.workflow == "owners"
        assert isinstance(ask(bundle(connection={"opaque_functions": {"approve": "nobody"}}), self.CALL), Deny)

    @pytest.mark.parametrize(
        ("name", "trusted"),
        [
            ("crm.order_total", True),
            ("pg_catalog.to_char", True),
            ("evil.to_char", False),
            ("to_char", False),  # unresolved: it could be anybody's
            ("evil.order_total", False),
        ],
    )
    def test_trusted_functions_are_exempt(self, name: str, trusted: bool) -> None:
        assert isinstance(ask(bundle(), facts("select", opaque_functions=(name,))), Allow if trusted else Deny)


class TestUnanalyzable:
    STRANGE = facts("unanalyzable", problem="two parsers disagree")

    def test_denied_by_default(self) -> None:
        decision = ask(bundle(), self.STRANGE)
        assert isinstance(decision, Deny)
        assert decision.sqlstate == "TG003"
        assert "two parsers disagree" in decision.reason

    def test_allowed_only_where_no_mask_applies(self) -> None:
        grants = [{"subjects": ["bot"], "groups": [], "connections": ["crm"], "actions": ["unanalyzable"]}]
        allowing: dict[str, Any] = {"connection": {"unanalyzable": "allow"}, "grants": grants}
        assert isinstance(ask(bundle(**allowing), self.STRANGE), Allow)
        masked = ask(bundle(**allowing, masking=[masking()]), self.STRANGE)
        assert isinstance(masked, Deny)
        assert masked.sqlstate == "TG003"
        other = masking(connections=["open"])
        assert isinstance(ask(bundle(**allowing, masking=[other]), self.STRANGE), Allow)
        cleared = masking(cleared=[{"subjects": ["bot"], "groups": [], "until": NOW + 1}])
        assert isinstance(ask(bundle(**allowing, masking=[cleared]), self.STRANGE), Allow)
        assert isinstance(ask(bundle(**allowing, masking=[cleared]), self.STRANGE, now=NOW + 1), Deny)

    def test_allowing_it_is_no_grant(self) -> None:
        assert isinstance(ask(bundle(connection={"unanalyzable": "allow"}), self.STRANGE), Deny)

    def test_held_if_the_connection_says_so(self) -> None:
        assert isinstance(ask(bundle(connection={"unanalyzable": {"approve": "owners"}}), self.STRANGE), RequireApproval)

    def test_no_approver_can_say_what_it_would_show(self) -> None:
        decision = ask(bundle(connection={"unanalyzable": {"approve": "owners"}}, masking=[masking()]), self.STRANGE)
        assert isinstance(decision, Deny)
        assert decision.sqlstate == "TG003"

    def test_a_text_as_a_whole(self) -> None:
        decision = ask(bundle(), analysis=Analysis(problem="the text is nested too deeply"))
        assert isinstance(decision, Deny)
        assert "nested too deeply" in decision.reason

    def test_one_strange_statement_among_others(self) -> None:
        assert isinstance(ask(bundle(), facts("select"), self.STRANGE), Deny)


class TestMaskPlan:
    @pytest.mark.parametrize("kind", ["none", "result", "scan"])
    def test_plans_that_can_be_carried_out(self, kind: str) -> None:
        assert isinstance(ask(bundle(), facts("select"), plan=MaskPlan(kind, masked=("crm.customers.ssn",))), Allow)

    def test_refused_with_the_reason_of_the_analysis(self) -> None:
        plan = MaskPlan("refuse", reason="crm.customers.ssn is used in SET", masked=("crm.customers.ssn",))
        decision = ask(bundle(), facts("select"), plan=plan)
        assert isinstance(decision, Deny)
        assert (decision.sqlstate, decision.reason) == ("TG003", "crm.customers.ssn is used in SET")

    def test_approval_does_not_help(self) -> None:
        assert isinstance(ask(bundle(rules=[APPROVE]), facts("select"), plan=MaskPlan("refuse", reason="x")), Deny)


@pytest.mark.parametrize("settings", [{"unanalyzable": "deny"}, {"unanalyzable": {"approve": "owners"}}])
def test_syntax_errors_keep_their_words(settings: dict[str, Any]) -> None:
    decision = ask(bundle(connection=settings), analysis=Analysis(syntax=SyntaxProblem('syntax error at or near "SELEC"', 1)))
    assert isinstance(decision, Deny)
    assert decision.sqlstate == "42601"


def test_an_empty_query_is_harmless() -> None:
    assert isinstance(ask(bundle()), Allow)


class TestAdmits:
    def test_with_a_grant(self) -> None:
        assert admits(bundle(), "bot", "crm", NOW) == ""

    def test_without(self) -> None:
        assert admits(bundle(), "token-bot", "crm", NOW) == 'subject "token-bot" has no grant on connection "crm" that is valid now'
        assert admits(bundle(), "token-bot", "crm", NOW, frozenset({"agents"})) == ""

    def test_when_the_last_grant_has_ended(self) -> None:
        grants = [{"subjects": ["bot"], "groups": [], "connections": ["crm"], "actions": ["select"], "until": NOW}]
        assert admits(bundle(grants=grants), "bot", "crm", NOW - 1) == ""
        assert admits(bundle(grants=grants), "bot", "crm", NOW) != ""

    def test_unknown_names(self) -> None:
        assert admits(bundle(), "stranger", "crm", NOW) == 'subject "stranger" is not in the policy'
        assert admits(bundle(), "bot", "nowhere", NOW) == 'connection "nowhere" does not exist'
        assert admits(bundle(), "stranger", "open", NOW) != ""

    @pytest.mark.parametrize(("item", "admitted"), [(ALLOW, True), (APPROVE, True), (DENY, False), (rule("allow", shadow=True), False)])
    def test_a_rule_can_stand_in_for_a_grant(self, item: dict[str, Any], admitted: bool) -> None:
        assert (admits(bundle(grants=[], rules=[item]), "bot", "crm", NOW) == "") is admitted

    def test_a_rule_about_others_cannot(self) -> None:
        assert admits(bundle(grants=[], rules=[rule("allow", subjects=["token-bot"])]), "bot", "crm", NOW) != ""
        assert admits(bundle(grants=[], rules=[rule("allow", connections=["open"])]), "bot", "crm", NOW) != ""


class TestStableUntil:
    def test_grants_begin_and_end(self) -> None:
        assert stable_until(bundle(), "crm", NOW - 101) == NOW - 100
        assert stable_until(bundle(), "crm", NOW - 100) == NOW + 100
        assert stable_until(bundle(), "crm", NOW + 100) == math.inf
        assert stable_until(bundle(), "open", NOW) == math.inf

    def test_clearances_end(self) -> None:
        cleared = masking(cleared=[{"groups": ["compliance"], "until": NOW + 7}])
        assert stable_until(bundle(masking=[cleared]), "crm", NOW) == NOW + 7
        assert stable_until(bundle(masking=[{**cleared, "connections": ["open"]}]), "crm", NOW) == NOW + 100

    def test_hours_change_with_the_minute(self) -> None:
        policy = bundle(rules=[rule(between={"from": "22:00", "to": "06:00"})])
        assert stable_until(policy, "crm", NOW + 61.5) == NOW + 100
        assert stable_until(policy, "crm", NOW + 100) == NOW + 120

    def test_nothing_changes_before(self) -> None:
        policy = bundle(rules=[rule(between={"from": "22:00", "to": "06:00"}, actions=["select"])])
        moments = [NOW - 110 + step * 0.5 for step in range(500)]
        for before, after in itertools.pairwise(moments):
            if after < stable_until(policy, "crm", before):
                for action in ("select", "insert"):
                    assert ask(policy, facts(action), now=before) == ask(policy, facts(action), now=after)


def test_the_estimates_that_make_a_difference() -> None:
    over = [rule("deny", name=f"r{i}", estimated_rows={"over": n}) for i, n in enumerate((10, 100, 10))]
    assert estimates(bundle(rules=over), "crm") == (0, 11, 101)
    assert estimates(bundle(rules=[rule("deny", estimated_rows={"over": 5}, connections=["crm"])]), "other") == ()
    assert estimates(bundle(rules=[rule("deny", actions=["drop"])]), "crm") == ()


def test_the_reason_says_what_was_expected() -> None:
    policy = bundle(rules=[rule("deny", estimated_rows={"over": 5})])
    assert "about 6 rows expected (more than 5)" in ask(policy, facts("select"), estimated_rows=6).reason
    assert "unknown number of rows" in ask(policy, facts("select")).reason
