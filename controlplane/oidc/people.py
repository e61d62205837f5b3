"""The account of an identity. Its key is issuer and ``sub``; what the provider says besides is taken over at each sign-in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction

from controlplane import services
from controlplane.models import User
from controlplane.oidc.configuration import Provider
from controlplane.oidc.problems import SignInProblem


def account_of(claims: Mapping[str, Any], provider: Provider) -> User:
    """The person's account, made at the first sign-in and brought up to date at each. Raises: SignInProblem."""
    subject = str(claims["sub"])
    try:
        with transaction.atomic():
            user = User.objects.filter(oidc_issuer=provider.issuer, oidc_subject=subject).first()
            if user is None:
                user = _new(claims, provider)
            elif not user.is_active:
                raise SignInProblem("disabled", f"the account {user.username} is switched off")
            _bring_up_to_date(user, claims, provider)
    except (ValidationError, IntegrityError) as problem:
        raise SignInProblem("account", "; ".join(getattr(problem, "messages", ["made twice at once"]))) from None
    if provider.roles and not user.roles:
        raise SignInProblem("unknown", f"no group of {subject!r} gives a role")
    return user


def connect(user: User, claims: Mapping[str, Any], provider: Provider) -> None:
    """Make the identity that was just proved that of ``user``, who asked for it while signed in. Raises: SignInProblem."""
    subject = str(claims["sub"])
    user.oidc_issuer, user.oidc_subject = provider.issuer, subject
    try:
        with transaction.atomic():
            services.save(user, actor=user)
    except IntegrityError:
        raise SignInProblem("connected", f"{subject!r} became another account's at the same time") from None
    except ValidationError as problem:
        if NON_FIELD_ERRORS in problem.message_dict:  # one_person_per_identity
            raise SignInProblem("connected", f"{subject!r} is another account's") from None
        raise SignInProblem("account", "; ".join(problem.messages)) from None


def groups_in(claims: Mapping[str, Any], provider: Provider) -> frozenset[str]:
    """What the groups claim lists; one group may come as a plain text."""
    value = claims.get(provider.groups_claim) if provider.groups_claim else None
    listed = value if isinstance(value, list) else [value]
    return frozenset(item for item in listed if isinstance(item, str) and item)


def _new(claims: Mapping[str, Any], provider: Provider) -> User:
    subject = str(claims["sub"])
    if provider.roles and not _roles(claims, provider):
        raise SignInProblem("unknown", f"no group of {subject!r} gives a role")
    username = claims.get(provider.username_claim)
    username = username if isinstance(username, str) and username else subject
    if User.objects.filter(username__iexact=username).exists():
        raise SignInProblem("taken", f"{subject!r} is called {username!r}, as another account is")
    user = User(username=username, oidc_issuer=provider.issuer, oidc_subject=subject)
    user.set_unusable_password()
    return user


def _bring_up_to_date(user: User, claims: Mapping[str, Any], provider: Provider) -> None:
    """Name and address; roles and groups only where the environment says that the provider decides them."""
    for field, claim, longest in (("first_name", "given_name", 150), ("last_name", "family_name", 150)):
        if isinstance(claims.get(claim), str):
            setattr(user, field, claims[claim][:longest])
    if isinstance(claims.get("email"), str) and claims["email"] and claims.get("email_verified") is not False:
        user.email = claims["email"]
    if provider.roles:
        user.set_roles(_roles(claims, provider))
    links = {"groups": list(Group.objects.filter(name__in=groups_in(claims, provider)))} if provider.groups_claim else {}
    services.save(user, actor=f"sign-in by {provider.name}", links=links)


def _roles(claims: Mapping[str, Any], provider: Provider) -> list[str]:
    groups = groups_in(claims, provider)
    return [role for role, giving in provider.roles.items() if giving & groups]
