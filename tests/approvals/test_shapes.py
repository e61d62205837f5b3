"""Approving a statement's shape: who agrees to what, what it covers, how it is used up, and how it ends."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from approvals import services, shapes
from approvals.models import ApprovalRequest, ShapeApproval, Workflow
from approvals.shapes import Terms
from audit.models import Entry
from tests.approvals.conftest import PREVIEW, SHAPE, person
from tests.approvals.test_races import at_once

pytestmark = pytest.mark.django_db
HOUR = Terms(3600, 3)
OTHER = "cd" * 32  # the same statement with other values


@pytest.fixture
def allowed(workflow: Workflow) -> Workflow:
    workflow.shapes = True
    workflow.save()
    return workflow


@pytest.fixture
def shaped(ask, allowed):
    """A request whose shape may be approved."""
    return lambda **changes: ask(**{"shape": SHAPE, "preview": PREVIEW, "bound": 12, "normalised": "DELETE …"} | changes)


def claim(binding: str = OTHER, **changes):
    return services.claim(**{"binding": binding, "subject": "support-bot", "connection": "crm", "shape": SHAPE} | changes)


def recorded(kind: str) -> list[dict]:
    return [json.loads(entry.canonical)["fields"] for entry in Entry.objects.filter(kind=kind).order_by("id")]


def test_other_values_run_until_the_runs_are_used_up(shaped, dana):
    request = services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    granted = ShapeApproval.objects.get()
    runs = [claim() for _ in range(4)]
    assert [run and (run.id, run.state, run.bound) for run in runs] == [(str(granted.pk), "CONSUMED", 12)] * 3 + [None]
    assert runs[0].comment == "run 1 of 3 of an approved shape"
    consumed = recorded("approval.consumed")
    assert [(item["request"], item["binding"], item["way"]) for item in consumed] == [(str(granted.pk), OTHER, "shape")] * 3
    (approved,) = recorded("approval.shape_approved")
    assert (approved["request"], approved["shape"], approved["runs"], approved["bound"]) == (str(request.pk), str(granted.pk), 3, 12)


def test_the_statement_itself_has_its_own_run(shaped, dana):
    request = services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    assert services.consume(request.pk, binding=request.binding)[0]
    assert ShapeApproval.objects.get().uses == 0


@pytest.mark.parametrize("other", [{"shape": "00" * 32}, {"shape": ""}, {"subject": "other-bot"}, {"connection": "erp"}])
def test_it_covers_nothing_else(shaped, dana, other):
    services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    assert claim(**other) is None


@pytest.mark.parametrize("change", ["expired", "revoked", "workflow"])
def test_it_ends(shaped, dana, allowed, monkeypatch, change):
    services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    if change == "expired":
        later = timezone.now() + timedelta(hours=1, seconds=1)
        monkeypatch.setattr(services.timezone, "now", lambda: later)
    elif change == "revoked":
        services.revoke_shape(ShapeApproval.objects.get(), actor=dana)
        services.revoke_shape(ShapeApproval.objects.get(), actor=dana)
        assert len(recorded("approval.shape_revoked")) == 1
    else:
        Workflow.objects.update(shapes=False)
    assert claim() is None


def test_who_may_end_it(shaped, dana):
    services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    with pytest.raises(services.Refused, match="not an approver"):
        services.revoke_shape(ShapeApproval.objects.get(), actor=person("sam", is_approver=True))
    assert services.revoke_shape(ShapeApproval.objects.get(), actor=person("root", is_superuser=True)).revoked_by == "root"


def test_it_takes_everybody_s_yes_and_the_least_of_them_counts(shaped, dana, allowed):
    pat = person("pat", is_approver=True)
    allowed.approvers.add(pat)
    Workflow.objects.update(quorum=2)
    first = shaped()
    services.decide(first, actor=dana, approve=True, shape=Terms(7200, 5))
    assert not ShapeApproval.objects.exists()
    services.decide(first, actor=pat, approve=True, shape=Terms(60, 50))
    granted = ShapeApproval.objects.get()
    assert (granted.limit, granted.granted_by) == (5, "dana, pat")
    assert timedelta(seconds=55) < granted.expires_at - timezone.now() <= timedelta(seconds=60)
    second = shaped(binding=OTHER)
    services.decide(second, actor=dana, approve=True)
    services.decide(second, actor=pat, approve=True, shape=HOUR)
    assert ShapeApproval.objects.count() == 1


@pytest.mark.parametrize(("asked", "terms", "why"), [
    ({"shape": ""}, HOUR, "values decide"), ({"bound": None}, HOUR, "could not be counted"),
    ({}, Terms(shapes.LONGEST + 1, 1), "hours"), ({}, Terms(60, 0), "hours"), ({}, Terms(60, shapes.MOST + 1), "runs"),
])  # fmt: skip
def test_what_cannot_be_agreed_to_approves_nothing(shaped, dana, asked, terms, why):
    request = shaped(**asked)
    with pytest.raises(services.Refused, match=why):
        services.decide(request, actor=dana, approve=True, shape=terms)
    assert ApprovalRequest.objects.get().state == "PENDING"


def test_a_query_needs_no_bound(shaped, dana):
    services.decide(shaped(actions=["select"], bound=None, preview=None), actor=dana, approve=True, shape=HOUR)
    assert claim().bound is None


def test_a_workflow_that_does_not_allow_it(ask, dana):
    with pytest.raises(services.Refused, match="does not approve shapes"):
        services.decide(ask(shape=SHAPE, bound=1), actor=dana, approve=True, shape=HOUR)


@pytest.mark.parametrize("change", [{"uses": 4}, {"limit": 9}, {"shape": "00" * 32}, {"uses": 2}, {"expires_at": "2099-01-01T00:00:00Z"}])
def test_the_database_keeps_what_was_granted(shaped, dana, change):
    services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    with pytest.raises(IntegrityError), transaction.atomic():
        ShapeApproval.objects.update(**change)


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_use_three_runs(shaped, dana):
    services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    results = at_once(20, lambda number: claim(f"{number:064x}"))
    assert not [result for result in results if isinstance(result, Exception)]
    assert sum(result is not None for result in results) == 3
    assert ShapeApproval.objects.get().uses == 3
    assert len(recorded("approval.consumed")) == 3


def test_the_pages(shaped, dana, browser):
    browser.force_login(dana)
    assert "No statement may run" in browser.get("/approvals/shapes/").content.decode()
    request = shaped(sql="DELETE FROM t WHERE id = 7", normalised="DELETE FROM t WHERE id = $1")
    page = browser.get(f"/approvals/{request.pk}/").content.decode()
    assert "any value" in page
    assert "more than 12 rows is undone" in page
    token = page.split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    form = {"answer": "approve", "csrfmiddlewaretoken": token, "shape": "yes", "shape_seconds": "900"}
    assert browser.post(f"/approvals/{request.pk}/", form | {"shape_runs": "-1"}).status_code == 409
    assert browser.post(f"/approvals/{request.pk}/", form | {"shape_runs": "2"}).status_code == 302
    granted = ShapeApproval.objects.get()
    page = browser.get("/approvals/shapes/").content.decode()
    assert "0 of 2 runs used" in page
    token = page.split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    revoke = f"/approvals/shapes/{granted.pk}/revoke/"
    assert browser.get(revoke).status_code == 405
    assert browser.post(revoke).status_code == 403
    assert browser.post(revoke, {"csrfmiddlewaretoken": token}).status_code == 302
    assert "revoked by dana" in browser.get("/approvals/shapes/").content.decode()
    browser.force_login(person("sam", is_approver=True))
    token = browser.get("/approvals/").content.decode().split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    assert browser.post(revoke, {"csrfmiddlewaretoken": token}).status_code == 404
    assert "No statement may run" in browser.get("/approvals/shapes/").content.decode()
