"""The ways to a yes besides votes, and what people see of a request's effect: policy, escalation, emergency, review."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from approvals import answers, approvers, links, services, tasks
from approvals.models import ApprovalRequest, BreakGlass, Delivery, Workflow
from approvals.payload import PayloadError
from approvals.shapes import Terms
from approvals.states import State
from audit import services as audit
from audit.models import Entry
from controlplane.models import User
from tests.approvals.conftest import BINDING, PREVIEW, person
from tests.approvals.test_races import kinds

pytestmark = pytest.mark.django_db
COUNTED = PREVIEW | {"cascades": []}


def recorded(kind: str) -> list[dict]:
    return [json.loads(entry.canonical)["fields"] for entry in Entry.objects.filter(kind=kind).order_by("id")]


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# --- the effect ---------------------------------------------------------------------------------------------------------


def test_the_effect_is_stored_shown_and_never_changes(ask, dana):
    request = ask(preview=PREVIEW, bound=12)
    tasks.notify(str(request.pk))
    browser = signed_in(dana)
    page = browser.get(f"/approvals/{request.pk}/").content.decode()
    rest = browser.get(f"/api/v1/approvals/{request.pk}/").json()
    counted = f"would change 12 rows (counted {request.requested_at:%H:%M} UTC)"
    html = mail.outbox[0].alternatives[0].content
    for text in (page, browser.get("/approvals/").content.decode(), mail.outbox[0].body, html):
        assert counted in text
    for text in (page, mail.outbox[0].body, html):
        for part in ("more than 12 rows", "crm.order_lines (order_id): delete cascade", "audit on crm.orders (delete)", "crm.orders.id"):
            assert part in text
    assert "Delete on orders" in page
    assert (rest["preview"], rest["bound"]) == (PREVIEW, 12)
    for change in ({"bound": 13}, {"preview": None}, {"normalised": "x"}, {"shape": "00" * 32}):
        with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
            ApprovalRequest.objects.update(**change)


@pytest.mark.parametrize(("asked", "said"), [
    ({"preview": {"estimated_rows": 1}, "actions": ["select"]}, "would return about 1 row (the planner&#x27;s estimate)"),
    ({"preview": {"estimated_rows": 1200}}, "would change about 1,200 rows"), ({}, "It would change rows; how many is not known."),
])  # fmt: skip
def test_how_certain_the_number_is(ask, dana, asked, said):
    assert said in signed_in(dana).get(f"/approvals/{ask(**asked).pk}/").content.decode()


@pytest.mark.parametrize("change", [{"bound": -1}, {"bound": 2**63}, {"preview": {"affected_rows": "7"}}, {"preview": []}, {"shape": "x"}])
def test_an_effect_that_is_not_understood_opens_nothing(ask, change):
    with pytest.raises(PayloadError):
        ask(**change)


def test_a_worker_is_told_the_bound(ask, dana):
    request = services.decide(ask(bound=12), actor=dana, approve=True)
    assert services.consume(request.pk, binding=BINDING)[1].bound == 12
    services.decide(ask(bound=3), actor=dana, approve=True)
    assert services.claim(binding=BINDING, subject="support-bot", connection="crm", workflow="owners").bound == 3


def test_locks_are_warned_of(ask, dana):
    page = signed_in(dana).get(f"/approvals/{ask(in_transaction=True).pk}/").content.decode()
    assert "may hold locks" in page
    assert "may hold locks" not in signed_in(dana).get(f"/approvals/{ask().pk}/").content.decode()


def test_what_the_agent_did_before(ask, dana):
    session = str(uuid.uuid4())
    for normalised, decision in (("SELECT $1", "allow"), ("DROP TABLE t", "deny")):
        audit.record("statement.intended", {
            "session": session, "statement": str(uuid.uuid4()), "subject": "support-bot", "normalised": normalised, "decision": decision,
            "sql": "SELECT 'a secret'",
        })  # fmt: skip
    for answer in (True, True, False):
        services.decide(ask(normalised="DELETE …"), actor=dana, approve=answer)
    request = ask(normalised="DELETE …", session=session)
    page = signed_in(dana).get(f"/approvals/{request.pk}/").content.decode()
    assert "3 times before: 2 approved, 1 rejected" in page
    assert page.index("DROP TABLE t") < page.index("SELECT $1")
    assert "a secret" not in page
    first = signed_in(dana).get(f"/approvals/{ask(normalised='another').pk}/").content.decode()
    assert "has not asked for anything like it before" in first
    later = signed_in(dana).get(f"/approvals/{ApprovalRequest.objects.earliest('requested_at').pk}/").content.decode()
    assert "has not asked for anything like it before" in later, "what came after is no precedent"


def test_the_exact_text_stands_beside_the_layout(ask, dana):
    page = signed_in(dana).get(f"/approvals/{ask(sql='DELETE   FROM t  WHERE a = 1').pk}/").content.decode()
    assert "\nDELETE   FROM t  WHERE a = 1</pre>" in page
    assert '<span class="word">WHERE</span>' in page


# --- by the policy ------------------------------------------------------------------------------------------------------


@pytest.fixture
def lenient(workflow: Workflow) -> Workflow:
    workflow.auto_approve_actions, workflow.auto_approve_rows = ["delete", "update"], 12
    workflow.save()
    return workflow


def test_a_small_change_is_approved_at_once(ask, lenient, dana):
    request = ask(preview=COUNTED, bound=12)
    assert (request.state, request.way) == (State.APPROVED, "policy")
    assert not Delivery.objects.exists()
    assert kinds(request) == ["approval.requested", "approval.approved"]
    assert (recorded("approval.approved")[0]["by"], recorded("approval.approved")[0]["way"]) == ("auto", "policy")
    page = signed_in(dana).get(f"/approvals/{request.pk}/").content.decode()
    assert "by the policy" in page
    assert "at most 12 rows; 12 were counted" in page
    assert services.consume(request.pk, binding=BINDING)[0]


@pytest.mark.parametrize("change", [
    {"bound": None}, {"bound": 13}, {"preview": None}, {"preview": COUNTED | {"affected_rows": None}},
    {"preview": COUNTED | {"affected_rows": 13}}, {"actions": []}, {"actions": ["delete", "function"]}, {"actions": ["insert"]},
    {"preview": PREVIEW},  # rows that change with it in other tables were not counted
])  # fmt: skip
def test_never_otherwise(ask, lenient, change):
    request = ask(**{"preview": COUNTED, "bound": 12} | change)
    assert (request.state, request.deliveries.count()) == (State.PENDING, 1)


def test_not_where_the_workflow_does_not_say_so(ask):
    assert ask(preview=COUNTED | {"affected_rows": 0}, bound=0).state == State.PENDING


# --- escalation ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def eve(workflow: Workflow) -> User:
    """Who is asked after a minute."""
    eve = person("eve", is_approver=True)
    workflow.escalate_after = 60
    workflow.save()
    workflow.escalate_users.add(eve)
    return eve


def in_a_minute(request: ApprovalRequest) -> int:
    return services.escalate_due(request.requested_at + timedelta(seconds=61))


def test_more_people_are_asked_after_a_while_and_may_then_decide(ask, eve):
    request = ask()
    assert services.escalate_due(timezone.now()) == 0
    assert signed_in(eve).get(f"/approvals/{request.pk}/").status_code == 404
    with pytest.raises(services.Refused, match="not an approver"):
        services.decide(request, actor=eve, approve=True)
    assert (in_a_minute(request), in_a_minute(request)) == (1, 0)
    assert recorded("approval.escalated")[0]["to"] == ["eve"]
    tasks.deliver()
    assert {message.to[0]: message.subject.split(":")[0] for message in mail.outbox} == {
        "dana@example.com": "Approval needed", "eve@example.com": "Approval still needed",
    }  # fmt: skip
    assert "more people may answer" in signed_in(eve).get(f"/approvals/{request.pk}/").content.decode()
    assert services.decide(request, actor=eve, approve=True).state == State.APPROVED


def test_what_is_decided_or_over_is_not_escalated(ask, eve, dana):
    decided, over = services.decide(ask(), actor=dana, approve=True), ask()
    assert services.escalate_due(over.expires_at + timedelta(seconds=1)) == 0
    assert in_a_minute(decided) == 1
    decided.refresh_from_db()
    assert decided.escalated_at is None


def test_where_nobody_else_could_say_yes_it_is_escalated_at_once(ask, eve, dana):
    User.objects.filter(pk=dana.pk).update(is_active=False)
    request = ask()
    assert (request.state, [delivery.user for delivery in request.deliveries.all()]) == (State.PENDING, [eve])
    assert kinds(request) == ["approval.requested", "approval.escalated"]


def test_when_more_people_were_asked_is_said_once(ask, eve):
    in_a_minute(ask())
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        ApprovalRequest.objects.update(escalated_at=timezone.now())


# --- owners -------------------------------------------------------------------------------------------------------------


def test_a_workflow_can_exclude_who_answers_for_the_subject(ask, subject, owner, workflow):
    subject.kind = "agent"
    subject.save()
    request = ask()
    assert approvers.objection(request, owner) == ""
    workflow.exclude_owner = True
    workflow.save()
    workflow.break_glass_users.add(owner)
    request.refresh_from_db()
    with pytest.raises(services.Refused, match="somebody else decides"):
        services.decide(request, actor=owner, approve=True)
    with pytest.raises(services.Refused, match="somebody else decides"):
        services.decide(request, actor=owner, approve=True, comment="now", break_glass=True)
    assert owner not in approvers.eligible(ask())


# --- emergencies --------------------------------------------------------------------------------------------------------


@pytest.fixture
def kim(workflow: Workflow) -> User:
    """Who may break the glass of a workflow that needs two."""
    kim = person("kim", is_approver=True)
    workflow.break_glass_users.add(kim)
    workflow.approvers.add(person("pat", is_approver=True))
    Workflow.objects.update(quorum=2)
    return kim


def break_glass(request: ApprovalRequest, actor: User, reason: str = "the shop is down") -> ApprovalRequest:
    return services.decide(request, actor=actor, approve=True, comment=reason, break_glass=True)


def test_one_person_approves_alone_and_everybody_hears_of_it(ask, kim, dana):
    root = person("root", is_superuser=True)
    request = break_glass(ask(), kim)
    assert (request.state, request.way, request.comment) == (State.APPROVED, "break_glass", "the shop is down")
    assert recorded("approval.approved")[0] | {"way": "break_glass", "by": "kim"} == recorded("approval.approved")[0]
    tasks.deliver()
    alarms = {message.to[0]: message for message in mail.outbox if message.subject.startswith("Glass broken: kim")}
    assert set(alarms) == {"dana@example.com", "pat@example.com", "kim@example.com", "olga@example.com", root.email}
    assert "> the shop is down" in alarms["dana@example.com"].body
    assert f"/approvals/{request.pk}/" in alarms["dana@example.com"].body
    assert "/approvals/r/" not in alarms["dana@example.com"].body


def test_an_alarm_goes_out_whatever_the_workflow_says_of_e_mail(ask, kim):
    Workflow.objects.update(notify={"email": False})
    break_glass(ask(), kim)
    assert Delivery.objects.filter(kind="alarm").count() == 4


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_nothing_breaks(ask, kim, reason):
    with pytest.raises(services.Refused, match="why this cannot wait"):
        break_glass(ask(), kim, reason)
    assert not BreakGlass.objects.exists()


def test_only_those_named_may(ask, kim, dana):
    for actor in (dana, person("root", is_superuser=True), person("sam", is_approver=True)):
        with pytest.raises(services.Refused, match="not among those"):
            break_glass(ask(), actor)
    User.objects.filter(pk=kim.pk).update(is_approver=False)
    with pytest.raises(services.Refused, match="not among those"):
        break_glass(ask(), kim)


def test_not_even_then_one_s_own_request(ask, kim, subject):
    subject.owner = kim
    subject.save()
    with pytest.raises(services.Refused, match="own request"):
        break_glass(ask(), kim)


def test_glass_is_not_broken_for_what_is_decided(ask, kim, dana):
    request = services.decide(ask(), actor=dana, approve=False)
    with pytest.raises(services.Refused, match="already rejected"):
        break_glass(request, kim)


def test_somebody_else_reviews_it_once(ask, kim, dana):
    broken = break_glass(ask(), kim).break_glass
    with pytest.raises(services.Refused, match="somebody else"):
        services.review(broken, actor=kim, comment="fine")
    with pytest.raises(services.Refused, match="not an approver"):
        services.review(broken, actor=person("sam", is_approver=True), comment="fine")
    with pytest.raises(services.Refused, match="what you found"):
        services.review(broken, actor=dana, comment=" ")
    assert services.review(broken, actor=dana, comment="right so").reviewed_by == dana
    assert (recorded("approval.reviewed")[0]["by"], kinds(broken.request)[-1]) == ("dana", "approval.reviewed")
    with pytest.raises(services.Refused, match="already"):
        services.review(broken, actor=dana, comment="again")


@pytest.mark.parametrize("change", [{"reason": "x"}, {"user": 0}, {"at": "2020-01-01T00:00:00Z"}])
def test_the_database_keeps_what_was_done(ask, kim, dana, change):
    break_glass(ask(), kim)
    change = {"user": dana} if "user" in change else change
    with pytest.raises(IntegrityError, match="reviewed once"), transaction.atomic():
        BreakGlass.objects.update(**change)
    with pytest.raises(IntegrityError, match="did themselves"), transaction.atomic():
        BreakGlass.objects.update(reviewed_by=kim, reviewed_at=timezone.now())


def test_the_emergency_s_pages(ask, kim, dana):
    request = ask()
    path = f"/approvals/{request.pk}/"
    assert "Break the glass" not in signed_in(dana).get(path).content.decode()
    browser = signed_in(kim)
    assert "Break the glass" in browser.get(path).content.decode()
    assert browser.post(path, {"answer": "break_glass", "comment": ""}).status_code == 409
    assert browser.post(path, {"answer": "break_glass", "comment": "the shop is down"}).status_code == 302
    assert "waits for somebody else" in browser.get(path).content.decode()
    assert browser.post(path, {"answer": "review", "comment": "fine"}).status_code == 409
    reviewer = signed_in(dana)
    page = reviewer.get("/approvals/reviews/").content.decode()
    assert "needs review" in page
    assert "the shop is down" in page
    assert '<span class="count bad">1</span>' in reviewer.get("/approvals/").content.decode()
    assert reviewer.post(path, {"answer": "review", "comment": "right so"}).status_code == 302
    assert "reviewed by dana" in reviewer.get("/approvals/reviews/").content.decode()
    assert "needs review" not in signed_in(person("sam", is_approver=True)).get("/approvals/reviews/").content.decode()


def test_the_emergency_by_rest(ask, kim, dana):
    path = f"/api/v1/approvals/{ask().pk}"
    as_json = {"content_type": "application/json"}
    assert signed_in(dana).post(f"{path}/break-glass/", {"comment": "now"}, **as_json).status_code == 403
    assert signed_in(kim).post(f"{path}/break-glass/", {}, **as_json).status_code == 400
    assert signed_in(dana).post(f"{path}/review/", {"comment": "fine"}, **as_json).status_code == 409
    answer = signed_in(kim).post(f"{path}/break-glass/", {"comment": "now"}, **as_json).json()
    assert (answer["way"], answer["break_glass"]["user"], answer["break_glass"]["reviewed_at"]) == ("break_glass", "kim", None)
    assert signed_in(kim).post(f"{path}/review/", {"comment": "fine"}, **as_json).status_code == 409
    assert signed_in(dana).post(f"{path}/review/", {"comment": "fine"}, **as_json).json()["break_glass"]["reviewed_by"] == "dana"


# --- the one way to a yes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["vote", "shape", "break_glass", "policy"])
def test_every_yes_asks_the_same_function_whether_it_counts(ask, lenient, kim, dana, monkeypatch, way):
    """What a workflow asks of a yes is asked there, so no way may lead around it."""
    Workflow.objects.update(quorum=1, shapes=True)
    asked = {"shape": "5a" * 32, "normalised": "DELETE FROM crm.orders WHERE id = $1", "bound": 12}
    effect = {"preview": COUNTED} if way == "policy" else {}
    monkeypatch.setattr(answers, "objection", lambda request, answer: f"not so by {answer.actor}")
    request = ask(**asked | effect)
    assert request.state == State.PENDING
    how = {"break_glass": {"break_glass": True, "comment": "now"}, "shape": {"shape": Terms(60, 1)}}.get(way, {})
    if way != "policy":
        with pytest.raises(services.Refused, match="not so"):
            services.decide(request, actor=kim if way == "break_glass" else dana, approve=True, **how)
    monkeypatch.undo()
    request.refresh_from_db()
    assert (request.state, request.votes.count(), BreakGlass.objects.count()) == (State.PENDING, 0, 0)
    if way == "policy":
        assert ask(**asked | effect).state == State.APPROVED
    else:
        services.decide(request, actor=kim if way == "break_glass" else dana, approve=True, **how)


def test_a_link_is_good_for_one_statement_only(ask, kim, dana, workflow):
    """Who finds the e-mail can say yes or no to what it shows, and nothing beyond."""
    Workflow.objects.update(shapes=True)
    workflow.break_glass_users.add(dana)
    request = ask(shape="5a" * 32, normalised="DELETE FROM crm.orders WHERE id = $1", bound=12)
    path = urlsplit(links.approver_url(request.pk, dana.pk, int(request.expires_at.timestamp()))).path
    page = Client().get(path).content.decode()
    assert "Break the glass" not in page
    assert 'name="shape"' not in page
    assert "Sign in</a> to let it run again without asking, or to approve alone" in page
    shape = {"answer": "approve", "shape": "yes", "shape_seconds": "900", "shape_runs": "5"}
    for form in ({"answer": "break_glass", "comment": "now"}, {"answer": "review", "comment": "fine"}, shape):
        assert Client().post(path, form).status_code == 403
    assert (ApprovalRequest.objects.get().state, request.votes.count()) == (State.PENDING, 0)
    assert signed_in(dana).post(path, shape).status_code == 302
    assert request.votes.get().shape_runs == 5
