"""Where a person may go, by role: the links of the header and the cards of the start page."""

from __future__ import annotations

from dataclasses import dataclass

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
