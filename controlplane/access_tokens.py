"""Tokens with which people's programs use the REST interface: made on the account page, shown once, scoped, with an end."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from controlplane import services
from controlplane.models import AccessToken, User

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module when it is imported itself

PREFIX = "tgt_"
LONGEST_DAYS = 366
AT_MOST = 50  # of one person
_NOTED_EVERY = timedelta(minutes=1)


def create(user: User, *, name: str, scopes: Collection[str], days: int) -> tuple[AccessToken, str]:
    """A new token of ``user``, and its text, which is shown this once. Raises ValidationError."""
    if not scopes or set(scopes) - set(AccessToken.SCOPES):
        raise ValidationError({"scopes": f"Choose at least one of {', '.join(AccessToken.SCOPES)}."})
    if not 1 <= days <= LONGEST_DAYS:
        raise ValidationError({"days": f"A token is good for 1 to {LONGEST_DAYS} days."})
    if user.access_tokens.count() >= AT_MOST:
        raise ValidationError(f"You have {AT_MOST} tokens: remove one first.")
    text = PREFIX + secrets.token_urlsafe(32)
    token = AccessToken(user=user, name=name.strip(), scopes=sorted(scopes), digest=_digest(text), last_four=text[-4:])
    token.expires_at = timezone.now() + timedelta(days=days)
    return services.save(token, actor=user, publish=False), text


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer tgt_…``. A token without the scope that the view needs is refused here, so no view can forget to ask."""

    def authenticate(self, request: Request) -> tuple[User, AccessToken] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        now, token = timezone.now(), None
        if scheme.lower() == "bearer":
            token = AccessToken.objects.select_related("user").filter(digest=_digest(text.strip())).first()
        if token is None or token.expires_at <= now or not token.user.is_active:
            raise AuthenticationFailed("This is no access token that is good here: it may have expired, been removed, or been cut.")
        needed = scope_needed(request, request.parser_context["view"])
        if needed not in token.scopes:
            raise PermissionDenied(f"This needs a token with the scope {needed}; this one has {', '.join(token.scopes)}.")
        if token.last_used_at is None or now - token.last_used_at > _NOTED_EVERY:
            AccessToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tidegate"'


def scope_needed(request: Request, view: APIView) -> str:
    """A permission may name a scope of its own (``scope``), a view that of its writes (``writes_need``)."""
    for permission in view.get_permissions():
        if scope := getattr(permission, "scope", ""):
            return str(scope)
    return "read" if request.method in SAFE_METHODS else str(getattr(view, "writes_need", "admin"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()  # of 256 random bits: nothing to make slow


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI description names it."""

    target_class = "controlplane.access_tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An access token from your account page."}
