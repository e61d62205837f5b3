"""The approver's pages. GET and HEAD only show; a decision takes a POST with a CSRF token.

Mail scanners and browsers that fetch ahead follow links, so nothing that a GET does may count as an answer.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from approvals import approvers, links, presentation, services, shapes, step_up
from approvals.filters import RequestFilter
from approvals.layout import laid_out
from approvals.models import ApprovalRequest, BreakGlass, ShapeApproval
from approvals.states import State
from audit.visible import one_line
from controlplane import passkeys
from controlplane.models import User

PAGE = 20
ANSWERS = ("approve", "reject", "break_glass")
MORE = ("break_glass", "review")  # takes a sign-in
DURATIONS = ((900, "15 minutes"), (3600, "1 hour"), (4 * 3600, "4 hours"), (shapes.LONGEST, "24 hours"))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind an e-mail's link: the link alone says which approver is asked.

    It is good for a yes or no to this one statement. Whoever wants more (emergencies, reviews, shapes) signs in.
    """
    found = links.read_token(token)
    if found is None:
        return _problem(request, 404, "This link is not valid", "It may have been cut or changed on its way. Open it from the e-mail.")
    if found.expires <= time.time():
        return _problem(request, 410, "This link has expired", "The request is over: nothing can be decided by this link any more.")
    approval = ApprovalRequest.objects.filter(pk=found.request_id).select_related("workflow").first()
    person = User.objects.filter(pk=found.user_id).first()
    if approval is None or person is None:
        return _problem(request, 404, "This link is not valid", "The request, or the person whom it was sent to, does not exist here.")
    objection = approvers.objection(approval, person)
    if objection:
        return _problem(request, 403, "This is not yours to decide", objection)
    if step_up.asked(approval) != step_up.NONE and request.user.pk != person.pk:
        if request.user.is_authenticated:
            return _problem(request, 403, "This link is somebody else's", f"You are signed in as {request.user.get_username()}.")
        return redirect_to_login(request.path)  # here the link alone is not enough
    return _page(request, approval, person, signed_in=request.user.pk == person.pk)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The same page for whoever is signed in and may see the request."""
    shape = ShapeApproval.objects.visible_to(request.user).filter(pk=pk).first()
    if shape is not None:  # the ledger's records of its runs have its id
        return redirect("approvals:detail", shape.request_id)
    approval = get_object_or_404(ApprovalRequest.objects.visible_to(request.user).select_related("workflow"), pk=pk)
    return _page(request, approval, request.user, signed_in=True)


@never_cache
@login_required
@require_POST
def passkey_question(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What the browser asks a passkey, so that its answer is about this request and no other."""
    approval = get_object_or_404(ApprovalRequest.objects.visible_to(request.user).select_related("workflow"), pk=pk)
    options = passkeys.question(request.session, User.objects.get(pk=request.user.pk), step_up.matter(approval))
    return HttpResponse(options, content_type="application/json")


@never_cache
@login_required
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """Requests that this person may see, what waits first; ``?state=`` and others narrow the list."""
    asked = request.GET.copy()
    if "state" not in asked:
        asked["state"] = State.PENDING
    chosen = RequestFilter(asked, queryset=ApprovalRequest.objects.visible_to(request.user))
    # What cannot be understood as a filter finds nothing: showing everything instead would be misread as a result.
    found = chosen.qs if chosen.is_valid() else ApprovalRequest.objects.none()
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    page.object_list = [_row(approval) for approval in page.object_list]
    kept = request.GET.copy()
    kept.pop("page", None)
    return render(request, "approvals/inbox.html", _places(request) | {
        "filter": chosen, "page": page, "query": f"{kept.urlencode()}&" if kept else "", "filtered": bool(kept),
    })  # fmt: skip


@never_cache
@login_required
@require_safe
def reviews(request: HttpRequest) -> HttpResponse:
    """Approvals that one person gave alone, those first that nobody else has looked at."""
    found = BreakGlass.objects.visible_to(request.user).select_related("request", "user", "reviewed_by")
    ordered = found.order_by(F("reviewed_at").desc(nulls_first=True), "-at")
    return _list(request, "approvals/reviews.html", ordered)


@never_cache
@login_required
@require_safe
def approved_shapes(request: HttpRequest) -> HttpResponse:
    """What may run again with other values, and what might once."""
    visible = ShapeApproval.objects.visible_to(request.user).with_standing(timezone.now()).select_related("request", "workflow")
    may_revoke: dict[int, bool] = {}  # by workflow: who may end one of its shapes may end all

    def standing(item: ShapeApproval) -> dict[str, bool]:
        if item.active and item.workflow_id not in may_revoke:
            may_revoke[item.workflow_id] = not shapes.revoke_objection(item, request.user)
        return {"active": item.active, "may_revoke": item.active and may_revoke[item.workflow_id]}

    return _list(request, "approvals/shapes.html", visible, standing)


@never_cache
@login_required
@require_POST
def revoke_shape(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """End an approval of a shape."""
    approval = get_object_or_404(ShapeApproval.objects.visible_to(request.user), pk=pk)
    try:
        services.revoke_shape(approval, actor=request.user)
    except services.Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "It is revoked: the next run asks again.")
    return redirect("approvals:shapes")


