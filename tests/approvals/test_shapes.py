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
from controlplane.models import User
from proxy.sql.parser import normalise
from tests.approvals.conftest import PREVIEW, SHAPE, person
from tests.approvals.test_races import at_once

pytestmark = pytest.mark.django_db
HOUR = Terms(3600, 3, frozenset({1}))
OTHER = "cd" * 32  # the same statement with other values
UPDATE = "UPDATE crm.orders SET status = 'shipped' WHERE id = $1"


@pytest.fixture
def allowed(workflow: Workflow) -> Workflow:
    workflow.shapes = True
    workflow.save()
    return workflow


@pytest.fixture
def shaped(ask, allowed):
    """A request whose shape may be approved: ``$1`` is a parameter, ``$2`` a constant."""

    def ask_for(sql: str = UPDATE, **changes) -> ApprovalRequest:
        said = {"sql": sql, "normalised": normalise(sql), "shape": SHAPE, "preview": PREVIEW, "bound": 12, "actions": ["update"]}
        return ask(**said | changes)

    return ask_for


def run(sql: str = UPDATE, value: str | None = "8", shape: str = SHAPE) -> shapes.Run:
    return shapes.Run(shape, sql, normalise(sql), {1: value})


def claim(binding: str = OTHER, asked: shapes.Run | None = None, **changes):
    whose = {"subject": "support-bot", "connection": "crm", "workflow": "owners"} | changes
    return services.claim(binding=binding, run=asked or run(), **whose)


def recorded(kind: str) -> list[dict]:
    return [json.loads(entry.canonical)["fields"] for entry in Entry.objects.filter(kind=kind).order_by("id")]


def test_other_values_run_until_the_runs_are_used_up(shaped, dana):
    request = services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    granted = ShapeApproval.objects.get()
    runs = [claim() for _ in range(4)]
    assert [run and (run.id, run.state, run.bound) for run in runs] == [(str(granted.pk), "CONSUMED", 12)] * 3 + [None]
    assert runs[0].comment == "run 1 of 3 of an approved shape"
    said = (str(request.pk), str(granted.pk))
    consumed = recorded("approval.consumed")
    assert [(item["request"], item["shape"], item["binding"], item["way"]) for item in consumed] == [(*said, OTHER, "shape")] * 3
    (approved,) = recorded("approval.shape_approved")
    assert [approved[name] for name in ("request", "shape", "runs", "bound", "free")] == [*said, 3, 12, [1]]


def test_the_statement_itself_has_its_own_run(shaped, dana):
    request = services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    assert services.consume(request.pk, binding=request.binding)[0]
    assert ShapeApproval.objects.get().uses == 0


@pytest.mark.parametrize("other", [
    {"asked": run(shape="00" * 32)}, {"asked": run(shape="")}, {"subject": "other-bot"}, {"connection": "erp"}, {"workflow": "stricter"},
])  # fmt: skip
def test_it_covers_nothing_else(shaped, dana, other):
    services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    Workflow.objects.create(name="stricter", shapes=True)
    assert claim(**other) is None


@pytest.mark.parametrize(("asked", "free"), [
    (run(value="8"), {1}), (run(value=None), {1}), (run(UPDATE.replace("shipped", "lost")), {2, 1}), (run(), {1, 2}),
    (run(value="7"), set()), (run(UPDATE.replace("shipped", "lost"), "7"), {2}),
])  # fmt: skip
def test_values_differ_where_the_approvers_said(shaped, dana, asked, free):
    services.decide(shaped(), actor=dana, approve=True, shape=Terms(3600, 3, frozenset(free)))
    assert claim(asked=asked).state == "CONSUMED"


@pytest.mark.parametrize(("asked", "free"), [
    (run(UPDATE.replace("shipped", "lost"), "7"), {1}), (run(), {2}), (run(), set()), (run(value=None), set()),
    (run(UPDATE.replace("'shipped'", "NULL")), {1, 2}), (run(UPDATE.replace("'shipped'", "1")), {1, 2}),  # another kind of constant
    (shapes.Run(SHAPE, UPDATE, normalise(UPDATE).replace("id", "it"), {1: "8"}), {1, 2}), (shapes.Run(SHAPE, UPDATE, "", {1: "8"}), {1}),
    (shapes.Run(SHAPE, UPDATE, normalise(UPDATE), {}), {1, 2}),
])  # fmt: skip
def test_and_nowhere_else(shaped, dana, asked, free):
    """Also where a worker says that the shape is the same."""
    services.decide(shaped(), actor=dana, approve=True, shape=Terms(3600, 3, frozenset(free)))
    assert claim(asked=asked) is None


def test_it_does_not_outlive_who_gave_it(shaped, dana, allowed):
    services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    User.objects.filter(pk=dana.pk).update(is_active=False)
    assert claim() is None
    User.objects.filter(pk=dana.pk).update(is_active=True)
    Workflow.objects.filter(pk=allowed.pk).update(quorum=2)
    assert claim() is None
    Workflow.objects.filter(pk=allowed.pk).update(quorum=1)
    assert claim() is not None


