"""What a role may do through the REST interface."""

from __future__ import annotations

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from controlplane.models import User, Worker


class AdminWritesAuditorReads(BasePermission):
    """Admins read and write; auditors read; approvers and everybody else: nothing."""

    message = "This needs the role admin; auditors may read."

    def has_permission(self, request: Request, view: object) -> bool:
        user = request.user
        if not isinstance(user, User):
            return False
        return user.has_role("admin") or (request.method in SAFE_METHODS and user.has_role("auditor"))


class IsWorker(BasePermission):
    """An enrolled proxy worker that is not revoked (see authentication.WorkerAuthentication)."""

    message = "Only an enrolled worker may call this."

    def has_permission(self, request: Request, view: object) -> bool:
        return isinstance(request.user, Worker)
