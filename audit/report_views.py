"""Pages of what leaves the server: exports with proofs, and reports."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit import keyset, services, web_exports
from audit.filters import is_scattered
from audit.forms import SaveForm, SelectionForm
from audit.models import Checkpoint, Export, SavedReport, Statement
from audit.reports import REPORTS, Report
from audit.sealing import verifier_key
from audit.views import asked, for_auditors, names

PAGE = 20
FORMATS = ("csv", "parquet", "pdf")


@for_auditors
@require_safe
def reports(request: HttpRequest) -> HttpResponse:
    """The kinds of reports, and those that people saved."""
    saved = SavedReport.objects.visible_to(request.user).select_related("owner")
    lines = [(found, REPORTS[found.report].title, urlencode(found.parameters)) for found in saved if found.report in REPORTS]
    return render(request, "audit/reports.html", {"reports": REPORTS.values(), "saved": lines})


@for_auditors
@require_safe
def report(request: HttpRequest, kind: str) -> HttpResponse:
    """A page of a report's lines, newest first."""
    found = _kind(kind)
    chosen = found.chosen(request.GET, request.user)
    wanting = bool(found.needs) and not request.GET.get(found.needs)
    sought = chosen.qs if chosen.is_valid() and not wanting else chosen.queryset.none()
    page = keyset.page(sought, request.GET, scattered=chosen.is_valid() and is_scattered(chosen))
    context = {
        "report": found,
        "filter": chosen,
        "page": page,
        "lines": [list(zip(found.columns, line, strict=True)) for line in found.lines(page.rows)],
        "names": names(request),
        "wanting": wanting,
        "save": SaveForm(),
        "chosen": request.GET.urlencode(),
        "formats": Export.Format.choices[1:],
        **asked(request),
    }
    return render(request, "audit/report.html", context)


@for_auditors
@require_POST
def order(request: HttpRequest, kind: str) -> HttpResponse:
    """Ask for a report's file; the parameters are those of the page, in the address."""
    found, form = _kind(kind), request.POST.get("format")
    if form not in FORMATS:
        raise Http404
    web_exports.ask_report(actor=request.user, kind=kind, form=form, parameters=_parameters(found, request))
    return _being_made(request)


@for_auditors
@require_POST
def save(request: HttpRequest, kind: str) -> HttpResponse:
    """Keep the report with the page's parameters under a name; the same name of the same person again replaces it."""
    found, form = _kind(kind), SaveForm(request.POST)
    if not form.is_valid():
        messages.error(request, "; ".join(error for errors in form.errors.values() for error in errors))
        return HttpResponseRedirect(f"{reverse('audit:report', args=[kind])}?{request.GET.urlencode()}")
    services.save_report(actor=request.user, report=kind, parameters=_parameters(found, request), **form.cleaned_data)
    messages.success(request, f"“{form.cleaned_data['name']}” is saved.")
    return HttpResponseRedirect(reverse("audit:reports"))


@for_auditors
@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a saved report of one's own."""
    saved = get_object_or_404(SavedReport.objects.changeable_by(request.user), pk=pk)
    services.forget_report(saved, actor=request.user)
    messages.success(request, f"“{saved.name}” is deleted.")
    return HttpResponseRedirect(reverse("audit:reports"))


def _kind(kind: str) -> Report:
    if kind not in REPORTS:
        raise Http404
    return REPORTS[kind]


def _parameters(found: Report, request: HttpRequest) -> dict[str, str]:
    chosen = found.chosen(request.GET, request.user)
    if not chosen.is_valid() or (found.needs and not request.GET.get(found.needs)):
        raise Http404  # the page that led here was shown with what is wrong
    return web_exports.parameters_of(chosen.form.cleaned_data)


@for_auditors
@require_http_methods(["GET", "HEAD", "POST"])
def exports(request: HttpRequest) -> HttpResponse:
    """Exports that were made, and a form to ask for one."""
    form = SelectionForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        web_exports.ask(actor=request.user, selection=form.cleaned_data)
        return _being_made(request)
    found = Export.objects.visible_to(request.user).select_related("created_by")
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "query": "", "key": verifier_key(), "checkpoint": Checkpoint.objects.latest_or_none()}
    return render(request, "audit/exports.html", context, status=400 if form.errors else 200)


@for_auditors
@require_POST
def proof(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for an export of one statement's entries."""
    found = get_object_or_404(Statement.objects.visible_to(request.user).defer("sql", "words"), pk=pk)
    web_exports.ask(actor=request.user, selection={"statement": found.statement})
    return _being_made(request)


@for_auditors
@require_safe
def download(request: HttpRequest, pk: uuid.UUID) -> HttpResponse | StreamingHttpResponse:
    """The file of an export that is ready."""
    export = get_object_or_404(Export.objects.visible_to(request.user), pk=pk, state=Export.State.READY)
    if not export.parts.exists():
        raise Http404
    return file_of(export)


def file_of(export: Export) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{export.file_name}"', "Content-Length": str(export.bytes)}
    return StreamingHttpResponse(web_exports.content(export), content_type=export.media_type, headers=headers)


def _being_made(request: HttpRequest) -> HttpResponse:
    messages.success(request, "The file is being made: this page follows it.")
    return HttpResponseRedirect(reverse("audit:exports"))
