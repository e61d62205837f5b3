"""The content security policy, with the one exception that the admin site's scripts need."""

from __future__ import annotations

from csp.constants import UNSAFE_EVAL
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase


class ContentSecurityPolicy(CSPMiddleware):
    """Nothing inline anywhere; ``eval`` under /admin/ only, where Alpine.js compiles the attributes of unfold's templates."""

    def get_policy_parts(self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.path_info.startswith("/admin/") and not report_only:
            parts.update = {**(parts.update or {}), "script-src": [UNSAFE_EVAL]}
        return parts
