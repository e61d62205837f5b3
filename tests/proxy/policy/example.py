"""A small bundle that the policy tests vary, and short ways to ask the engine."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from proxy.policy.bundle import Bundle
from proxy.policy.decision import Decision
from proxy.policy.engine import Question, decide
from proxy.sql.facts import Analysis, Facts, MaskPlan

NOW = 1_767_225_600  # 2026-01-01 00:00:00 UTC, a Thursday
KEY = base64.b64encode(bytes(32)).decode()

PAYLOAD: dict[str, Any] = {
    "format": "tidegate-bundle/1",
    "serial": 12,
    "max_staleness": 3600,
    "groups": ["agents", "compliance", "owners"],
    "issuers": [
        {
            "name": "corp", "issuer": "https://id.example.com", "audience": "tidegate", "jwks_uri": None, "subject_claim": "sub",
            "groups_claim": "groups", "algorithms": ["RS256"],
        }
    ],
    "subjects": [
        {
            "name": "bot", "kind": "agent", "owner": "dana", "groups": ["agents"], "oidc": None,
            "scram": {
                "salt": base64.b64encode(bytes(16)).decode(), "iterations": 4096,
                "keys": [
                    {"id": "k1", "stored_key": KEY, "server_key": KEY, "expires": None},
                    {"id": "k2", "stored_key": KEY, "server_key": KEY, "expires": NOW},
                ],
            },
        },
        {
            "name": "token-bot", "kind": "service", "owner": None, "groups": [], "scram": None,
            "oidc": {"issuer": "corp", "subject": "client:token-bot"},
        },
    ],
    "connections": [
        {
            "name": "crm", "host": "db", "port": 5432, "dbname": "crm_live", "databases": ["tenant_*"], "user": "tidegate_agent",
            "credential_version": 1, "tls": {"mode": "disable", "ca": None}, "default": "deny", "unanalyzable": "deny",
            "opaque_functions": "deny", "trusted_functions": ["crm.order_total", "to_char"], "derived_use": "scan", "row_evidence": "count",
            "max_rows": None, "statement_timeout_ms": None, "max_sessions": None,
        },
        {
            "name": "open", "host": "db", "port": 5432, "dbname": "open", "databases": [], "user": "u", "credential_version": 1,
            "tls": {"mode": "disable", "ca": None}, "default": "allow",
        },
    ],
    "grants": [
        {"subjects": [], "groups": ["agents"], "connections": ["crm"], "actions": ["select", "explain"], "from": None, "until": None},
        {"subjects": ["bot"], "groups": [], "connections": ["crm"], "actions": ["insert"], "from": NOW - 100, "until": NOW + 100},
    ],
    "masking": [],
    "rules": [],
    "workflows": [
        {"name": "owners", "quorum": 1, "expires": 900, "hold": "wait", "max_wait": 600, "has_approvers": True},
        {"name": "nobody", "quorum": 1, "expires": 900, "hold": "wait", "max_wait": 600, "has_approvers": False},
    ],
}  # fmt: skip

SECRETS = {"connections": {"crm": {"password": "secret-password", "hash_key": base64.b64encode(b"k" * 32).decode()}}}


def payload(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(PAYLOAD), **changes}


def bundle(*, connection: dict[str, Any] | None = None, **changes: Any) -> Bundle:
    """The example with top-level members replaced, and members of connection ``crm`` changed."""
    content = payload(**changes)
    content["connections"][0] |= connection or {}
    return Bundle.load(json.dumps(content).encode(), SECRETS)


def rule(then: str = "deny", *, name: str = "the rule", shadow: bool = False, workflow: str | None = None, **when: Any) -> dict[str, Any]:
    conditions = {name.removeprefix("client_"): value for name, value in when.items()}
    return {"name": name, "when": conditions, "then": then, "workflow": workflow, "message": None, "shadow": shadow}


def masking(name: str = "ssn", columns: tuple[str, ...] = ("crm.customers.ssn",), **changes: Any) -> dict[str, Any]:
    base = {"name": name, "connections": None, "columns": list(columns), "method": {"name": "redact"}, "lookups": "deny", "cleared": []}
    return {**base, **changes}


def facts(action: str = "select", *, actions: tuple[str, ...] = (), **more: Any) -> Facts:
    return Facts(action=action, actions=frozenset(actions or (action,)), **{
        name: frozenset(value) if isinstance(value, tuple) else value for name, value in more.items()
    })  # fmt: skip


def ask(policy: Bundle, *statements: Facts, **changes: Any) -> Decision:
    """The decision for subject ``bot`` on connection ``crm``."""
    plan = changes.pop("plan", MaskPlan())
    question: dict[str, Any] = {
        "bundle": policy, "subject": "bot", "groups": frozenset(), "connection": "crm", "database": "crm_live",
        "analysis": Analysis(statements=statements, plan=plan), "client_ip": "10.1.2.3", "now": NOW,
    }  # fmt: skip
    return decide(Question(**{**question, **changes}))
