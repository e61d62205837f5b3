"""A draft is tried on what agents really did."""

import json
from typing import Any

import psycopg
import pytest
import yaml

from tests.integration.harness import Agent, Stack


def simulated(stack: Stack, name: str, *rules: dict[str, Any]) -> dict[str, Any]:
    draft = stack.directory / f"{name}.yaml"
    draft.write_text(yaml.safe_dump({"version": 1, "rules": list(rules)}))
    found: dict[str, Any] = json.loads(stack.manage("simulate", "-f", str(draft), "--json", "--subject", "writer").stdout)
    return found


def test_a_draft_on_what_agents_did(stack: Stack, writer: Agent) -> None:
    writer.rows("INSERT INTO crm.journal VALUES (%s, 'simulated')", (990_001,))
    with pytest.raises(psycopg.Error):
        writer.rows("DELETE FROM crm.journal")
    stack.eventually_entry("statement.intended", subject="writer", connection=writer.dbname, sql="DELETE FROM crm.journal")
    assert simulated(stack, "nothing")["changed"] == 0, "every statement is decided as it was, from what its entry says"
    rule = {"name": "keep the journal", "when": {"relations": ["crm.journal"], "actions": ["insert"]}, "then": "deny"}
    groups = simulated(stack, "stricter", rule)["groups"]
    group = next(group for group in groups if group["connection"] == writer.dbname and "crm.journal" in group["example"])
    assert (group["change"], group["draft"]["rules"]) == ("allow → deny", ["keep the journal"])
    assert "simulated" not in json.dumps(group)
    assert stack.manage("simulate", "-f", str(stack.policy_file), "--exit-code").returncode == 0
