"""The tools of the admin site. Whoever may see the admin site may use them; they change nothing that decides."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from controlplane import catalogs
from controlplane.models import BundleVersion, Connection, Subject
from policies import effective, trials, what_if
from policies.forms import EffectiveForm, TrialForm, WhatIfForm, WhoForm
from policies.models import WhatIf
from policies.policy_file.document import PolicyFileError, Problem
from policies.policy_file.export import policy_text
from policies.trial_process import TrialFailed
from proxy.policy.bundle import Bundle


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def try_statement(request: HttpRequest) -> HttpResponse:
    """What would happen to a statement under the policy as it is."""
    given = request.POST if request.method == "POST" else None
    form = TrialForm(given, initial=request.GET.dict())
    context = {
        "title": "Try a statement", "form": form, **_result(form),
        "about": "What a worker would decide, mask and send. Nothing reaches a target.",
    }  # fmt: skip
    return page(request, "policies/try.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def what_ifs(request: HttpRequest) -> HttpResponse:
    """A form for a draft, and the comparisons of the last week."""
    initial = {"draft": policy_text()} if "current" in request.GET else None
    form = WhatIfForm(request.POST or None, request.FILES or None, initial=initial)
    problems: tuple[Problem, ...] = ()
    if request.method == "POST" and form.is_valid():
        try:
            return HttpResponseRedirect(reverse("admin:what-if", args=[_asked(request, form.cleaned_data).pk]))
        except PolicyFileError as error:
            problems = error.problems
    made = WhatIf.objects.select_related("created_by").defer("result", "draft")
    context = {
        "title": "What if", "form": form, "problems": problems, "page": Paginator(made, 20).get_page(request.GET.get("page")),
        "about": "Which recorded statements a draft of the policy would decide or mask differently. Nothing is changed.",
    }  # fmt: skip
    return page(request, "policies/what_ifs.html", context)


def _asked(request: HttpRequest, given: dict[str, Any]) -> WhatIf:
    now = timezone.now()
    names = {name: given[name].name if given[name] else "" for name in ("subject", "connection")}
    since = now - timedelta(days=given["days"])
    return what_if.ask(given["draft"], actor=request.user, since=since, until=now, prune=given["prune"], **names)


@never_cache
@require_safe
def what_if_result(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One comparison: its progress, then its result."""
    found = get_object_or_404(WhatIf.objects.select_related("created_by"), pk=pk)
    going_on = found.state in (WhatIf.State.QUEUED, WhatIf.State.RUNNING)
    return page(request, "policies/what_if.html", {"title": "What if", "what_if": found, "going_on": going_on})


@never_cache
@require_safe
def effective_policy(request: HttpRequest) -> HttpResponse:
    """What the policy comes to for one subject on one connection."""
    form = EffectiveForm(request.GET or None)
    context: dict[str, Any] = {"title": "Effective policy", "form": form, "about": "What the policy in force comes to."}
    if form.is_valid():
        context |= _effective(form.cleaned_data["subject"], form.cleaned_data["connection"])
    return page(request, "policies/effective.html", context)


def _effective(subject: Subject, target: Connection) -> dict[str, Any]:
    version = BundleVersion.objects.first()
    bundle = _in_force(version)
    connection = bundle.connection(target.name) if bundle else None
    catalog = catalogs.newest(target.name, target.dbname)
    found: dict[str, Any] = {"subject": subject, "connection": connection, "catalog": catalog, "version": version}
    if bundle is None or connection is None:
        return {**found, "problem": "No policy in force knows this connection yet."}
    columns = catalogs.columns_of(catalog) if catalog else ()
    now = timezone.now()
    keys = subject.keys.filter(revoked_at=None).order_by("-created_at")
    return {**found, "keys": keys, "effective": effective.effective(bundle, subject.name, connection, now.timestamp(), columns)}


@never_cache
@require_safe
def who(request: HttpRequest) -> HttpResponse:
    """Who sees a column, and who may do something, on one connection."""
    form = WhoForm(request.GET or None)
    context: dict[str, Any] = {"title": "Who can", "form": form, "about": "Who sees a column unmasked, and who may do something."}
    if form.is_valid():
        context |= _who(form.cleaned_data["connection"], form.cleaned_data["column"], form.cleaned_data["action"])
    return page(request, "policies/who.html", context)


def _who(target: Connection, column: tuple[str, ...], action: str) -> dict[str, Any]:
    bundle = _in_force(BundleVersion.objects.first())
    connection = bundle.connection(target.name) if bundle else None
    if bundle is None or connection is None:
        return {"problem": "No policy in force knows this connection yet."}
    now = timezone.now().timestamp()
    found: dict[str, Any] = {"connection": connection}
    if len(column) == 3:
        catalog = catalogs.newest(target.name, target.dbname)
        unknown = catalog is not None and column not in catalogs.columns_of(catalog)
        found |= {"column": ".".join(column), "sees": effective.who_sees(bundle, connection, column, now), "unknown": unknown}
    if action:
        may, rules = effective.who_may(bundle, connection, action, now)
        found |= {"action": action, "may": may, "rules": rules}
    return found


def _in_force(version: BundleVersion | None) -> Bundle | None:
    return Bundle.load(version.payload.encode(), {}) if version else None


def draft_tested(request: HttpRequest, draft: Any, address: str) -> HttpResponse:
    """The answer to "Test this rule": only the result for the script of the form, a whole page without it."""
    form = TrialForm(request.POST, prefix="try")
    if draft.is_valid():
        context = _result(form, draft)
    else:
        context = {"problem": "The rule cannot be tested until this is put right.", "draft_errors": _errors(draft)}
    context |= {"form": form}
    if request.headers.get("X-Tidegate-Part"):
        return TemplateResponse(request, "policies/_tried.html", context)
    kept = [(name, value) for name, values in request.POST.lists() if not name.startswith(("try-", "csrf")) for value in values]
    return page(request, "policies/test.html", {**context, "title": "Test this rule", "kept": kept, "address": address})


def _result(form: TrialForm, draft: Any = None) -> dict[str, Any]:
    if not form.is_bound or not form.is_valid():
        return {}
    try:
        return {"tried": trials.tried(form, draft)}
    except TrialFailed as problem:
        return {"problem": str(problem)}
    except ValidationError as problem:
        return {"problem": f"This policy could not be published: {' '.join(problem.messages)}"}


def _errors(draft: Any) -> list[str]:
    def label(name: str) -> str:
        return str(draft.fields[name].label or name).replace("_", " ") if name in draft.fields else ""

    return [f"{label(name)}: {text}".removeprefix(": ") for name, texts in draft.errors.items() for text in texts]


def page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})
