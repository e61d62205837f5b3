"""Sessions of people: when they began, how they were proved, when they end, and what the ledger hears of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from controlplane.addresses import client_address
from controlplane.models import User

RECENT = 300  # seconds for which a sign-in is fresh enough to say yes by it, or to change how one signs in
SEEN_EVERY = 60  # seconds between two writes that keep a session alive

# What a session holds of its sign-in.
BEGAN, SEEN, PROVED, ID_TOKEN = "tidegate_began", "tidegate_seen", "tidegate_proved", "tidegate_id_token"


def begin(request: HttpRequest, user: User, *, method: str, proved_at: int | None, id_token: str = "") -> None:
    """Sign ``user`` in. ``proved_at``: when they last proved who they are (seconds), None where nobody knows."""
    from audit.services import record  # the ledger's services use this app's models

    with transaction.atomic():
        auth.login(request, user)
        request.session[PROVED] = proved_at
        request.session[ID_TOKEN] = id_token
        record("admin.signed_in", {"actor": user.get_username(), "method": method, "address": client_address(request)})


def renew(request: HttpRequest) -> None:
    """The person just gave their password again."""
    request.session[PROVED] = int(time.time())


def end(request: HttpRequest, *, reason: str) -> None:
    """Sign out whoever is signed in."""
    from audit.services import record

    user = request.user
    with transaction.atomic():
        auth.logout(request)
        if isinstance(user, User):
            record("admin.signed_out", {"actor": user.get_username(), "reason": reason, "address": client_address(request)})


def record_failure(request: HttpRequest | None, *, account: str, method: str, reason: str, reference: str = "") -> None:
    """``account`` is what was typed or claimed, whether or not there is such a user; a password ends up there too, so it is sensitive."""
    from audit.services import record

    told = {"account": account[:150], "method": method, "reason": reason[:300], "reference": reference}
    record("admin.sign_in_failed", {**told, "address": client_address(request)})


def is_recent(proved_at: int | None) -> bool:
    return proved_at is not None and time.time() - proved_at <= RECENT


def recently_proved(request: HttpRequest) -> bool:
    """Whether whoever is signed in proved lately who they are."""
    return is_recent(request.session.get(PROVED))


@receiver(user_logged_in)
def _stamp(sender: Any, request: HttpRequest, **rest: Any) -> None:
    """Every way to sign in begins a session, also one that is added later."""
    request.session[BEGAN] = request.session[SEEN] = int(time.time())
    request.session[PROVED] = None


class SessionLimits:
    """Ends a session twelve hours after it began, however busy; Django ends it after half an hour without a request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and auth.SESSION_KEY in request.session:
            self._limit(request, int(time.time()))
        return self.get_response(request)

    def _limit(self, request: HttpRequest, now: int) -> None:
        session = request.session
        if now - session.get(BEGAN, 0) > settings.TIDEGATE_SESSION_SECONDS:
            end(request, reason="its time was over")
            messages.warning(request, "Your session is over: it lasts twelve hours at most. Please sign in again.")
        elif now - session.get(SEEN, 0) > SEEN_EVERY:
            session[SEEN] = now  # a changed session is saved, with a new expiry
