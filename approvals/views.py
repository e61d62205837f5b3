"""The approver's pages. GET and HEAD only show; a decision takes a POST with a CSRF token.

Mail scanners and browsers that fetch ahead follow links, so nothing that a GET does may count as an answer.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from approvals import approvers, links, presentation, services, step_up
from approvals.filters import RequestFilter
from approvals.models import ApprovalRequest
from approvals.states import State
from audit.visible import one_line
from controlplane import passkeys
from controlplane.models import User

PAGE = 20
ANSWERS = {"approve": True, "reject": False}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind an e-mail's link: the link alone says which approver is asked."""
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
    return _page(request, approval, person)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The same page for whoever is signed in and may see the request."""
    approval = get_object_or_404(ApprovalRequest.objects.visible_to(request.user).select_related("workflow"), pk=pk)
    return _page(request, approval, request.user)


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
    return render(request, "approvals/inbox.html", {
        "filter": chosen, "page": page, "query": f"{kept.urlencode()}&" if kept else "", "filtered": bool(kept),
    })  # fmt: skip


def _page(request: HttpRequest, approval: ApprovalRequest, person: User) -> HttpResponse:
    if request.method != "POST":
        return _show(request, approval, person)
    answer = ANSWERS.get(request.POST.get("answer", ""))
    if answer is None:
        return _show(request, approval, person, problem="Choose Approve or Reject.", status=400)
    try:
        proof = step_up.prove(request, approval, person) if answer else None
        services.decide(approval, actor=person, approve=answer, comment=request.POST.get("comment", "")[:2000], proof=proof)
    except (services.Refused, step_up.NotProved) as refusal:
        approval.refresh_from_db()
        return _show(request, approval, person, problem=str(refusal), status=409)
    return HttpResponseRedirect(request.path)


def _show(request: HttpRequest, approval: ApprovalRequest, person: User, problem: str = "", status: int = 200) -> HttpResponse:
    votes = list(approval.votes.select_related("user"))
    own_vote = next((vote for vote in votes if vote.user_id == person.pk), None)
    objection = approvers.objection(approval, person)
    context = presentation.of(approval) | _standing(approval) | step_up.context(request, approval, person) | {
        "person": person.get_full_name() or person.username,
        "other_session": request.user.is_authenticated and request.user.pk != person.pk,
        "votes": votes,
        "votes_for": sum(vote.approve for vote in votes),
        "needed": approval.workflow.quorum if approval.workflow else 1,
        "own_vote": own_vote,
        "objection": objection,
        "problem": problem,
    }  # fmt: skip
    context["may_answer"] = context["open"] and not own_vote and not objection
    return render(request, "approvals/approval.html", context, status=status)


def _standing(approval: ApprovalRequest) -> dict[str, Any]:
    """The state as it is now, also where the beat has not yet come by to expire it."""
    over = approval.expires_at <= timezone.now() and approval.state in (State.PENDING, State.APPROVED)
    state = State.EXPIRED if over else State(approval.state)
    return {"state": state.value, "label": state.label, "open": state == State.PENDING}


def _row(approval: ApprovalRequest) -> dict[str, Any]:
    shown = {"sql": one_line(approval.sql, 240), "parameters": presentation.parameters_line(approval)}
    return {"approval": approval, **shown, **_standing(approval)}


def _problem(request: HttpRequest, status: int, heading: str, explanation: str) -> HttpResponse:
    return render(request, "approvals/link_problem.html", {"heading": heading, "explanation": explanation}, status=status)
