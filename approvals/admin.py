"""Admin pages: workflows are changed here, requests are only looked at."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from approvals import links, notices
from approvals.models import ApprovalRequest, BreakGlass, Delivery, ShapeApproval, Workflow
from audit.visible import one_line
from controlplane.admin_base import ReadOnlyAdmin, ServiceModelAdmin


@admin.register(Workflow)
class WorkflowAdmin(ServiceModelAdmin):
    """Notices are set by the policy file or REST: a webhook's address and secret are shown to nobody."""

    fieldsets = (
        (None, {"fields": ("name", "approver_groups", "approvers", "quorum", "exclude_owner", "step_up")}),
        ("How long", {"fields": ("hold", "max_wait", "expires")}),
        ("Without a person", {"fields": ("auto_approve_actions", "auto_approve_rows")}),
        ("If nobody answers", {"fields": ("escalate_after", "escalate_groups", "escalate_users")}),
        ("In an emergency", {"fields": ("break_glass_groups", "break_glass_users")}),
        ("More than one statement", {"fields": ("shapes",)}),
    )
    list_display = ("name", "quorum", "hold", "max_wait", "expires", "webhook")
    search_fields = ("name",)
    autocomplete_fields = (
        "approver_groups", "approvers", "escalate_groups", "escalate_users", "break_glass_groups", "break_glass_users"
    )  # fmt: skip
    actions = ("try_webhook",)

    @admin.display(boolean=True)
    def webhook(self, workflow: Workflow) -> bool:
        return "webhook" in workflow.notify

    @admin.action(description="Send a test notice to the webhook", permissions=["change"])
    def try_webhook(self, request: HttpRequest, chosen: QuerySet[Workflow]) -> None:
        for workflow in chosen:
            failure = notices.try_webhook(workflow)
            said = f"{workflow}: {failure or 'the webhook took the test notice.'}"
            self.message_user(request, said, messages.ERROR if failure else messages.SUCCESS)


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
    """Which notice went out, and why one did not. Without a user: by the workflow's webhook."""

    list_display = ("request", "kind", "user", "state", "attempts", "sent_at", "error")
    list_filter = ("state", "kind", ("user", admin.EmptyFieldListFilter))


@admin.register(ShapeApproval)
class ShapeAdmin(ReadOnlyAdmin):
    """What may run with other values; it is ended on the approvers' pages."""

    list_display = ("granted_at", "subject", "connection", "granted_by", "uses", "limit", "expires_at", "revoked_at")
    search_fields = ("subject", "connection")


@admin.register(BreakGlass)
class BreakGlassAdmin(ReadOnlyAdmin):
    """Who approved alone in an emergency, and whether somebody else has looked at it since."""

    list_display = ("at", "user", "request", "reason", "reviewed_by", "reviewed_at")
    list_filter = (("reviewed_at", admin.EmptyFieldListFilter),)
