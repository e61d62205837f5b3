"""The start page, and the health of this process."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.defaults import page_not_found, server_error

from controlplane.navigation import places_for


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the control database answers, else 503; says nothing that a stranger should not know."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    return JsonResponse({"status": "ok", "database": "ok"})


@require_safe
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Where people of each role go from here."""
    return render(request, "start.html", {"cards": places_for(request)})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Nothing at this address: a page for people, a problem for programs."""
    if request.path.startswith("/api/"):
        return _problem(404, "Not Found", "There is nothing at this address.")
    return page_not_found(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    """What happened is in the log; here only that it did."""
    if request.path.startswith("/api/"):
        return _problem(500, "Internal Server Error", "The request could not be completed and nothing was changed.")
    return server_error(request)


def _problem(status: int, title: str, detail: str) -> HttpResponse:
    told = {"title": title, "status": status, "detail": detail}
    return JsonResponse(told, status=status, content_type="application/problem+json")