def _list(request: HttpRequest, template: str, found: Any, more: Callable[[Any], dict[str, bool]] = lambda item: {}) -> HttpResponse:
    """``more``: what the template is to know of an item besides."""
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    page.object_list = [
        {"item": item, "sql": one_line(item.request.normalised or item.request.sql, 240), **more(item)} for item in page.object_list
    ]
    return render(request, template, _places(request) | {"page": page, "query": ""})


def _places(request: HttpRequest) -> dict[str, Any]:
    """What the tabs above the lists say."""
    return {
        "to_review": BreakGlass.objects.visible_to(request.user).unreviewed().count(),
        "shapes_in_force": ShapeApproval.objects.visible_to(request.user).in_force(timezone.now()).count(),
    }


def _page(request: HttpRequest, approval: ApprovalRequest, person: User, *, signed_in: bool) -> HttpResponse:
    if request.method != "POST":
        return _show(request, approval, person, signed_in)
    answer, comment = request.POST.get("answer", ""), request.POST.get("comment", "")[:2000]
    shape = _terms(request) if answer == "approve" else None
    if (answer in MORE or shape) and not signed_in:
        return _show(request, approval, person, signed_in, problem="Sign in for this: the link is good for one statement.", status=403)
    try:
        if answer == "review" and hasattr(approval, "break_glass"):
            services.review(approval.break_glass, actor=person, comment=comment)
        elif answer in ANSWERS:
            approve = answer != "reject"
            proof = step_up.prove(request, approval, person) if approve else None
            services.decide(
                approval, actor=person, approve=approve, comment=comment, proof=proof, break_glass=answer == "break_glass", shape=shape
            )
        else:
            return _show(request, approval, person, signed_in, problem="Choose Approve or Reject.", status=400)
    except (services.Refused, step_up.NotProved) as refusal:
        approval.refresh_from_db()
        return _show(request, approval, person, signed_in, problem=str(refusal), status=409)
    return HttpResponseRedirect(request.path)


def _terms(request: HttpRequest) -> shapes.Terms | None:
    """For how long, how often and where the form lets other values pass; what is no number is never agreed to."""
    if request.POST.get("shape") != "yes":
        return None
    seconds, runs = [_number(request.POST.get(name, "")) for name in ("shape_seconds", "shape_runs")]
    return shapes.Terms(seconds, runs, frozenset(map(_number, request.POST.getlist("free"))))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _show(
    request: HttpRequest, approval: ApprovalRequest, person: User, signed_in: bool, *, problem: str = "", status: int = 200
) -> HttpResponse:
    votes = list(approval.votes.select_related("user"))
    own_vote = next((vote for vote in votes if vote.user_id == person.pk), None)
    objection = approvers.objection(approval, person)
    standing = _standing(approval)
    needed = approval.workflow.quorum if approval.workflow else 1
    may_answer = standing["open"] and not own_vote and not objection
    broken = BreakGlass.objects.filter(request=approval).select_related("user", "reviewed_by").first()
    context = presentation.of(approval) | presentation.earlier(approval) | standing | step_up.context(request, approval, person) | {
        "person": person.get_full_name() or person.username,
        "signed_in": signed_in,
        "other_session": request.user.is_authenticated and not signed_in,
        "votes": votes,
        "votes_for": sum(vote.approve for vote in votes),
        "needed": needed,
        "own_vote": own_vote,
        "objection": objection,
        "problem": problem,
        "deliveries": list(approval.deliveries.select_related("user").order_by("id")),
        "broken": broken,
        "granted": ShapeApproval.objects.filter(request=approval).first(),
        "may_answer": may_answer,
        # Who is enough anyway breaks nothing.
        "may_break_glass": standing["open"] and not (may_answer and needed == 1) and not approvers.break_glass_objection(approval, person),
        "may_review": broken and not broken.reviewed_at and not approvers.review_objection(approval, person),
    }  # fmt: skip
    if may_answer and approval.workflow.shapes:
        context |= {"shape": True, "shape_problem": shapes.possible(approval), "durations": DURATIONS, "most_runs": shapes.MOST}
        context |= {"shape_spans": laid_out(approval.normalised), "shape_places": presentation.places(approval)}
    return render(request, "approvals/approval.html", context, status=status)


def _standing(approval: ApprovalRequest) -> dict[str, Any]:
    """The state as it is now, also where the beat has not yet come by to expire it."""
    over = approval.expires_at <= timezone.now() and approval.state in (State.PENDING, State.APPROVED)
    state = State.EXPIRED if over else State(approval.state)
    return {"state": state.value, "label": state.label, "open": state == State.PENDING}


def _row(approval: ApprovalRequest) -> dict[str, Any]:
    shown = {"sql": one_line(approval.sql, 240), "parameters": presentation.parameters_line(approval)}
    return {"approval": approval, "effect": presentation.effect(approval), **shown, **_standing(approval)}


def _problem(request: HttpRequest, status: int, heading: str, explanation: str) -> HttpResponse:
    return render(request, "approvals/link_problem.html", {"heading": heading, "explanation": explanation}, status=status)
