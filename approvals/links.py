"""Signed links: one per approver and request, good until the request expires.

The link alone says who is answering, so it is sent to that person only. The agent gets the plain address of the request,
which asks for a sign-in: whoever holds a statement up must not be able to let it through.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.urls import reverse

SALT = "tidegate.approvals.link/1"


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says: which request, which person (primary key), and until when (seconds since the epoch)."""

    request_id: uuid.UUID
    user_id: int
    expires: int


def token_for(request_id: uuid.UUID, user_id: int, expires: int) -> str:
    return signing.dumps({"r": request_id.hex, "u": user_id, "e": expires}, salt=SALT)


def read_token(token: str) -> Link | None:
    """The link's content, or None for a token that this server did not sign."""
    try:
        content = signing.loads(token, salt=SALT)
        return Link(uuid.UUID(hex=content["r"]), int(content["u"]), int(content["e"]))
    except (signing.BadSignature, KeyError, TypeError, ValueError):
        return None


def approver_url(request_id: uuid.UUID, user_id: int, expires: int) -> str:
    """The address that goes into one approver's e-mail."""
    return settings.TIDEGATE_PUBLIC_URL + reverse("approvals:link", args=[token_for(request_id, user_id, expires)])


def request_url(request_id: uuid.UUID) -> str:
    """The address that everybody may know: it shows nothing without a sign-in."""
    return settings.TIDEGATE_PUBLIC_URL + reverse("approvals:detail", args=[request_id])


def inbox_url() -> str:
    """Where everybody finds what waits for them."""
    return settings.TIDEGATE_PUBLIC_URL + reverse("approvals:inbox")
