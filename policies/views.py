"""The tools of the admin site. Whoever may see the admin site may use them; they change nothing that decides."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from policies import trials
from policies.forms import TrialForm
from policies.trial_process import TrialFailed


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
