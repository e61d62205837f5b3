"""The admin site: for the role admin only, and without anything inline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone

from controlplane.admin_base import BaseAdminSite
from controlplane.dashboard import dashboard, period_of
from controlplane.models import User
from controlplane.sign_in import sign_out


@dataclass(frozen=True)
class Tool:
    """A page of the admin site that is no model's: an app adds it by :meth:`TidegateAdminSite.add_tool`."""

    address: str  # below /admin/
    name: str  # of the address: admin:NAME
    title: str
    about: str
    icon: str  # of Material Symbols, which unfold brings
    view: Callable[..., HttpResponse]
    listed: bool = True


class TidegateAdminSite(BaseAdminSite):  # type: ignore[misc, valid-type]
    site_header = site_title = "Tidegate"
    index_title = "Administration"
    index_template = "admin/tidegate_index.html"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tools: list[Tool] = []

    def add_tool(self, tool: Tool) -> None:
        self.tools.append(tool)

    def get_urls(self) -> list[Any]:
        return [*(path(tool.address, self.admin_view(tool.view), name=tool.name) for tool in self.tools), *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"dashboard": dashboard(period_of(request.GET.get("period")), timezone.now())}
        response: HttpResponse = super().index(request, {**context, **(extra_context or {})})
        return response

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), "tools": [tool for tool in self.tools if tool.listed]}

    def has_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, User) and request.user.has_role("admin")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """One sign-in page for everybody; who is signed in without the role is told so on the start page."""
        if request.user.is_authenticated:
            return HttpResponseRedirect(reverse("start"))
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return sign_out(request)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("password_change"))

    def extra_context(self, context: dict[str, Any], request: HttpRequest) -> dict[str, Any]:
        # unfold would write its colours as an inline <style>, which the security policy forbids: admin.css has them.
        return {**context, "colors": None}
