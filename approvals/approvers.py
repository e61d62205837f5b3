"""Who may answer a request: active people with the role approver whom its workflow names, but never whoever asked."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from approvals.models import ApprovalRequest, Vote, Workflow
from controlplane.models import Subject, User


def members(workflow: Workflow | None, *, escalated: bool = False) -> QuerySet[User]:
    """The people a workflow names, themselves or by a group; those who could not act anyway are left out.

    ``escalated``: with those who are asked later.
    """
    return _people(workflow, "approval_workflows", *(["escalation_workflows"] if escalated else []))


def eligible(request: ApprovalRequest, *, escalated: bool | None = None) -> list[User]:
    """The people who may answer the request now (or would, if it were escalated) and did not ask for it themselves."""
    wider = request.escalated_at is not None if escalated is None else escalated
    subject = _subject(request)
    return [user for user in members(request.workflow, escalated=wider) if not _excluded(request, subject, user)]


def counted(request: ApprovalRequest) -> list[Vote]:
    """The yeses that count: of people who may still answer. Who lost the role after their yes does not."""
    return list(request.votes.filter(approve=True, user__in=eligible(request)).select_related("user"))


def objection(request: ApprovalRequest, user: User) -> str:
    """Why this person may not answer this request; empty when they may."""
    people = members(request.workflow, escalated=request.escalated_at is not None)
    return _objection(request, user, people, "You are not an approver of this workflow.")


def break_glass_objection(request: ApprovalRequest, user: User) -> str:
    """Why this person may not approve this request alone; empty when they may."""
    people = _people(request.workflow, "break_glass_workflows")
    return _objection(request, user, people, "You are not among those who may break glass in this workflow.")


def review_objection(request: ApprovalRequest, user: User) -> str:
    """Why this person may not review that somebody approved this request alone; empty when they may."""
    if not user.has_role("approver") or not ApprovalRequest.objects.visible_to(user).filter(pk=request.pk).exists():
        return "You are not an approver of this workflow."
    if request.break_glass.user_id == user.pk:
        return "You broke the glass yourself: somebody else reviews it."
    subject = _subject(request)
    return _excluded(request, subject, user) if subject else ""


def alarmed(request: ApprovalRequest) -> QuerySet[User]:
    """Who hears when somebody approves alone: every approver of the workflow, everybody who may do the same, and the admins."""
    named = _people(request.workflow, "approval_workflows", "escalation_workflows", "break_glass_workflows")
    return User.objects.filter(Q(pk__in=named.values("pk")) | Q(is_superuser=True, is_active=True)).order_by("username")


def _people(workflow: Workflow | None, *relations: str) -> QuerySet[User]:
    if workflow is None:
        return User.objects.none()
    named = Q()
    for relation in relations:
        named |= Q(**{relation: workflow}) | Q(**{f"groups__{relation}": workflow})
    chosen = User.objects.filter(named).values("pk")
    return User.objects.filter(is_active=True, is_approver=True, pk__in=chosen).order_by("username")


def _objection(request: ApprovalRequest, user: User, people: QuerySet[User], otherwise: str) -> str:
    if not user.is_active or not people.filter(pk=user.pk).exists():
        return otherwise
    return _excluded(request, _subject(request), user)


def _subject(request: ApprovalRequest) -> Subject | None:
    return Subject.objects.filter(name=request.subject).first()


def _excluded(request: ApprovalRequest, subject: Subject | None, user: User) -> str:
    """Why somebody whom the workflow names may yet not answer: because of who asked. An unknown subject could be anybody's."""
    if subject is None:
        return f"The subject {request.subject} no longer exists, so nobody can say who asked."
    if _is_requester(subject, user):
        return "You are who asked, and nobody approves their own request."
    if request.workflow is not None and request.workflow.exclude_owner and subject.owner_id == user.pk:
        return f"You answer for {subject.name}, and in this workflow somebody else decides on what it asks."
    return ""


def _is_requester(subject: Subject, user: User) -> bool:
    """Whether the person is who asked: of the same name, or the owner of a human's subject.

    The owner of an agent did not ask: they answer for it, so their yes is just what a workflow may want (or not: ``exclude_owner``).
    """
    names = {name.casefold() for name in (user.username, user.email, user.oidc_subject) if name}
    theirs = {name.casefold() for name in (subject.name, subject.oidc_subject) if name}
    owns_it = subject.kind == "human" and subject.owner_id == user.pk
    return owns_it or bool(names & theirs)
