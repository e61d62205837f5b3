"""Everything that can go wrong with a sign-in by the provider, and what the person is told. The log has the rest."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Told:
    """The page of a problem; ``{provider}`` is the provider's name."""

    status: int
    heading: str
    text: str


PROBLEMS = {
    "denied": Told(403, "You did not sign in", "{provider} says that the sign-in was refused or given up. Nothing has changed."),
    "state": Told(
        400,
        "This sign-in is too old",
        "It was begun more than ten minutes ago, in another browser, or has been used already. Begin again.",
    ),
    "provider": Told(502, "{provider} could not do it", "It answered with an error. Try again; if it stays so, tell your administrator."),
    "unreachable": Told(
        503,
        "{provider} cannot be reached",
        "Try again in a minute. Administrators can sign in with their password meanwhile.",
    ),
    "token": Told(
        403,
        "The answer of {provider} cannot be trusted",
        "It is not meant for this sign-in, so you are not signed in. Tell your administrator.",
    ),
    "stale": Told(
        403,
        "You were not asked to sign in again",
        "A fresh sign-in is needed, and {provider} answered with an older one. Sign out there, then try again.",
    ),
    "unknown": Told(
        403,
        "You have no access here",
        "{provider} knows you, but none of your groups there has a role in Tidegate. Ask an administrator for one.",
    ),
    "taken": Told(
        403,
        "Your account is not connected yet",
        "There is an account of your name here, but it is not connected with you at {provider}. "
        "Sign in with its password and connect it on your account page, or ask an administrator.",
    ),
    "connected": Told(
        403,
        "This is somebody else's already",
        "The identity at {provider} belongs to another account here. Ask an administrator.",
    ),
    "disabled": Told(403, "Your account is switched off", "It was switched off in Tidegate. Ask an administrator."),
    "account": Told(
        403,
        "Your account cannot be made",
        "What {provider} says of you does not make an account here: approvers, for example, need an e-mail address. Tell an administrator.",
    ),
}


@dataclass
class SignInProblem(Exception):
    """A sign-in that fails. ``code`` is a key of PROBLEMS; ``detail`` is for the log and holds nothing secret."""

    code: str
    detail: str = ""
    reference: str = field(default_factory=lambda: secrets.token_hex(4))  # by which the page and the log line are found again

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"