def test_what_values_were_is_not_kept_readable(shaped):
    request = shaped(parameters=[{"n": 1, "oid": 25, "text": "900-55-0001"}])
    assert "900-55-0001" not in str(request.places)
    assert "shipped" not in str(request.places)


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
    services.decide(first, actor=dana, approve=True, shape=Terms(7200, 5, frozenset({1, 2})))
    assert not ShapeApproval.objects.exists()
    services.decide(first, actor=pat, approve=True, shape=Terms(60, 50, frozenset({2})))
    granted = ShapeApproval.objects.get()
    assert (granted.limit, granted.free, granted.granted_by) == (5, [2], "dana, pat")
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
    query = "SELECT 1 FROM crm.orders WHERE id = $1"
    services.decide(shaped(query, actions=["select"], bound=None, preview=None), actor=dana, approve=True, shape=HOUR)
    assert claim(asked=run(query)).bound is None


def test_a_workflow_that_does_not_allow_it(ask, dana):
    with pytest.raises(services.Refused, match="does not approve shapes"):
        services.decide(ask(shape=SHAPE, bound=1), actor=dana, approve=True, shape=HOUR)


@pytest.mark.parametrize("change", [
    {"uses": 4}, {"limit": 9}, {"shape": "00" * 32}, {"free": [1, 2]}, {"uses": 2}, {"expires_at": "2099-01-01T00:00:00Z"},
])  # fmt: skip
def test_the_database_keeps_what_was_granted(shaped, dana, change):
    services.decide(shaped(), actor=dana, approve=True, shape=HOUR)
    with pytest.raises(IntegrityError), transaction.atomic():
        ShapeApproval.objects.update(**change)


@pytest.mark.django_db(transaction=True)
def test_fifty_runs_used_sixty_times_at_once(shaped, dana):
    services.decide(shaped(), actor=dana, approve=True, shape=Terms(3600, 50, frozenset({1})))
    results = [result for _ in range(3) for result in at_once(20, lambda number: claim(f"{number:064x}", run(value=str(number))))]
    assert not [result for result in results if isinstance(result, Exception)]
    assert sum(result is not None for result in results) == 50
    assert ShapeApproval.objects.get().uses == 50
    assert len(recorded("approval.consumed")) == 50


@pytest.mark.django_db(transaction=True)
def test_runs_against_a_revocation(shaped, dana):
    """What began after it was revoked does not run, and every run is in the ledger."""
    services.decide(shaped(), actor=dana, approve=True, shape=Terms(3600, 50, frozenset({1})))
    granted = ShapeApproval.objects.get()
    results = at_once(20, lambda number: services.revoke_shape(granted, actor=dana) if number == 7 else claim(f"{number:064x}"))
    assert not [result for result in results if isinstance(result, Exception)]
    runs = sum(isinstance(result, services.Standing) for result in results)
    assert ShapeApproval.objects.get().uses == runs == len(recorded("approval.consumed"))
    assert claim() is None
    kinds = list(Entry.objects.filter(kind__startswith="approval.").order_by("id").values_list("kind", flat=True))
    assert kinds[-1] == "approval.shape_revoked"


def test_the_pages(shaped, dana, browser):
    browser.force_login(dana)
    assert "No statement may run" in browser.get("/approvals/shapes/").content.decode()
    request = shaped()
    page = browser.get(f"/approvals/{request.pk}/").content.decode()
    assert "<code>$1</code>, now <code>7</code>" in page
    assert "<code>$2</code>, now <code>&#x27;shipped&#x27;</code>" in page
    assert "more than 12 rows is undone" in page
    token = page.split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    form = {"answer": "approve", "csrfmiddlewaretoken": token, "shape": "yes", "shape_seconds": "900", "free": ["1"]}
    assert browser.post(f"/approvals/{request.pk}/", form | {"shape_runs": "-1"}).status_code == 409
    assert browser.post(f"/approvals/{request.pk}/", form | {"shape_runs": "2"}).status_code == 302
    granted = ShapeApproval.objects.get()
    page = browser.get("/approvals/shapes/").content.decode()
    assert "0 of 2 runs used, with any value for <code>$1</code>" in page
    assert browser.get(f"/approvals/{granted.pk}/").headers["Location"] == f"/approvals/{request.pk}/"
    token = page.split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    revoke = f"/approvals/shapes/{granted.pk}/revoke/"
    assert browser.get(revoke).status_code == 405
    assert browser.post(revoke).status_code == 403
    assert browser.post(revoke, {"csrfmiddlewaretoken": token}).status_code == 302
    assert "revoked by dana" in browser.get("/approvals/shapes/").content.decode()
    browser.force_login(person("sam", is_approver=True))
    token = browser.get("/approvals/").content.decode().split('csrfmiddlewaretoken" value="')[1].split('"')[0]
    assert browser.post(revoke, {"csrfmiddlewaretoken": token}).status_code == 404
    assert browser.get(f"/approvals/{granted.pk}/").status_code == 404
    assert "No statement may run" in browser.get("/approvals/shapes/").content.decode()
