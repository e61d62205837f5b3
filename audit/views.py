"""The auditor's pages: what was asked, what was decided, what came of it, and exports that prove it elsewhere."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit import presentation, web_exports
from audit.filters import EntryFilter
from audit.forms import SelectionForm
from audit.models import Boot, Checkpoint, Entry, Export
from audit.querysets import STATEMENTS, may_read
from audit.sealing import verifier_key

PAGE = 50
ALARMING = timedelta(days=7)  # older alarms are found by the filter; a page that always shows some is not read
View = Callable[..., HttpResponse]


def for_auditors(view: View) -> View:
    """Sign-in, and the role auditor or admin; nothing of the ledger stays in a cache."""

    def guarded(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        if not may_read(request.user):
            raise PermissionDenied
        return view(request, *args, **options)

    return never_cache(login_required(guarded))


@for_auditors
@require_safe
def entries(request: HttpRequest) -> HttpResponse:
    """Statements, newest first, or entries of the kind that is asked for."""
    asked = request.GET.copy()
    if "kind" not in asked:
        asked["kind"] = STATEMENTS
    chosen = EntryFilter(asked, queryset=Entry.objects.visible_to(request.user).select_related("boot"))
    # What cannot be understood as a filter finds nothing: showing everything instead would be misread as a result.
    page = Paginator(chosen.qs if chosen.is_valid() else Entry.objects.none(), PAGE).get_page(request.GET.get("page"))
    kept = request.GET.copy()
    kept.pop("page", None)
    context = {"filter": chosen, "page": page, "rows": presentation.rows(page.object_list), "query": f"{kept.urlencode()}&" if kept else ""}
    return render(request, "audit/entries.html", context | _alarms(request))


@for_auditors
@require_safe
def entry(request: HttpRequest, pk: int) -> HttpResponse:
    """One entry, whole, with what else there is about the same statement."""
    found = get_object_or_404(Entry.objects.visible_to(request.user).select_related("boot"), pk=pk)
    same = Entry.objects.visible_to(request.user).filter(statement=found.statement).exclude(statement="").exclude(pk=pk)
    context = {"related": presentation.rows(same.order_by("time", "id")[:20]), "checkpoint": _covering(found)}
    return render(request, "audit/entry.html", presentation.whole(found) | context)


@for_auditors
@require_safe
def session(request: HttpRequest, session: str) -> HttpResponse:
    """A session from its opening to its end."""
    if "\0" in session:
        raise Http404  # PostgreSQL would refuse to look for it
    found = Entry.objects.visible_to(request.user).filter(session=session).select_related("boot").order_by("time", "boot", "seq")
    if not found.exists():
        raise Http404
    page = Paginator(found, 200).get_page(request.GET.get("page"))
    opened = found.filter(kind="session.opened").first()
    context = {"session": session, "page": page, "rows": presentation.rows(page.object_list), "query": ""}
    return render(request, "audit/session.html", context | {"opened": presentation.whole(opened) if opened else None})


@for_auditors
@require_http_methods(["GET", "HEAD", "POST"])
def exports(request: HttpRequest) -> HttpResponse:
    """Exports that were made, and a form to ask for one."""
    form = SelectionForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        web_exports.ask(actor=request.user, selection=form.cleaned_data)
        messages.success(request, "The export is being made. Reload this page to see it.")
        return HttpResponseRedirect(reverse("audit:exports"))
    page = Paginator(Export.objects.visible_to(request.user).select_related("created_by"), PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "query": "", "key": verifier_key(), "checkpoint": Checkpoint.objects.latest_or_none()}
    return render(request, "audit/exports.html", context, status=400 if form.errors else 200)


@for_auditors
@require_safe
def download(request: HttpRequest, pk: uuid.UUID) -> HttpResponse | StreamingHttpResponse:
    """The file of an export that is ready."""
    export = get_object_or_404(Export.objects.visible_to(request.user), pk=pk, state=Export.State.READY)
    if not export.parts.exists():
        raise Http404
    return file_of(export)


def file_of(export: Export) -> StreamingHttpResponse:
    name = f"tidegate-audit-{export.created:%Y%m%dT%H%M%SZ}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(export.bytes)}
    return StreamingHttpResponse(web_exports.content(export), content_type="application/zip", headers=headers)


def _alarms(request: HttpRequest) -> dict[str, Any]:
    recent = Entry.objects.visible_to(request.user).alarms().filter(time__gte=timezone.now() - ALARMING)
    broken = Boot.objects.visible_to(request.user).alarmed()
    return {"alarmed": broken[:20], "alarms": presentation.rows(recent[:5]), "alarm_count": recent.count()}


def _covering(entry: Entry) -> Checkpoint | None:
    """The first checkpoint that covers the entry; None while it waits to be sealed."""
    return None if entry.leaf_index is None else Checkpoint.objects.filter(size__gt=entry.leaf_index).order_by("size").first()
