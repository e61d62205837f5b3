"""What-if on pages: the command's comparison, made by the queue; drafts that are wrong are explained with their lines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import Entry
from controlplane.models import BundleVersion
from policies import tasks, what_if
from policies.models import StatementRule, WhatIf
from policies.policy_file.apply import apply_sources
from policies.policy_file.document import read_text
from tests.audit.conftest import process  # noqa: F401
from tests.controlplane.conftest import approver, auditor  # noqa: F401
from tests.policies.conftest import EXAMPLE
from tests.policies.management.commands.test_simulate import POLICY, Recorder, recorded  # noqa: F401

pytestmark = pytest.mark.django_db
DRAFT = """version: 1
masking:
  - {name: names, columns: [crm.customers.name], method: redact}
rules:
  - {name: no updates at all, when: {actions: [update]}, then: deny}
"""
LIST = "admin:what-ifs"


@pytest.fixture
def policy() -> None:
    apply_sources([read_text(POLICY, "policy.yaml")], actor="a test")


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was put into the queue."""
    ordered: list[str] = []
    monkeypatch.setattr(tasks.what_if, "apply_async", lambda arguments, **options: ordered.append(arguments[0]))
    return ordered


def asked(client: Client, draft: str = DRAFT, **fields: Any) -> Any:
    return client.post(reverse(LIST), {"draft": draft, "days": "7", **fields})


def test_a_draft_is_compared(
    admin: Client, policy: None, recorded: Recorder, queue: list[str], django_capture_on_commit_callbacks: Any  # noqa: F811
) -> None:  # fmt: skip
    recorded("UPDATE crm.orders SET total = 1 WHERE id = 1", "UPDATE crm.orders SET total = 2 WHERE id = 2", "SELECT 1")
    recorded("SELECT name FROM crm.customers", subject="helper")
    before = (BundleVersion.objects.count(), Entry.objects.count())
    with django_capture_on_commit_callbacks(execute=True):
        answer = asked(admin)
    there = answer["Location"]
    assert 'http-equiv="refresh"' in admin.get(there).content.decode()
    assert queue == [str(WhatIf.objects.get().pk)]
    tasks.what_if(queue[0])
    made = WhatIf.objects.get()
    assert (made.state, made.done, made.total, bytes(made.draft)) == ("READY", 4, 4, b"")
    assert made.result["changes"] == [["allow → deny", 2]]
    assert made.result["subjects"] == [["bot", 2]]
    assert made.result["rules"] == [["no updates at all", 2]]
    [group] = made.result["groups"]
    assert "UPDATE crm.orders" in Entry.objects.get(pk=group["entry"]).disclosures
    shown = admin.get(there).content.decode()
    assert "2 of 4 statements would be treated differently" in shown
    assert reverse("audit:entry", args=[group["entry"]]) in shown
    assert "refresh" not in shown
    assert (BundleVersion.objects.count(), Entry.objects.count()) == before
    assert not StatementRule.objects.filter(name="no updates at all").exists()


def test_what_is_wrong_has_a_line(admin: Client, policy: None, queue: list[str]) -> None:
    said = asked(admin, "version: 1\nrules:\n  - {name: x, when: {actions: [fly]}, then: deny}\n").content.decode()
    assert "draft:3" in said
    assert "fly" in said
    assert "not YAML" in asked(admin, "version: [").content.decode()
    assert "Paste a draft, or choose a file." in asked(admin, " ").content.decode()
    assert not WhatIf.objects.exists()


def test_a_file(admin: Client, policy: None, queue: list[str]) -> None:
    assert asked(admin, "", file=SimpleUploadedFile("p.yaml", DRAFT.encode())).status_code == 302
    assert "not UTF-8" in asked(admin, "", file=SimpleUploadedFile("p.yaml", b"\xff")).content.decode()
    assert "larger than 1 MB" in asked(admin, "", file=SimpleUploadedFile("p.yaml", b"x" * 1_000_001)).content.decode()


def test_it_starts_from_the_policy_as_it_is(admin: Client, policy: None) -> None:
    assert "no unbounded writes" in admin.get(reverse(LIST), {"current": 1}).content.decode()


def test_a_draft_reads_nothing_of_this_host(admin: Client, policy: None, queue: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*arguments: object, **options: object) -> str:
        raise AssertionError("a file was read")

    monkeypatch.setattr("pathlib.Path.read_text", read)
    answer = asked(admin, EXAMPLE)
    assert answer.status_code == 302, answer.context["problems"]


def test_the_queue_is_down(admin: Client, policy: None, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError

    monkeypatch.setattr(tasks.what_if, "apply_async", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        there = asked(admin)["Location"]
    assert "The queue cannot be reached" in admin.get(there).content.decode()


def test_a_failure_is_told_and_a_second_delivery_changes_nothing(
    admin: Client, policy: None, queue: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(admin)
    pk = WhatIf.objects.get().pk
    monkeypatch.setattr(what_if, "statements", None)
    what_if.run(pk)
    assert WhatIf.objects.get().error.startswith("The comparison failed (TypeError)")
    what_if.run(pk)
    assert WhatIf.objects.get().state == "FAILED"


def test_old_ones_are_dropped(admin: Client, policy: None, queue: list[str]) -> None:
    asked(admin)
    WhatIf.objects.update(created=timezone.now() - timedelta(days=8))
    asked(admin)
    assert WhatIf.objects.count() == 1


def test_only_admins_see_a_result(admin: Client, auditor: Client, approver: Client, policy: None, queue: list[str]) -> None:  # noqa: F811
    there = asked(admin)["Location"]
    for client in (auditor, approver, Client()):
        assert client.get(there).status_code == 302
    assert admin.get(there).status_code == 200


def test_a_record_that_the_database_could_not_hold() -> None:
    assert what_if._storable({"a\0": ["\ud800", 1, None]}) == {"a\ufffd": ["?", 1, None]}
