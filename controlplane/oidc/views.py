"""To the provider and back: mozilla-django-oidc's views, where everything that goes wrong is a page that says so."""

from __future__ import annotations

import logging
import time
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from controlplane import attempts, sessions
from controlplane.addresses import client_address
from controlplane.models import User
from controlplane.oidc import provider as kept
from controlplane.oidc.backend import setting
from controlplane.oidc.problems import PROBLEMS, SignInProblem

log = logging.getLogger(__name__)

STATE_SECONDS = 600
# What the session keeps while the person is away: whether a fresh sign-in was asked for, and whom to connect.
FRESH, CONNECT = "oidc_fresh", "oidc_connect"
REFUSED_BY_THE_PERSON = {"access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required"}


@method_decorator(never_cache, name="dispatch")
class Begin(OIDCAuthenticationRequestView):
    """``?next=`` says where to go afterwards; with ``?fresh=1`` the provider must ask the person again."""

    get_settings = staticmethod(setting)

    def __init__(self, **kwargs: object) -> None:
        View.__init__(self, **kwargs)  # past the library's, which wants addresses where nobody could be told that there are none

    @property
    def OIDC_OP_AUTH_ENDPOINT(self) -> str:
        return kept.endpoint("authorization_endpoint")

    @property
    def OIDC_RP_CLIENT_ID(self) -> str:
        return kept.configured().client_id

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            answer: HttpResponse = super().get(request)
        except SignInProblem as problem:
            return problem_page(request, problem)
        request.session[FRESH] = "fresh" in request.GET
        if "connect" not in request.GET:
            request.session.pop(CONNECT, None)  # asked for once, and given up
        return answer

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        return {"prompt": "login", "max_age": "0"} if "fresh" in request.GET else {}


@method_decorator(never_cache, name="dispatch")
class Callback(OIDCAuthenticationCallbackView):
    """Where the provider sends the browser back to."""

    get_settings = staticmethod(setting)

    def get(self, request: HttpRequest) -> HttpResponse:
        self.fresh, connect = request.session.pop(FRESH, False), request.session.pop(CONNECT, None)
        self.connecting = connect is not None and request.user.is_authenticated and request.user.pk == connect
        if self.connecting:
            request.connect = User.objects.get(pk=connect)
        try:
            self._check(request)
            answer: HttpResponse = super().get(request)
        except SignInProblem as problem:
            return problem_page(request, problem)
        except SuspiciousOperation:
            return problem_page(request, SignInProblem("state", "no sign-in with this state was begun in this browser"))
        return answer

    def login_success(self) -> HttpResponse:
        goal, proved = self.success_url, self.user.proved
        if self.connecting:
            messages.success(self.request, f"Your account is connected: from now on you can sign in with {kept.configured().name}.")
            return HttpResponseRedirect(reverse("account"))
        if self.fresh and not sessions.is_recent(proved.at):
            raise SignInProblem("stale", "auth_time is missing or too old")
        sessions.begin(self.request, self.user, method="oidc", proved_at=proved.at, id_token=proved.id_token)
        return HttpResponseRedirect(goal)

    def login_failure(self) -> HttpResponse:
        raise SignInProblem("state", "no code, or no sign-in was begun in this browser")

    def _check(self, request: HttpRequest) -> None:
        """What the answer says before its code is used. A state that was answered is used up, however it ends."""
        states = request.session.get("oidc_states", {})
        state = request.GET.get("state", "")
        error = request.GET.get("error", "")
        if state in states and (error or states[state]["added_on"] < time.time() - STATE_SECONDS):
            del states[state]
            request.session.modified = True
        if error:
            raise SignInProblem("denied" if error in REFUSED_BY_THE_PERSON else "provider", f"error {error[:60]!r}")
        told, issuer = request.GET.get("iss"), kept.configured().issuer
        promised = kept.metadata().get("authorization_response_iss_parameter_supported") is True
        if told != issuer and (told is not None or promised):  # RFC 9207: the answer of another provider
            raise SignInProblem("token", "the answer's iss is another issuer")


def problem_page(request: HttpRequest, problem: SignInProblem) -> HttpResponse:
    """What the person is told; the log and the ledger have the reason, under the same reference."""
    address = client_address(request)
    log.warning("oidc.failed", extra={"code": problem.code, "detail": problem.detail, "reference": problem.reference, "address": address})
    told, status = PROBLEMS[problem.code], PROBLEMS[problem.code].status
    if attempts.begin(f"oidc {address}", address):
        sessions.record_failure(request, account="", method="oidc", reason=str(problem), reference=problem.reference)
    else:
        status = 429
    name = settings.TIDEGATE_OIDC.name if settings.TIDEGATE_OIDC else "The identity provider"
    context = {"heading": told.heading.format(provider=name), "text": told.text.format(provider=name), "reference": problem.reference}
    return render(request, "sign_in_problem.html", context, status=status)


def sign_out_address(id_token: str) -> str:
    """Where the person signs out of the provider too (OpenID Connect RP-Initiated Logout 1.0); empty where that is not possible."""
    try:
        address = kept.endpoint("end_session_endpoint") if id_token and settings.TIDEGATE_OIDC else ""
    except SignInProblem:
        return ""
    if not address:
        return ""
    back = settings.TIDEGATE_PUBLIC_URL + reverse("login")
    query = {"id_token_hint": id_token, "client_id": kept.configured().client_id, "post_logout_redirect_uri": back}
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def address_to_connect(request: HttpRequest, user: User) -> str:
    """Where ``user`` proves the identity that then becomes the account's."""
    request.session[CONNECT] = user.pk
    return reverse("oidc_begin") + "?connect=1"
