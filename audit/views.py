"""The auditor's pages: what was asked, what was decided, what came of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_filters import FilterSet

from audit import keyset, presentation
from audit.filters import EntryFilter, SessionFilter, StatementFilter, is_scattered
from audit.models import ApprovalEvent, Boot, Checkpoint, Entry, Name, Session, Statement
from audit.querysets import may_look, may_read
from audit.zones import zone_of

ALARMING = timedelta(days=7)  # older alarms are found by the filter; a page that always shows some is not read
SUGGESTED = 300  # names of a kind
View = Callable[..., HttpResponse]


def _guarded(view: View, may: Callable[[Any], bool]) -> View:
    def guarded(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        if not may(request.user):
            raise PermissionDenied
        with timezone.override(zone_of(request)):
            return view(request, *args, **options)

    return never_cache(login_required(guarded))


def for_auditors(view: View) -> View:
    """Sign-in, and the role auditor or admin; nothing of the ledger stays in a cache, and times are in the reader's zone."""
    return _guarded(view, may_read)


def for_owners(view: View) -> View:
    """The same for those who answer for a subject, too: what they see is up to the querysets."""
    return _guarded(view, may_look)


def _chosen(chosen: FilterSet) -> Any:
    """What the filter finds. What cannot be understood finds nothing: showing everything would be misread as a result."""
    return chosen.qs if chosen.is_valid() else chosen.queryset.none()


@for_owners
@require_safe
def statements(request: HttpRequest) -> HttpResponse:
    """One row per statement, newest first."""
    chosen = StatementFilter(request.GET, queryset=Statement.objects.visible_to(request.user).listed())
    page = keyset.page(_chosen(chosen), request.GET, scattered=chosen.is_valid() and (is_scattered(chosen) or not may_read(request.user)))
    context = {"filter": chosen, "page": page, "rows": presentation.statements(page.rows), "names": names(request), **asked(request)}
    return render(request, "audit/statements.html", context | (_alarms(request) if may_read(request.user) else {}))


@for_owners
@require_safe
def statement(request: HttpRequest, pk: int) -> HttpResponse:
    """All that is known of a statement."""
    seen = Statement.objects.visible_to(request.user)
    row = get_object_or_404(seen.select_related("entry__boot").defer("words"), pk=pk)
    end = Entry.objects.filter(boot=row.boot_id, kind="statement.completed", statement=row.statement).first()
    steps = ApprovalEvent.objects.visible_to(request.user).filter(request=row.approval).order_by("time", "pk") if row.approval else []
    around = seen.filter(session=row.session, boot=row.boot_id).listed()
    context = {
        "row": presentation.statement(row), "steps": presentation.steps(steps), "end": end,
        "previous": keyset.neighbour(around, row, older=True), "next": keyset.neighbour(around, row, older=False),
        "checkpoint": _covering(row.entry), "end_checkpoint": _covering(end) if end else None,
        **presentation.whole(row.entry), **presentation.grouped(row.entry, end),
    }  # fmt: skip
    return render(request, "audit/statement.html", context)


@for_owners
@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    """Client connections, newest first."""
    chosen = SessionFilter(request.GET, queryset=Session.objects.visible_to(request.user))
    page = keyset.page(_chosen(chosen), request.GET, time="opened_at")
    return render(request, "audit/sessions.html", {"filter": chosen, "page": page, "names": names(request), **asked(request)})


@for_owners
@require_safe
def session(request: HttpRequest, session: str) -> HttpResponse:
    """A session from its opening to its end."""
    if "\0" in session:
        raise Http404  # PostgreSQL would refuse to look for it
    found = Session.objects.visible_to(request.user).filter(session=session).order_by("pk").first()
    if found is None:
        raise Http404
    rows = Statement.objects.filter(session=session, boot=found.boot_id).listed()
    page = keyset.page(rows, request.GET, newest_first=False, size=100)
    requests = [row.approval for row in page.rows if row.approval]
    steps = presentation.steps(ApprovalEvent.objects.filter(request__in=requests).order_by("time", "pk")) if requests else []
    context = {"session": found, "page": page, "timeline": presentation.timeline(found, page, steps)}
    return render(request, "audit/session.html", context)


@for_auditors
@require_safe
def entries(request: HttpRequest) -> HttpResponse:
    """The ledger itself, newest first."""
    chosen = EntryFilter(request.GET, queryset=Entry.objects.visible_to(request.user).select_related("boot"))
    page = keyset.page(_chosen(chosen), request.GET)
    context = {"filter": chosen, "page": page, "rows": presentation.rows(page.rows), "names": names(request), **asked(request)}
    return render(request, "audit/entries.html", context | _alarms(request))


@for_auditors
@require_safe
def entry(request: HttpRequest, pk: int) -> HttpResponse:
    """One entry, whole, with what else there is about the same statement."""
    found = get_object_or_404(Entry.objects.visible_to(request.user).select_related("boot"), pk=pk)
    same = Entry.objects.visible_to(request.user).filter(statement=found.statement).exclude(statement="").exclude(pk=pk)
    context = {"related": presentation.rows(same.order_by("time", "id")[:20]) if found.statement else [], "checkpoint": _covering(found)}
    return render(request, "audit/entry.html", presentation.whole(found) | context)


def asked(request: HttpRequest) -> dict[str, Any]:
    """Whether anything narrows the list."""
    asked = {name: value for name, value in request.GET.items() if value and name not in ("before", "after")}
    return {"narrowed": bool(asked), "narrowed_by": len([name for name in asked if name != "q"])}


def names(request: HttpRequest) -> dict[str, list[str]]:
    """Names to suggest in filters, by their kind. Owners of subjects get none: they would be other people's."""
    if not may_read(request.user):
        return {}
    each = [Name.objects.filter(kind=kind).order_by("name").values_list("kind", "name")[:SUGGESTED] for kind in Name.KINDS]
    names: dict[str, list[str]] = {}
    for kind, name in each[0].union(*each[1:], all=True):
        names.setdefault(kind, []).append(name)
    return names


def _alarms(request: HttpRequest) -> dict[str, Any]:
    recent = Entry.objects.visible_to(request.user).alarms().filter(time__gte=timezone.now() - ALARMING)
    broken = Boot.objects.visible_to(request.user).alarmed()
    found = presentation.rows(recent[:6])
    return {"alarmed": broken[:20], "alarms": found[:5], "more_alarms": len(found) > 5}


def _covering(entry: Entry) -> Checkpoint | None:
    """The first checkpoint that covers the entry; None while it waits to be sealed."""
    return None if entry.leaf_index is None else Checkpoint.objects.filter(size__gt=entry.leaf_index).order_by("size").first()
