"""Opening, deciding, claiming and expiring, on a real database."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import approvers, services
from approvals.models import ApprovalRequest, Delivery, Vote, Workflow
from approvals.payload import PayloadError
from approvals.states import State
from controlplane.models import Subject, User
from tests.approvals.conftest import BINDING, payload, person
from tests.approvals.test_races import kinds

pytestmark = pytest.mark.django_db


def overdue(ask, **changes) -> ApprovalRequest:
    """A request whose time is over, though nobody has noticed yet. Time cannot be changed in the table, so it is born late."""
    request = ask(**changes)
    request.pk, request.expires_at = uuid.uuid4(), timezone.now() - timedelta(seconds=1)
    request.save(force_insert=True)
    return request


# --- opening ------------------------------------------------------------------------------------------------------------


def test_a_request_waits_and_its_approvers_get_mail_but_not_the_owner(ask, dana):
    request = ask()
    assert request.state == State.PENDING
    assert [delivery.user for delivery in request.deliveries.all()] == [dana]
    assert kinds(request) == ["approval.requested"]


def test_the_same_id_again_changes_nothing(ask, host):
    content = payload(host)
    first, second = services.open_request(content, host.row), services.open_request(content, host.row)
    assert first == second
    assert (Delivery.objects.count(), kinds(first)) == (1, ["approval.requested"])


def test_the_same_id_for_another_statement_is_refused(ask, host):
    request = ask()
    with pytest.raises(PayloadError, match="another request has this id"):
        ask(id=str(request.pk), binding="cd" * 32)


@pytest.mark.parametrize("change", [
    {"binding": "x"}, {"binding": BINDING.upper()}, {"binding": BINDING + "\n"}, {"sql": None}, {"parameters": "7"},
    {"parameters": [{"n": 1}]}, {"sql": "a\0b"}, {"subject": "s" * 256}, {"id": "7"}, {"worker": str(uuid.uuid4())}, {"sql": "\ud800"},
])  # fmt: skip
def test_what_is_not_understood_is_not_opened(ask, change):
    with pytest.raises(PayloadError):
        ask(**change)
    assert not ApprovalRequest.objects.exists()


def test_a_client_s_odd_names_and_values_do_not_keep_its_request_from_its_approvers(ask):
    request = ask(application="x" * 300, run="r" * 255, parameters=[{"n": 1, "oid": 25, "text": "a\0b"}])
    assert (request.application, request.run) == ("x" * 254 + "…", "r" * 255)
    assert request.parameters[0]["text"] == "a⟦U+0000⟧b"


def test_an_unknown_workflow_is_refused_at_once(ask):
    request = ask(workflow="nobody")
    assert (request.state, request.no_approver) == (State.REJECTED, True)
    assert services.standing(request).reason == "no_approver"
    assert kinds(request) == ["approval.requested", "approval.rejected"]


@pytest.mark.parametrize("lacking", ["is_active", "is_approver"])
def test_a_workflow_whose_people_cannot_act_is_refused_at_once(ask, dana, lacking):
    User.objects.filter(pk=dana.pk).update(**{lacking: False})
    assert ask().no_approver


def test_the_owner_alone_is_no_approver(ask, workflow):
    workflow.approver_groups.clear()
    assert ask().no_approver


def test_a_quorum_that_cannot_be_reached_is_refused_at_once(ask, workflow):
    workflow.quorum = 2
    workflow.save()
    request = ask()
    assert request.no_approver
    assert "needs 2" in request.comment


# --- deciding -----------------------------------------------------------------------------------------------------------


def test_one_yes_approves(ask, dana):
    request = services.decide(ask(), actor=dana, approve=True, comment=" go on ")
    assert (request.state, request.comment) == (State.APPROVED, "go on")
    assert kinds(request) == ["approval.requested", "approval.approved"]


def test_one_no_rejects(ask, dana):
    request = services.decide(ask(), actor=dana, approve=False, comment="not today")
    assert (request.state, request.comment) == (State.REJECTED, "not today")


def test_a_quorum_takes_distinct_people(ask, dana, workflow):
    pat = person("pat", is_approver=True)
    workflow.approvers.add(pat)
    workflow.quorum = 2
    workflow.save()
    request = ask()
    assert services.decide(request, actor=dana, approve=True).state == State.PENDING
    with pytest.raises(services.Refused, match="answered"):
        services.decide(request, actor=dana, approve=True)
    assert services.decide(request, actor=pat, approve=True).state == State.APPROVED
    assert kinds(request) == ["approval.requested", "approval.voted", "approval.approved"]


def test_the_yes_of_someone_who_has_left_does_not_count(ask, dana, workflow):
    pat, kim = person("pat", is_approver=True), person("kim", is_approver=True)
    workflow.approvers.add(pat, kim)
    workflow.quorum = 2
    workflow.save()
    request = ask()
    services.decide(request, actor=dana, approve=True)
    User.objects.filter(pk=dana.pk).update(is_active=False)
    assert services.decide(request, actor=pat, approve=True).state == State.PENDING
    assert services.decide(request, actor=kim, approve=True).state == State.APPROVED


def test_the_owner_of_an_agent_may_approve_what_it_asks(ask, subject, owner):
    subject.kind = "agent"
    subject.save()
    assert services.decide(ask(), actor=owner, approve=True).state == State.APPROVED


def test_the_owner_of_a_human_s_subject_cannot_approve(ask, owner):
    with pytest.raises(services.Refused, match="own request"):
        services.decide(ask(), actor=owner, approve=True)
    assert not Vote.objects.exists()


@pytest.mark.parametrize("fields", [{"name": "Dana"}, {"name": "bot", "oidc_subject": "dana@example.com"}, {"name": "bot", "owner": None}])
def test_whoever_is_the_subject_cannot_approve(ask, dana, workflow, fields):
    Subject.objects.create(**fields)
    workflow.approvers.add(person("pat", is_approver=True))
    request = ask(subject=fields["name"])
    allowed = "owner" in fields
    assert (approvers.objection(request, dana) == "") == allowed


def test_nobody_answers_for_a_subject_that_is_gone(ask, dana, subject):
    request = ask()
    subject.delete()
    with pytest.raises(services.Refused, match="no longer exists"):
        services.decide(request, actor=dana, approve=True)


def test_a_stranger_and_an_admin_cannot_approve(ask):
    for actor in (person("sam", is_approver=True), person("root", is_superuser=True)):
        with pytest.raises(services.Refused, match="not an approver"):
            services.decide(ask(), actor=actor, approve=True)


def test_an_expired_request_cannot_be_approved(ask, dana):
    request = overdue(ask)
    with pytest.raises(services.Refused, match="expired"):
        services.decide(request, actor=dana, approve=True)
    request.refresh_from_db()
    assert request.state == State.EXPIRED


@pytest.mark.parametrize("approve", [True, False])
def test_what_is_decided_stays_decided(ask, dana, workflow, approve):
    pat = person("pat", is_approver=True)
    workflow.approvers.add(pat)
    request = services.decide(ask(), actor=dana, approve=not approve)
    with pytest.raises(services.Refused, match="already"):
        services.decide(request, actor=pat, approve=approve)


# --- using --------------------------------------------------------------------------------------------------------------

STATEMENT = {"binding": BINDING, "subject": "support-bot", "connection": "crm", "workflow": "owners"}


def test_an_approval_is_claimed_once(ask, dana):
    request = services.decide(ask(), actor=dana, approve=True)
    assert services.claim(**STATEMENT).state == State.CONSUMED
    assert services.claim(**STATEMENT) is None
    assert kinds(request)[-1] == "approval.consumed"


@pytest.mark.parametrize("other", [{"binding": "cd" * 32}, {"subject": "other-bot"}, {"connection": "erp"}, {"workflow": "stricter"}])
def test_an_approval_covers_nothing_else(ask, dana, other):
    services.decide(ask(), actor=dana, approve=True)
    assert services.claim(**STATEMENT | other) is None


def test_a_claim_names_what_waits(ask):
    request = ask()
    found = services.claim(**STATEMENT)
    assert (found.id, found.state) == (str(request.pk), State.PENDING)
    assert found.url.endswith(f"/approvals/{request.pk}/")


def test_the_no_to_a_ticket_is_told_until_the_request_is_over(ask, dana, workflow, monkeypatch):
    request = services.decide(ask(), actor=dana, approve=False, comment="not today")
    assert services.claim(**STATEMENT) is None, "whoever waited has heard it"
    Workflow.objects.filter(pk=workflow.pk).update(hold="ticket")
    found = services.claim(**STATEMENT)
    assert (found.id, found.state, found.comment) == (str(request.pk), State.REJECTED, "not today")
    monkeypatch.setattr(services.timezone, "now", lambda: request.expires_at)
    assert services.claim(**STATEMENT) is None


def test_an_approval_is_consumed_once(ask, dana):
    request = ask()
    assert services.consume(request.pk, binding=BINDING)[0] is False
    services.decide(request, actor=dana, approve=True)
    assert services.consume(request.pk, binding="cd" * 32) is None
    assert services.consume(request.pk, binding=BINDING)[0] is True
    again = services.consume(request.pk, binding=BINDING)
    assert again == (False, services.Standing(**vars_of(again[1]) | {"state": "CONSUMED"}))


def vars_of(standing: services.Standing) -> dict[str, str]:
    return {name: getattr(standing, name) for name in ("id", "state", "comment", "url", "reason", "bound")}


def test_an_old_approval_is_not_consumed(ask):
    request = overdue(ask)
    ApprovalRequest.objects.filter(pk=request.pk).update(state=State.APPROVED)
    assert services.claim(**STATEMENT | {"binding": BINDING}).id != str(request.pk)
    used, standing = services.consume(request.pk, binding=BINDING)
    assert (used, standing.state) == (False, State.EXPIRED)


def test_a_withdrawn_request_cannot_be_approved_or_used(ask, dana):
    request = ask()
    assert services.cancel(request.pk, reason="client disconnected").state == State.CANCELLED
    with pytest.raises(services.Refused, match="withdrawn"):
        services.decide(request, actor=dana, approve=True)
    assert services.cancel(request.pk, reason="again").state == State.CANCELLED
    assert kinds(request) == ["approval.requested", "approval.cancelled"]


def test_what_nobody_asked_for_cannot_be_used_or_withdrawn(db):
    assert services.consume(uuid.uuid4(), binding=BINDING) is None
    assert services.cancel(uuid.uuid4(), reason="") is None


def test_the_beat_expires_what_is_over(ask):
    request, fresh = overdue(ask), ask()
    assert services.expire_due(timezone.now()) == 1
    assert ApprovalRequest.objects.get(pk=request.pk).state == State.EXPIRED
    assert ApprovalRequest.objects.get(pk=fresh.pk).state == State.PENDING
    assert kinds(request) == ["approval.expired"]
