"""Everybody at once: one outcome, one execution, and the ledger agrees."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from approvals import links, services
from approvals.models import ApprovalRequest, BreakGlass, Delivery, Vote
from approvals.states import State
from audit.models import Entry
from tests.approvals.conftest import BINDING, payload, person

pytestmark = pytest.mark.django_db(transaction=True)
STATEMENT = {"binding": BINDING, "subject": "support-bot", "connection": "crm", "workflow": "owners"}
FINAL = {"approval.rejected", "approval.expired", "approval.cancelled", "approval.consumed"}


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """Run ``work(n)`` in ``count`` threads that start together; results or exceptions."""
    start, results = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        try:
            start.wait()
            results[number] = work(number)
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def kinds(request: ApprovalRequest) -> list[str]:
    """What the ledger says of a request, in order."""
    found = [json.loads(entry.canonical) for entry in Entry.objects.filter(kind__startswith="approval.").order_by("id")]
    return [entry["kind"] for entry in found if entry["fields"]["request"] == str(request.pk)]


def used(result: object) -> bool:
    """Whether a claim or consume says: run the statement."""
    return bool(result) and (result[0] if isinstance(result, tuple) else getattr(result, "state", "") == "CONSUMED")


@pytest.fixture
def crowd(workflow) -> list:
    people = [person(f"p{number}", is_approver=True) for number in range(20)]
    workflow.approvers.add(*people)
    return people


@pytest.mark.parametrize("quorum", [1, 3])
def test_twenty_approvers_at_once_decide_exactly_once(ask, workflow, crowd, quorum):
    workflow.quorum = quorum
    workflow.save()
    request = ask()
    results = at_once(20, lambda number: services.decide(request.pk, actor=crowd[number], approve=True))
    counted = [result for result in results if isinstance(result, ApprovalRequest)]
    assert len(counted) == quorum
    assert all(isinstance(result, services.Refused) for result in results if result not in counted)
    assert kinds(request) == ["approval.requested", *["approval.voted"] * (quorum - 1), "approval.approved"]
    assert Vote.objects.filter(request=request).count() == quorum


def test_twenty_who_disagree_come_to_one_outcome(ask, crowd):
    request = ask()
    results = at_once(20, lambda number: services.decide(request.pk, actor=crowd[number], approve=bool(number % 2)))
    assert sum(isinstance(result, ApprovalRequest) for result in results) == 1
    request.refresh_from_db()
    assert kinds(request) == ["approval.requested", f"approval.{request.state.lower()}"]
    assert Vote.objects.get().approve == (request.state == State.APPROVED)


def test_one_person_clicking_ten_times_at_once_counts_once(ask, workflow, dana):
    workflow.approvers.add(person("pat", is_approver=True))
    workflow.quorum = 2
    workflow.save()
    request = ask()
    results = at_once(10, lambda number: services.decide(request.pk, actor=dana, approve=True))
    assert sum(isinstance(result, ApprovalRequest) for result in results) == 1
    request.refresh_from_db()
    assert request.state == State.PENDING


def test_a_button_pressed_five_times_at_once_answers_once(ask, dana):
    request = ask()
    path = urlsplit(links.approver_url(request.pk, dana.pk, int(request.expires_at.timestamp()))).path
    codes = at_once(5, lambda number: Client().post(path, {"answer": "approve"}).status_code)
    assert sorted(codes) == [302, 409, 409, 409, 409]
    assert kinds(request) == ["approval.requested", "approval.approved"]


def test_twenty_workers_at_once_use_an_approval_once(ask, dana):
    request = services.decide(ask(), actor=dana, approve=True)
    results = at_once(20, lambda number: services.consume(request.pk, binding=BINDING) if number % 2 else services.claim(**STATEMENT))
    assert not [result for result in results if isinstance(result, Exception)]
    assert sum(map(used, results)) == 1
    assert kinds(request) == ["approval.requested", "approval.approved", "approval.consumed"]


def test_the_same_message_delivered_ten_times_at_once_opens_one_request(host, workflow):
    content = payload(host)
    results = at_once(10, lambda number: services.open_request(content, host.row))
    assert {result.pk for result in results} == {uuid.UUID(content["id"])}
    assert Entry.objects.filter(kind="approval.requested").count() == 1
    assert Delivery.objects.count() == 1


def everybody(request, crowd, *, withdrawn: bool, rejected: bool, over: bool) -> list[Callable[[], object]]:
    """Those who use the approval (three of them, first), give it, refuse it, withdraw it, and the beat."""
    late = request.expires_at + timedelta(seconds=1)
    work = [
        lambda: services.consume(request.pk, binding=request.binding),
        lambda: services.claim(**STATEMENT | {"binding": request.binding}),
        lambda: services.consume(request.pk, binding=request.binding),
        lambda: services.decide(request.pk, actor=crowd[0], approve=True),
        lambda: services.decide(request.pk, actor=crowd[1], approve=True),
    ]
    work += [lambda: services.decide(request.pk, actor=crowd[2], approve=False)] if rejected else []
    work += [lambda: services.cancel(request.pk, reason="gone")] if withdrawn else []
    work += [lambda: services.expire_due(late)] if over else []
    return work


def test_approve_against_reject_expire_cancel_and_consume(ask, workflow, crowd):
    """Whoever comes first: the states that the row went through are those in the ledger, and it ran once at most."""
    workflow.expires = 1
    workflow.save()
    for round_ in range(6):
        request = ask(binding=f"{round_:064x}")
        contenders = everybody(request, crowd, withdrawn=round_ % 2 == 1, rejected=round_ % 3 == 1, over=round_ % 3 == 2)
        results = at_once(len(contenders), lambda number, work=contenders: work[number]())
        assert all(isinstance(result, services.Refused) for result in results if isinstance(result, Exception)), results
        runs = sum(map(used, results[:3]))
        services.expire_due(timezone.now() + timedelta(seconds=5))
        request.refresh_from_db()
        said = kinds(request)
        assert runs == (request.state == State.CONSUMED)
        assert [kind for kind in said if kind in FINAL] == said[-1:] == [f"approval.{request.state.lower()}"]
        assert said.count("approval.approved") == ("approval.consumed" in said or request.votes.filter(approve=True).exists())


def test_glass_is_broken_once(ask, workflow, crowd):
    workflow.break_glass_users.add(*crowd)
    request = ask()
    results = at_once(
        20, lambda number: services.decide(request.pk, actor=crowd[number], approve=True, comment="now", break_glass=bool(number % 2))
    )
    assert sum(isinstance(result, ApprovalRequest) for result in results) == 1
    assert kinds(request) == ["approval.requested", "approval.approved"]
    assert BreakGlass.objects.count() + Vote.objects.count() == 1


def test_a_request_is_escalated_once(ask, workflow, crowd):
    workflow.escalate_after, workflow.expires = 1, 60
    workflow.save()
    workflow.escalate_users.add(person("eve", is_approver=True))
    request = ask()
    at_once(10, lambda number: services.escalate_due(timezone.now() + timedelta(seconds=2)))
    assert kinds(request) == ["approval.requested", "approval.escalated"]
    assert Delivery.objects.filter(kind="escalated").count() == 1
