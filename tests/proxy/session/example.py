"""The policy, the catalog and the analyses that conversations are about."""

from __future__ import annotations

import base64
import json
from typing import Any

from proxy.policy.bundle import Bundle
from proxy.sql.catalog import Catalog
from proxy.sql.facts import Analysis, Facts, MaskPlan
from proxy.wire import scram

NOW = 1_800_000_000.0
SALT = b"0123456789abcdef"
KEY = scram.derive("agent key", SALT, 4096, "k1")
CUSTOMERS = 16400
_COLUMN = ("25", "pg_catalog", "text", "text", "-1", "f", "b", "0", "-1", "", "")
CATALOG = Catalog.load({
    "schemas": [["pg_catalog"], ["public"], ["crm"]],
    "relations": [[str(CUSTOMERS), "crm", "customers", "r", "f"]],
    "columns": [[str(CUSTOMERS), str(n), name, *_COLUMN] for n, name in enumerate(("id", "name", "ssn"), 1)],
})  # fmt: skip


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def bundle(**over: Any) -> Bundle:
    """A policy that allows everything, changed by ``over``: ``connection={…}`` for its only connection, else whole lists."""
    connection = {
        "name": "crm", "host": "db", "port": 5432, "dbname": "crm_db", "databases": [], "user": "tidegate_agent", "credential_version": 1,
        "tls": {"mode": "disable", "ca": None}, "default": "allow", "unanalyzable": "allow", "opaque_functions": "allow",
        "trusted_functions": [], "derived_use": "scan", "row_evidence": "count", "max_rows": None, "statement_timeout_ms": None,
        "max_sessions": None,
    }  # fmt: skip
    keys = [{"id": "k1", "stored_key": b64(KEY.stored_key), "server_key": b64(KEY.server_key), "expires": None}]
    bot = {"name": "bot", "kind": "agent", "owner": None, "groups": ["agents"]}
    content = {
        "format": "tidegate-bundle/1", "serial": 1, "max_staleness": 3600, "groups": ["agents"], "grants": [], "masking": [], "rules": [],
        "issuers": [{"name": "corp", "issuer": "https://id", "audience": "tidegate", "jwks_uri": None, "algorithms": ["RS256"]}],
        "subjects": [
            {**bot, "scram": {"salt": b64(SALT), "iterations": 4096, "keys": keys}, "oidc": {"issuer": "corp", "subject": "client:bot"}}
        ],
        "connections": [connection | over.pop("connection", {})],
        "workflows": [{"name": "owners", "quorum": 1, "expires": 900, "hold": "wait", "max_wait": 600, "has_approvers": True}],
    }  # fmt: skip
    secrets = {"connections": {"crm": {"password": over.pop("password", "upstream pw"), "hash_key": b64(b"k" * 32)}}}
    return Bundle.load(json.dumps(content | over).encode(), secrets)


MASKED = {"masking": [{"name": "ssn", "columns": ["crm.customers.ssn"], "method": {"name": "redact"}}]}


def rule(action: str, then: str) -> dict[str, Any]:
    workflow = "owners" if then == "approve" else None
    return {"name": f"{then} {action}", "when": {"actions": [action]}, "then": then, "workflow": workflow, "message": None, "shadow": False}


HELD = {"rules": [rule("delete", "approve")]}


def one(action: str, plan: MaskPlan | None = None, **facts: Any) -> Analysis:
    """The analysis of a text that holds one statement."""
    actions = facts.pop("actions", frozenset({action}))
    return Analysis((Facts(action, frozenset(actions), normalised="…", **facts),), plan or MaskPlan())
