"""Admin pages: workflows are changed here, requests are only looked at."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from approvals import links
from approvals.models import ApprovalRequest, Delivery, Workflow
from audit.visible import one_line
from controlplane.admin_base import ReadOnlyAdmin, ServiceModelAdmin


@admin.register(Workflow)
class WorkflowAdmin(ServiceModelAdmin):
    """Notices are set by the policy file or REST: a webhook's address and secret are shown to nobody."""

    fieldsets = (
        (None, {"fields": ("name", "approver_groups", "approvers", "quorum", "step_up")}),
        ("How long", {"fields": ("hold", "max_wait", "expires")}),
        ("Kept, not enforced yet", {"fields": ("escalate", "auto_approve")}),
    )
    list_display = ("name", "quorum", "hold", "max_wait", "expires")
    search_fields = ("name",)
    autocomplete_fields = ("approver_groups", "approvers")


@admin.register(ApprovalRequest)
class RequestAdmin(ReadOnlyAdmin):
    """Only approvers decide, on their own pages: the role admin is no way around them."""

    list_display = ("requested_at", "subject", "connection", "workflow_name", "state", "statement_line")
    list_filter = ("state", "workflow_name", "connection")
    search_fields = ("subject", "connection", "sql")
    date_hierarchy = "requested_at"
    fields = ("page", "state", "subject", "connection", "workflow_name", "requested_at", "expires_at", "decided_at", "comment")

    @admin.display(description="statement")
    def statement_line(self, request: ApprovalRequest) -> str:
        return one_line(request.sql, 100)

    @admin.display(description="all of it")
    def page(self, request: ApprovalRequest) -> SafeString:
        return format_html('<a href="{}">{}</a>', links.request_url(request.pk), request.pk)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Which approver's e-mail went out, and why one did not."""

    list_display = ("request", "user", "state", "attempts", "sent_at", "error")
    list_filter = ("state",)
