"""What a trial says agrees with what the engine and the analysis say, with a catalog and without one."""

from __future__ import annotations

import json
from typing import Any

from policies.trial import Masked, Outcome, Trial, try_out
from tests.proxy.policy.example import NOW, payload
from tests.proxy.sql.example import RECORDED

ROWS = json.loads(RECORDED.read_text())
MASKING = [
    {"name": "mails", "columns": ["crm.customers.email"], "method": {"name": "email"}},
    {"name": "ssn", "columns": ["*.*.ssn"], "method": {"name": "partial", "first": 0, "last": 4},
     "cleared": [{"subjects": ["token-bot"], "groups": [], "until": NOW + 10}]},
]  # fmt: skip
RULES = [
    {"name": "no ddl", "when": {"actions": ["drop"]}, "then": "deny", "message": "Ask dana."},
    {"name": "no wild deletes", "when": {"actions": ["delete"], "without_where": True}, "then": "deny"},
]
GRANTS = [{"subjects": ["bot", "token-bot"], "connections": ["crm"], "actions": ["select", "delete", "drop"]}]


def tried(sql: str, subject: str = "bot", database: str = "crm", rows: Any = ROWS, rule: str = "", **changes: Any) -> Outcome:
    policy = payload(**{"masking": MASKING, "rules": RULES, "grants": GRANTS, **changes})
    trial = Trial([json.dumps(policy)], subject, [], database, sql, ["crm", "public"], "10.0.0.1", NOW, rows, rule)
    [outcome] = try_out(trial)
    return outcome


def test_an_allowed_statement_is_sent_as_it_is() -> None:
    outcome = tried("SELECT id FROM customers")
    assert (outcome.kind, outcome.plan, outcome.sent) == ("allow", "none", "SELECT id FROM customers")
    [statement] = outcome.statements
    assert statement.reads == ["crm.customers"]
    assert statement.columns == ["crm.customers.id"]


def test_masks_and_the_rewritten_statement() -> None:
    plain = tried("SELECT email FROM customers")
    assert (plain.plan, plain.sent) == ("result", "SELECT email FROM customers")
    assert plain.masked == [Masked("crm.customers.email", "email", "mails")]
    scanned = tried("SELECT upper(ssn) FROM customers")
    assert scanned.plan == "scan"
    assert scanned.sent.startswith("SELECT upper(ssn) FROM  (SELECT")
    assert scanned.masked == [Masked("crm.customers.ssn", "partial 0 4", "ssn")]
    refused = tried("DELETE FROM customers WHERE ssn = '1'")
    assert (refused.kind, refused.plan, refused.sent) == ("deny", "refuse", "")
    assert "crm.customers.ssn" in refused.plan_reason


def test_a_clearance_is_told() -> None:
    outcome = tried("SELECT ssn FROM customers", subject="token-bot")
    assert (outcome.kind, outcome.masked) == ("allow", [])
    assert outcome.cleared == [Masked("crm.customers.ssn", "partial 0 4", "ssn")]


def test_rules_speak_and_say_why_not() -> None:
    denied = tried("DROP TABLE customers")
    assert (denied.kind, denied.rules, denied.sqlstate) == ("deny", ["no ddl"], "42501")
    assert denied.reason.endswith("Ask dana.")
    allowed = tried("DELETE FROM orders WHERE id = 1", rule="no wild deletes")
    assert allowed.kind == "allow"
    assert allowed.statements[0].conditions == [("actions", True), ("without_where", False)]


def test_without_a_catalog_names_are_taken_as_written() -> None:
    outcome = tried("SELECT ssn FROM crm.customers", rows=None)
    assert (outcome.kind, outcome.plan, outcome.statements[0].reads) == ("allow", "unknown", ["crm.customers"])
    assert [masked.column for masked in outcome.masked] == ["crm.customers.email", "*.*.ssn"]
    assert [masked.column for masked in tried("SELECT 1 FROM orders", rows=None).masked] == ["*.*.ssn"]
    assert tried("SELECT ssn FROM crm.customers", subject="token-bot", rows=None).masked == [outcome.masked[0]]


def test_what_cannot_be_read_is_told() -> None:
    assert tried("SELEC 1").syntax.startswith("syntax error")
    assert tried("SELECT 1 FROM nowhere").unknown == ["nowhere"]
    assert tried("SELECT " + "(" * 100_000).problem


def test_no_session_no_statement() -> None:
    assert "does not offer this database" in tried("SELECT 1", database="crm/other").reason
    assert 'connection "nowhere" does not exist' in tried("SELECT 1", database="nowhere").reason
    assert 'subject "nobody" is not in the policy' in tried("SELECT 1", subject="nobody").reason
