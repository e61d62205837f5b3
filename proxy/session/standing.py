"""Whether who is connected may still be: asked when a session opens and again at every statement.

Removing a subject, revoking a key, ending a grant or the end of a token or certificate bites at the next statement, not at the next
sign-in.
"""

from __future__ import annotations

from proxy import errors
from proxy.errors import Refusal
from proxy.policy import engine
from proxy.session.state import EndSession, Identity, State


def check(state: State) -> Refusal | None:
    """``None``, or why no statement may run now.

    Raises:
        EndSession: the identity itself no longer holds.
    """
    bundle, who = state.bundle(), state.who
    if state.is_stale():
        return errors.undecidable(
            "the policy is stale: the control plane has not confirmed it for too long",
            hint="The gateway resumes by itself when the control plane answers again.",
        )
    if problem := _identity_problem(state, who):
        raise EndSession(problem, errors.identity(problem))
    state.policy()
    if why := engine.admits(bundle, who.subject, state.connection, state.now, who.groups):
        raise EndSession("not admitted", errors.identity(why))
    return None


def _identity_problem(state: State, who: Identity) -> str:
    subject = state.bundle().subject(who.subject)
    if subject is None:
        return f'subject "{who.subject}" is no longer in the policy'
    if who.expires_at is not None and state.now >= who.expires_at:
        return f"the {'certificate' if who.certificate else 'access token'} has expired"
    if who.certificate is not None:
        if subject.certificate is None or not subject.certificate.is_named(who.certificate.common_name, who.certificate.uris):
            return f'subject "{who.subject}" no longer signs in with this certificate'
    elif who.key_id:
        keys = subject.scram.live_keys(state.now) if subject.scram else ()
        if all(key.id != who.key_id for key in keys):
            return "the API key was revoked or has expired"
    elif subject.oidc is None:
        return f'subject "{who.subject}" no longer signs in with tokens'
    return ""
