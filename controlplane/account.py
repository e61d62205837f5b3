"""A person's own account: who they are here, how they sign in, and what they use besides."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from controlplane import sessions
from controlplane.oidc.views import address_to_connect

RECENTLY = 300  # seconds for which a sign-in is fresh enough to change how one signs in


@require_safe
@never_cache
@login_required
def page(request: HttpRequest) -> HttpResponse:
    provider = settings.TIDEGATE_OIDC
    connected = bool(provider) and request.user.oidc_issuer == provider.issuer
    return render(request, "account.html", {"provider": provider, "connected": connected})


@require_POST
@login_required
def connect(request: HttpRequest) -> HttpResponse:
    """Give this account the identity that the person proves next."""
    if settings.TIDEGATE_OIDC is None:
        return HttpResponseRedirect(reverse("account"))
    if not sessions.proved_within(request, RECENTLY):
        return to_confirm(reverse("account"))
    name, address = settings.TIDEGATE_OIDC.name, address_to_connect(request, request.user)
    return render(request, "onward.html", {"heading": f"Connect your account with {name}", "provider": name, "address": address})


def to_confirm(goal: str) -> HttpResponse:
    """Ask the person to prove once more who they are, and come back."""
    return HttpResponseRedirect(f"{reverse('confirm')}?next={goal}")
