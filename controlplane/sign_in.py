"""Signing in to the web pages, and the limit that keeps passwords from being guessed.

An attempt is written down before its password is looked at, so attempts made at the same moment cannot pass the limit together;
one that is turned away leaves no trace, so that nobody is kept out for longer than the window by hammering.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils import timezone

from controlplane.models import SignInAttempt

log = logging.getLogger(__name__)

WINDOW = timedelta(minutes=15)
# Failures in the window. An account is shut for the address that guesses long before it is shut for everybody.
PER_ACCOUNT_AND_ADDRESS = 10
PER_ACCOUNT = 100
PER_ADDRESS = 100


class SignInForm(AuthenticationForm):
    """Django's, with the limit in front."""

    refused = False

    def clean(self) -> dict[str, Any]:
        if not self.cleaned_data.get("username") or not self.cleaned_data.get("password"):
            return self.cleaned_data  # nothing to guess with: the fields themselves say so
        account = self.cleaned_data["username"].casefold()[:150]
        address = self.request.META.get("REMOTE_ADDR", "")[:45] if self.request else ""
        attempt = SignInAttempt.objects.create(account=account, address=address)
        if _too_many(account, address):
            attempt.delete()
            self.refused = True
            log.warning("sign_in.refused", extra={"account": account, "address": address})
            raise ValidationError(f"Too many failed attempts. Wait {WINDOW.seconds // 60} minutes, or ask an administrator.")
        cleaned: dict[str, Any] = super().clean()  # raises for a wrong password, and then the attempt stays
        SignInAttempt.objects.filter(account=account, address=address).delete()
        return cleaned


class SignInView(LoginView):
    """One sign-in page for everybody."""

    form_class = SignInForm
    template_name = "login.html"
    redirect_authenticated_user = True

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        answer: HttpResponse = super().form_invalid(form)
        if form.refused:
            answer.status_code = 429
        return answer


def _too_many(account: str, address: str) -> bool:
    """Whether the attempt that was just written down is one too many; what is older than the window is forgotten."""
    SignInAttempt.objects.filter(at__lt=timezone.now() - WINDOW).delete()
    of_account, of_address = SignInAttempt.objects.filter(account=account), SignInAttempt.objects.filter(address=address)
    return (
        of_account.filter(address=address).count() > PER_ACCOUNT_AND_ADDRESS
        or of_account.count() > PER_ACCOUNT
        or of_address.count() > PER_ADDRESS
    )
