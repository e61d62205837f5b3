"""Signing in with a password, signing out, giving the password once more, and changing it."""

from __future__ import annotations

import logging
import time
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView, PasswordChangeView, RedirectURLMixin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import reverse, reverse_lazy
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django.views.generic import FormView

from controlplane import attempts, services, sessions
from controlplane.addresses import client_address
from controlplane.models import User
from controlplane.oidc.views import sign_out_address

log = logging.getLogger(__name__)


def may_use_password(user: User) -> bool:
    return settings.TIDEGATE_LOCAL_SIGN_IN != "admins" or user.has_role("admin")


class Limited(forms.Form):
    """A form that looks at a password, with the limit in front."""

    refused = False

    def check_password(self, request: HttpRequest | None, account: str) -> None:
        """Runs the form's own look, once it may. Raises ValidationError."""
        account, address = account.casefold()[:150], client_address(request)
        if not attempts.begin(account, address):
            self.refused = True
            log.warning("sign_in.refused", extra={"address": address})  # not the name: passwords are typed there, too
            raise ValidationError(f"Too many failed attempts. Wait {attempts.WINDOW.seconds // 60} minutes, or ask an administrator.")
        try:
            self.look()  # raises for a wrong password, and then the attempt stays
        except ValidationError:
            sessions.record_failure(request, account=account, method="password", reason="wrong name or password, or not allowed")
            raise
        attempts.forget(account, address)

    def look(self) -> None:
        raise NotImplementedError


class SignInForm(Limited, AuthenticationForm):
    """Django's, for those who may sign in with a password."""

    def clean(self) -> dict[str, Any]:
        # Without anything to guess with the fields themselves say so.
        if self.cleaned_data.get("username") and self.cleaned_data.get("password"):
            self.check_password(self.request, self.cleaned_data["username"])
        return self.cleaned_data

    def look(self) -> None:
        super(Limited, self).clean()

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        if not may_use_password(user):
            raise self.get_invalid_login_error()  # as for a wrong password: nobody learns here that it was right


class SignInView(LoginView):
    """One sign-in page for everybody."""

    form_class = SignInForm
    template_name = "login.html"
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        provider, goal = settings.TIDEGATE_OIDC, self.get_redirect_url()
        address = reverse("oidc_begin") + (f"?{urlencode({'next': goal})}" if goal else "") if provider else ""
        admins = settings.TIDEGATE_LOCAL_SIGN_IN == "admins"
        return super().get_context_data(**kwargs) | {"provider": provider, "provider_address": address, "admins_only": admins}

    def form_valid(self, form: SignInForm) -> HttpResponse:
        sessions.begin(self.request, form.get_user(), method="password", proved_at=int(time.time()))
        return HttpResponseRedirect(self.get_success_url())

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        return _answered(super().form_invalid(form), form)


class PasswordAgainForm(Limited):
    """The password of whoever is signed in."""

    password = forms.CharField(strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}))

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("password"):
            self.check_password(self.request, self.request.user.get_username())
        return self.cleaned_data

    def look(self) -> None:
        user = self.request.user
        if not may_use_password(user) or not user.check_password(self.cleaned_data["password"]):
            raise ValidationError({"password": "This is not your password."})


class ConfirmView(LoginRequiredMixin, RedirectURLMixin, FormView):
    """It is still the person who signed in: the provider asks them anew, or they give their password again."""

    form_class = PasswordAgainForm
    template_name = "confirm.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and request.session.get(sessions.ID_TOKEN) and settings.TIDEGATE_OIDC:
            return HttpResponseRedirect(f"{reverse('oidc_begin')}?{urlencode({'fresh': 1, 'next': self.get_success_url()})}")
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"next": self.get_success_url()}

    def get_default_redirect_url(self) -> str:
        return resolve_url("start")

    def form_valid(self, form: PasswordAgainForm) -> HttpResponse:
        sessions.renew(self.request)
        return HttpResponseRedirect(self.get_success_url())

    def form_invalid(self, form: PasswordAgainForm) -> HttpResponse:
        return _answered(super().form_invalid(form), form)


class NewPasswordForm(Limited, PasswordChangeForm):
    """Django's. Whoever found a session open must not guess the old password here."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        self.check_password(self.request, self.user.get_username())
        return str(self.cleaned_data["old_password"])

    def look(self) -> None:
        PasswordChangeForm.clean_old_password(self)


class PasswordView(PasswordChangeView):
    """A person's own new password, with its audit entry."""

    form_class = NewPasswordForm
    template_name = "password.html"
    success_url = reverse_lazy("start")

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def form_valid(self, form: NewPasswordForm) -> HttpResponse:
        with transaction.atomic():
            response = super().form_valid(form)
            services.record_password_change(self.request.user, actor=self.request.user)
        messages.success(self.request, "Your password is changed.")
        return response

    def form_invalid(self, form: NewPasswordForm) -> HttpResponse:
        return _answered(super().form_invalid(form), form)


@require_POST
@never_cache
def sign_out(request: HttpRequest) -> HttpResponse:
    """Out of here, and out of the provider: there by a page of our own, since forms may lead to nobody else."""
    onward = sign_out_address(request.session.get(sessions.ID_TOKEN, ""))
    sessions.end(request, reason="signed out")
    if not onward:
        return HttpResponseRedirect(resolve_url(settings.LOGOUT_REDIRECT_URL))
    context = {"heading": "You are signed out of Tidegate", "provider": settings.TIDEGATE_OIDC.name, "address": onward}
    return render(request, "onward.html", context)


def _answered(answer: HttpResponse, form: Limited) -> HttpResponse:
    if form.refused:
        answer.status_code = 429
    return answer
