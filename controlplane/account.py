"""A person's own account: who they are here, how they sign in, and what they prove themselves with."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from controlplane import access_tokens, passkeys, services, sessions
from controlplane.models import AccessToken, User
from controlplane.oidc.views import address_to_connect

SPANS = {30: "30 days", 90: "90 days", 365: "one year"}  # for which a new token is good


@require_safe
@never_cache
@login_required
def page(request: HttpRequest) -> HttpResponse:
    provider = settings.TIDEGATE_OIDC
    return render(request, "account.html", {
        "provider": provider,
        "connected": bool(provider) and request.user.oidc_issuer == provider.issuer,
        "passkeys": request.user.passkeys.all(),
        "no_passkeys": passkeys.unavailable(),
        "tokens": request.user.access_tokens.all(),
        "scopes": AccessToken.SCOPES.items(),
        "spans": SPANS.items(),
        "fresh": sessions.recently_proved(request),
    })  # fmt: skip


@require_POST
@login_required
def connect(request: HttpRequest) -> HttpResponse:
    """Give this account the identity that the person proves next."""
    if settings.TIDEGATE_OIDC is None:
        return HttpResponseRedirect(reverse("account"))
    if not sessions.recently_proved(request):
        return _to_confirm()
    name, address = settings.TIDEGATE_OIDC.name, address_to_connect(request, _person(request))
    return render(request, "onward.html", {"heading": f"Connect your account with {name}", "provider": name, "address": address})


@require_POST
@login_required
def passkey_question(request: HttpRequest) -> HttpResponse:
    """What the browser asks the new passkey. Whoever found a session open must not leave a key of their own in it."""
    if passkeys.unavailable() or not sessions.recently_proved(request):
        return HttpResponse(status=403)
    return HttpResponse(passkeys.question_to_register(request.session, _person(request)), content_type="application/json")


@require_POST
@login_required
def add_passkey(request: HttpRequest) -> HttpResponse:
    if not sessions.recently_proved(request):
        return _to_confirm()
    name, answer = request.POST.get("name", ""), request.POST.get("passkey", "")
    try:
        added = passkeys.register(request.session, _person(request), name=name, answer=answer)
    except passkeys.PasskeyRefused as refusal:
        messages.error(request, str(refusal))
    except ValidationError as problem:
        messages.error(request, f"The passkey was not kept: {' '.join(problem.messages)}")
    else:
        messages.success(request, f"The passkey {added.name} is yours.")
    return HttpResponseRedirect(reverse("account"))


@require_POST
@login_required
def change_passkey(request: HttpRequest, pk: int) -> HttpResponse:
    """Another name for it, or its end."""
    user = _person(request)
    passkey = get_object_or_404(user.passkeys, pk=pk)
    if "remove" in request.POST:
        services.remove(passkey, actor=user, publish=False)
        messages.success(request, f"The passkey {passkey.name} is removed.")
        return HttpResponseRedirect(reverse("account"))
    passkey.name = request.POST.get("name", "").strip()
    try:
        services.save(passkey, actor=user, publish=False)
    except ValidationError as problem:
        messages.error(request, f"Nothing was changed: {' '.join(problem.messages)}")
    return HttpResponseRedirect(reverse("account"))


@require_POST
@never_cache
@login_required
def add_token(request: HttpRequest) -> HttpResponse:
    """A new access token, shown this once."""
    if not sessions.recently_proved(request):
        return _to_confirm()
    days = request.POST.get("days", "")
    try:
        token, text = access_tokens.create(
            _person(request),
            name=request.POST.get("name", ""),
            scopes=request.POST.getlist("scopes"),
            days=int(days) if days.isascii() and days.isdigit() else 0,
        )
    except ValidationError as problem:
        messages.error(request, f"No token was made: {' '.join(problem.messages)}")
        return HttpResponseRedirect(reverse("account"))
    return render(request, "token.html", {"token": token, "text": text})


@require_POST
@login_required
def remove_token(request: HttpRequest, pk: int) -> HttpResponse:
    user = _person(request)
    token = get_object_or_404(user.access_tokens, pk=pk)
    services.remove(token, actor=user, publish=False)
    messages.success(request, f"The token {token.name} is removed: whatever uses it is refused from now on.")
    return HttpResponseRedirect(reverse("account"))


def _person(request: HttpRequest) -> User:
    """Whoever is signed in, as a row of their own: Django's is a lazy stand-in."""
    return User.objects.get(pk=request.user.pk)


def _to_confirm() -> HttpResponse:
    """Ask the person to prove once more who they are, and come back."""
    return HttpResponseRedirect(f"{reverse('confirm')}?next={reverse('account')}")
