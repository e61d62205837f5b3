"""Who may answer a request: active people with the role approver whom its workflow names, but never whoever asked."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from approvals.models import ApprovalRequest, Workflow
from controlplane.models import Subject, User


def members(workflow: Workflow | None) -> QuerySet[User]:
    """The people a workflow names, themselves or by a group; those who could not act anyway are left out."""
    if workflow is None:
        return User.objects.none()
    named = Q(approval_workflows=workflow) | Q(groups__approval_workflows=workflow)
    chosen = User.objects.filter(named).values("pk")
    return User.objects.filter(is_active=True, is_approver=True, pk__in=chosen).order_by("username")


def eligible(request: ApprovalRequest) -> list[User]:
    """The members of the request's workflow who did not ask for it themselves."""
    subject = _subject(request)
    return [user for user in members(request.workflow) if not _is_requester(subject, user)]


def objection(request: ApprovalRequest, user: User) -> str:
    """Why this person may not answer this request; empty when they may."""
    if not user.is_active or not members(request.workflow).filter(pk=user.pk).exists():
        return "You are not an approver of this workflow."
    subject = _subject(request)
    if subject is None:
        return f"The subject {request.subject} no longer exists, so nobody can say who asked."
    if _is_requester(subject, user):
        return "You are who asked, and nobody approves their own request."
    return ""


def _subject(request: ApprovalRequest) -> Subject | None:
    return Subject.objects.filter(name=request.subject).first()


def _is_requester(subject: Subject | None, user: User) -> bool:
    """Whether the person is who asked: of the same name, or the owner of a human's subject. An unknown subject could be anybody's.

    The owner of an agent did not ask: they answer for it, so their yes is just what a workflow may want.
    """
    if subject is None:
        return True
    names = {name.casefold() for name in (user.username, user.email, user.oidc_subject) if name}
    theirs = {name.casefold() for name in (subject.name, subject.oidc_subject) if name}
    owns_it = subject.kind == "human" and subject.owner_id == user.pk
    return owns_it or bool(names & theirs)
