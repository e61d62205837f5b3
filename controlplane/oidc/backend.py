"""mozilla-django-oidc's backend: its code exchange, with our checks of what comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from controlplane.models import User
from controlplane.oidc import id_token, people
from controlplane.oidc import provider as kept
from controlplane.oidc.problems import SignInProblem


@dataclass(frozen=True, slots=True)
class Proved:
    """What a sign-in proved besides who it is; ``at`` is ``auth_time``, None where the provider does not tell."""

    at: int | None
    id_token: str = field(repr=False)


def setting(name: str, *default: Any) -> Any:
    """The library's settings, where they come from our own."""
    return kept.configured().scopes if name == "OIDC_RP_SCOPES" else getattr(settings, name, *default)


@contextmanager
def _answers() -> Iterator[None]:
    """What a request to the provider may end in, as problems: the errors' own messages quote answers that must not be logged."""
    try:
        yield
    except requests.HTTPError as problem:
        status = problem.response.status_code if problem.response is not None else "?"
        raise SignInProblem("provider", f"it refused the code or token with status {status}") from None
    except ValueError:  # before RequestException: requests' error for JSON is both
        raise SignInProblem("provider", "an answer that is no JSON") from None
    except requests.RequestException as problem:
        raise SignInProblem("unreachable", type(problem).__name__) from None


def _object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise SignInProblem("provider", "an answer that is no JSON object")
    return answer


class Backend(OIDCAuthenticationBackend):
    """``authenticate(request, nonce=…, code_verifier=…)``. Where the request has a ``connect``, that account is given the identity.

    Raises SignInProblem where the library would answer None or leave an exception of its own to nobody.
    """

    get_settings = staticmethod(setting)

    def __init__(self) -> None:  # not the library's: addresses come by discovery, and a password must not wait for that
        self.UserModel = get_user_model()

    @property
    def OIDC_RP_CLIENT_ID(self) -> str:
        return kept.configured().client_id

    @property
    def OIDC_RP_CLIENT_SECRET(self) -> str:
        return kept.configured().client_secret

    @property
    def OIDC_OP_TOKEN_ENDPOINT(self) -> str:
        return kept.endpoint("token_endpoint")

    @property
    def OIDC_OP_USER_ENDPOINT(self) -> str:
        return kept.endpoint("userinfo_endpoint")

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        if request is None or "nonce" not in credentials:
            return None  # a password: not ours
        user: User | None = super().authenticate(request, **credentials)
        return user

    def get_token(self, payload: dict[str, Any]) -> dict[str, Any]:
        with _answers():
            return _object(super().get_token(payload))

    def verify_token(self, token: Any, **asked: Any) -> dict[str, Any]:
        return id_token.verify(token, provider=kept.configured(), nonce=asked.get("nonce") or "", now=time.time())

    def store_tokens(self, access_token: str, id_token: str) -> None:
        """Not yet: the session in which the sign-in began may be another person's."""

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        if not self.OIDC_OP_USER_ENDPOINT:
            return {"sub": payload["sub"]}
        with _answers():
            return _object(super().get_userinfo(access_token, id_token, payload))

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> User:
        told = self.get_userinfo(access_token, id_token, payload)
        if told.get("sub") != payload["sub"]:  # OpenID Connect Core 1.0 §5.3.2
            raise SignInProblem("token", "the userinfo is another person's")
        claims = told | payload
        user: User | None = getattr(self.request, "connect", None)
        if user is None:
            user = people.account_of(claims, kept.configured())
        else:
            people.connect(user, claims, kept.configured())
        at = payload.get("auth_time")
        user.proved = Proved(at=int(at) if isinstance(at, (int, float)) else None, id_token=id_token)
        return user

    def get_user(self, user_id: Any) -> User | None:
        found: User | None = ModelBackend.get_user(self, user_id)  # None for an account that was switched off meanwhile
        return found
