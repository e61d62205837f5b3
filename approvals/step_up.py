"""Proving, for one request, that it is really this person who says yes: by a sign-in of just now, or by a passkey.

A proof is made by the page that took the click and handed to ``services.decide``, which looks at it again. A no needs none.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from approvals.models import ApprovalRequest
from controlplane import passkeys, sessions
from controlplane.models import User

NONE, RECENT, PASSKEY = "none", "recent", "passkey"


class NotProved(Exception):
    """Why this yes does not count; for the person who gave it."""


@dataclass(frozen=True, slots=True)
class Proof:
    """``kind`` is what was proved, of which request and by whom; ``by`` is what the ledger keeps of it."""

    kind: str
    request_id: object
    user_id: int
    by: str


def asked(approval: ApprovalRequest) -> str:
    """What the request's workflow asks for."""
    return approval.workflow.step_up if approval.workflow else NONE


def matter(approval: ApprovalRequest) -> bytes:
    """What a passkey says yes to: this request, and by its binding exactly this statement."""
    return f"approve/{approval.pk}/{approval.binding}".encode()


def prove(request: HttpRequest, approval: ApprovalRequest, person: User) -> Proof | None:
    """The proof that the workflow asks for; None where it asks for none. Raises: NotProved."""
    kind = asked(approval)
    if kind == NONE:
        return None
    if not request.user.is_authenticated or request.user.pk != person.pk:
        raise NotProved("Sign in as the person whom the request was sent to.")
    if kind == RECENT:
        if not sessions.recently_proved(request):
            raise NotProved("Your sign-in is older than five minutes: confirm that it is you, then approve.")
        return Proof(kind, approval.pk, person.pk, "a fresh sign-in")
    try:
        passkey = passkeys.prove(request.session, person, matter(approval), request.POST.get("passkey", ""))
    except passkeys.PasskeyRefused as refusal:
        raise NotProved(str(refusal)) from None
    return Proof(kind, approval.pk, person.pk, f"passkey {passkey.name}")


def objection(approval: ApprovalRequest, actor: User, proof: Proof | None) -> str:
    """Why a yes does not count as it comes; empty where it does."""
    kind = asked(approval)
    if kind == NONE or (proof is not None and (proof.kind, proof.request_id, proof.user_id) == (kind, approval.pk, actor.pk)):
        return ""
    wanted = approval.workflow.get_step_up_display()
    return f"The workflow {approval.workflow_name} asks for {wanted} with each yes, which only the approver's page can take."


def context(request: HttpRequest, approval: ApprovalRequest, person: User) -> dict[str, object]:
    """What the page needs to know to ask for it."""
    kind = asked(approval)
    confirmed = kind == RECENT and sessions.recently_proved(request)
    has_passkey = kind == PASSKEY and person.passkeys.exists()
    return {"step_up": kind, "confirmed": confirmed, "has_passkey": has_passkey, "may_prove": kind == NONE or confirmed or has_passkey}
