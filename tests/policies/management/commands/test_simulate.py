"""Statements are analysed, recorded and ingested as workers do it; drafts are policy files."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.models import Entry
from controlplane.models import BundleVersion
from policies.policy_file.apply import apply_files
from proxy.sql.recorded import fields_of
from tests.audit.conftest import Process, process  # noqa: F401
from tests.proxy.sql.example import analysed

pytestmark = pytest.mark.django_db

POLICY = """
version: 1
groups: [agents, auditors]
users: [{username: dana, email: dana@example.com, roles: [approver]}]
subjects: [{name: bot, groups: [agents]}, {name: helper, groups: []}]
connections:
  - {name: crm, host: db, dbname: crm, user: gateway, password: pw, tls: {mode: disable},
     opaque_functions: allow, trusted_functions: [crm.by_name]}
grants:
  - {to: {groups: [agents]}, connections: [crm], actions: [select, function, delete, update, transaction]}
masking:
  - {name: mails, columns: [crm.customers.email], method: email, cleared: {groups: [auditors]}}
rules:
  - {name: no unbounded writes, when: {actions: [delete, update], without_where: true}, then: deny}
workflows:
  - {name: owners, approvers: {users: [dana]}}
"""


class Recorder:
    """What a worker would record of statements, shipped."""

    def __init__(self, worker: Process) -> None:
        self.worker = worker

    def __call__(self, *texts: str, subject: str = "bot", time_us: int | None = None, **fields: Any) -> None:
        items = []
        for text in texts:
            who = {"subject": subject, "issuer": "api-key", "connection": "crm", "database": "crm", "client": "10.1.2.3:5", "groups": []}
            ids = {"session": "s", "statement": str(uuid.uuid4()), "decision": "allow", "sql": text, "parameters": None}
            analysis = analysed(text, rules={}, trusted=frozenset({"crm.by_name"}))
            items.append(self.worker.entry("statement.intended", {**who, **ids, **fields_of(analysis), **fields}, time_us=time_us))
        self.worker.ship(items)


@pytest.fixture
def recorded(process: Process) -> Recorder:  # noqa: F811
    return Recorder(process)


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """The policy in force, as a file that tests change."""
    path = tmp_path / "draft.yaml"
    path.write_text(POLICY)
    apply_files([path], actor="a test")
    return path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def simulated(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    call_command("simulate", "-f", str(path), "--json", *arguments)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def add_rule(path: Path, rule: str) -> None:
    change(path, "rules:\n", f"rules:\n  - {rule}\n")


def test_what_is_in_force_changes_nothing(draft, recorded, capsys):
    recorded("SELECT id FROM crm.customers", "DELETE FROM crm.orders", "not SQL", "SELECT id FROM crm.customers; DELETE FROM crm.log")
    found = simulated(capsys, draft, "--exit-code")
    assert (found["examined"], found["changed"], found["groups"]) == (4, 0, [])


def test_a_draft_that_denies_and_holds_more(draft, recorded, capsys):
    recorded("DELETE FROM crm.orders WHERE id = 7", "DELETE FROM crm.orders WHERE id = 8", "DELETE FROM crm.log WHERE id = 1", "SELECT 1")
    recorded("DELETE FROM crm.orders WHERE id = 4711", subject="helper")  # not granted, before and after
    add_rule(draft, "{name: keep orders, when: {actions: [delete], relations: [crm.orders]}, then: deny, message: Ask finance.}")
    add_rule(draft, "{name: deletes need a yes, when: {actions: [delete]}, then: {approve: owners}}")
    before = (BundleVersion.objects.count(), Entry.objects.count())
    found = simulated(capsys, draft)
    assert (BundleVersion.objects.count(), Entry.objects.count()) == before
    assert (found["examined"], found["changed"]) == (5, 4)
    assert found["changes"] == {"allow → deny": 2, "allow → approve": 1, "other rules": 1}
    first = found["groups"][0]
    assert (first["subject"], first["connection"], first["count"]) == ("bot", "crm", 2)
    assert first["draft"]["rules"] == ["deletes need a yes", "keep orders"]
    assert first["example"] == "DELETE FROM crm.orders WHERE id = $1"
    call_command("simulate", "-f", str(draft), "--limit", "1")
    printed = capsys.readouterr().out
    assert "5 statements examined, 4 would be treated differently." in printed
    assert "bot on crm: 2 allow → deny" in printed
    assert 'draft:  rule "keep orders" denies delete on crm.orders: Ask finance.' in printed
    assert "… and 2 smaller groups (--limit 3 shows all)." in printed
    assert "4711" not in printed


def test_what_is_no_longer_denied(draft, recorded, capsys):
    recorded("DELETE FROM crm.orders", "UPDATE crm.orders SET total = 0", "DELETE FROM crm.orders WHERE id = 1")
    change(draft, "actions: [delete, update], without", "actions: [update], without")
    [group] = simulated(capsys, draft)["groups"]
    assert (group["change"], group["count"], group["example"]) == ("deny → allow", 1, "DELETE FROM crm.orders")
    assert group["now"]["rules"] == ["no unbounded writes"]


def test_masks_by_name_method_and_clearance(draft, recorded, capsys):
    recorded("SELECT * FROM crm.customers", "SELECT id FROM crm.customers", "SELECT email, ssn FROM crm.customers WHERE id = 3")
    recorded("SELECT email FROM crm.customers", groups=["auditors"])  # cleared by its token's group
    change(draft, "masking:\n", 'masking:\n  - {name: numbers, columns: ["*.*.ssn"], method: {partial: {first: 0, last: 4}}}\n')
    change(draft, "method: email, cleared: {groups: [auditors]}", "method: redact")
    found = simulated(capsys, draft)
    assert (found["examined"], found["changes"]) == (4, {"other masks": 3})
    masks = {group["example"]: (group["now"]["masks"], group["draft"]["masks"]) for group in found["groups"]}
    assert masks["SELECT email FROM crm.customers"] == ({}, {"crm.customers.email": "redact"})
    now, then = masks["SELECT * FROM crm.customers"]
    assert now == {"crm.customers.email": "email"}
    assert then == {"crm.customers.email": "redact", "crm.customers.ssn": "partial 0 4"}
    call_command("simulate", "-f", str(draft))
    assert "    crm.customers.ssn: not masked → partial 0 4" in capsys.readouterr().out


def test_functions_that_the_draft_no_longer_trusts(draft, recorded, capsys):
    recorded("SELECT crm.by_name('1')")
    change(draft, "opaque_functions: allow, trusted_functions: [crm.by_name]", "opaque_functions: deny, trusted_functions: [crm.other]")
    [group] = simulated(capsys, draft)["groups"]
    assert group["draft"]["reason"].startswith("the effect of function crm.by_name cannot be known")


def test_several_statements_are_decided_one_by_one(draft, recorded, capsys):
    recorded("SELECT id FROM crm.orders; DELETE FROM crm.log WHERE id = 1")
    add_rule(draft, "{name: keep orders, when: {actions: [delete], relations: [crm.orders]}, then: deny}")
    assert simulated(capsys, draft)["changed"] == 0
    add_rule(draft, "{name: one by one, when: {multiple_statements: true}, then: deny}")
    assert simulated(capsys, draft)["changes"] == {"allow → deny": 1}


def test_hours_are_those_of_the_entry(draft, recorded, capsys):
    day = 86_400
    midnight = int(time.time()) // day * day - day
    recorded("SELECT 1", time_us=(midnight + 3 * 3600) * 1_000_000)
    recorded("SELECT 2", time_us=(midnight + 12 * 3600) * 1_000_000)
    add_rule(draft, "{name: nights, when: {between: {from: '22:00', to: '06:00', tz: UTC}}, then: deny}")
    assert simulated(capsys, draft)["changes"] == {"allow → deny": 1}


def test_a_draft_without_the_connection(draft, recorded, capsys):
    recorded("SELECT 1", "SELECT id FROM crm.customers")
    text = "version: 1\ngroups: [agents]\nsubjects: [{name: bot, groups: [agents]}]\n"
    draft.write_text(text)
    assert simulated(capsys, draft)["changed"] == 0  # as with apply, what a file does not name stays
    [group] = simulated(capsys, draft, "--prune")["groups"]
    assert (group["count"], group["draft"]["reason"]) == (2, 'connection "crm" is no longer in the policy')


def test_which_statements(draft, recorded, capsys):
    recorded("SELECT 1", time_us=int((time.time() - 3 * 86_400) * 1_000_000))
    recorded("SELECT 2")
    recorded("SELECT 3", subject="helper")
    assert simulated(capsys, draft)["examined"] == 3
    assert simulated(capsys, draft, "--since", "2d")["examined"] == 2
    assert simulated(capsys, draft, "--until", "2d")["examined"] == 1
    assert simulated(capsys, draft, "--subject", "helper")["examined"] == 1
    assert simulated(capsys, draft, "--connection", "other")["examined"] == 0


def test_entries_of_before_there_were_all_fields_and_such_as_nobody_records(draft, recorded, process, capsys):  # noqa: F811
    process.ship(process.session("SELECT 1", subject="bot"))
    old = {"subject": "bot", "connection": "crm", "client": "10.1.2.3:5", "actions": ["delete"], "relations": ["crm.orders"]}
    process.ship([process.entry("statement.intended", old), process.entry("statement.intended", old | {"relations": [{}], "columns": 7})])
    add_rule(draft, "{name: keep orders, when: {relations: [crm.orders]}, then: deny}")
    found = simulated(capsys, draft)
    assert (found["examined"], found["unreadable"], found["changes"]) == (3, 1, {"allow → deny": 1})


def test_differences_as_an_exit_code(draft, recorded):
    recorded("SELECT 1")
    add_rule(draft, "{name: nothing, when: {}, then: deny}")
    call_command("simulate", "-f", str(draft))
    with pytest.raises(SystemExit) as ended:
        call_command("simulate", "-f", str(draft), "--exit-code")
    assert ended.value.code == 1


def test_mistakes(draft, tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("simulate", "-f", str(tmp_path / "missing"))
    with pytest.raises(CommandError, match="neither a span"):
        call_command("simulate", "-f", str(draft), "--since", "yesterday")
    add_rule(draft, "{name: x, wehn: {}, then: deny}")
    with pytest.raises(CommandError, match="unknown key 'wehn'"):
        call_command("simulate", "-f", str(draft))
    BundleVersion.objects.all().delete()
    with pytest.raises(CommandError, match="no policy in force"):
        call_command("simulate", "-f", str(draft))
