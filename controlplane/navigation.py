"""Where a person may go, by role: the links of the header, the cards of the start page, and the admin site's side bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from controlplane.models import User


@dataclass(frozen=True, slots=True)
class Link:
    name: str
    about: str
    address: str
    here: bool


OWNER = "owner"  # no role: whoever answers for a subject
# (roles that may go there, name, what it is for, name of the address)
PLACES = (
    (("approver",), "Approvals", "Statements that wait for your yes or no.", "approvals:inbox"),
    (("admin", "auditor", OWNER), "Audit", "Sessions and statements, exports, and proofs that nothing was changed.", "audit:statements"),
    (("admin",), "Administration", "Subjects, connections, grants, masking, rules, workflows and workers.", "admin:index"),
    (("admin", "auditor"), "API", "The REST interface, with a description to try it out.", "docs"),
)


def places_for(request: HttpRequest) -> list[Link]:
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return []
    links = []
    for roles, name, about, view in PLACES:
        if not (any(user.has_role(role) for role in roles) or (OWNER in roles and user.is_active and user.owned_subjects.exists())):
            continue
        try:
            address = reverse(view)
        except NoReverseMatch:
            continue
        links.append(Link(name, about, address, address != "/" and request.path.startswith(address)))
    return links


def navigation(request: HttpRequest) -> dict[str, object]:
    """Context processor of every page."""
    return {"navigation": places_for(request)}


_ICONS = {
    "group": "groups", "user": "person", "oidcissuer": "badge", "subject": "smart_toy", "apikey": "key", "connection": "database",
    "grant": "handshake", "worker": "dns", "enrolmenttoken": "confirmation_number", "bundleversion": "inventory_2",
    "maskingrule": "visibility_off", "statementrule": "gavel", "retention": "auto_delete", "workflow": "approval",
    "approvalrequest": "pending_actions", "delivery": "mail",
}  # fmt: skip


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """unfold's side bar: the tools first, then every model that the person may see."""
    site: Any = admin.site
    tools = [{"title": tool.title, "icon": tool.icon, "link": reverse(f"admin:{tool.name}")} for tool in site.tools if tool.listed]
    overview = {"title": "Overview", "icon": "monitoring", "link": reverse("admin:index")}
    groups = [{"title": "Tools", "items": [overview, *tools]}]
    for app in site.get_app_list(request):
        models = [model for model in app["models"] if model["admin_url"]]
        items = [{"title": m["name"], "icon": _ICONS.get(m["object_name"].lower(), "table"), "link": m["admin_url"]} for m in models]
        groups.append({"title": app["name"], "separator": True, "items": items})
    return groups
