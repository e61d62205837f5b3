"""Admin pages of the policy."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from controlplane.admin_base import ServiceModelAdmin
from policies.models import MaskingRule, Retention, StatementRule


@admin.register(MaskingRule)
class MaskingRuleAdmin(ServiceModelAdmin):
    fieldsets = (
        (None, {"fields": ("name", "connections", "columns", "method", "lookups")}),
        ("Cleared: who sees the real values", {"fields": ("cleared_groups", "cleared_subjects", "cleared_until")}),
    )
    list_display = ("name", "column_list", "method_name", "lookups", "cleared_until")
    list_filter = ("connections", "lookups", "cleared_groups")
    search_fields = ("name", "columns")
    autocomplete_fields = ("connections", "cleared_groups", "cleared_subjects")

    @admin.display(description="columns")
    def column_list(self, rule: MaskingRule) -> str:
        return ", ".join(rule.columns)

    @admin.display(description="method")
    def method_name(self, rule: MaskingRule) -> str:
        arguments = ", ".join(f"{name} {value}" for name, value in rule.method.items() if name != "name")
        return f"{rule.method['name']} ({arguments})" if arguments else str(rule.method["name"])


@admin.register(StatementRule)
class StatementRuleAdmin(ServiceModelAdmin):
    fields = ("name", "when", "then", "workflow", "message", "shadow")
    list_display = ("name", "conditions", "then", "workflow", "shadow")
    list_filter = ("then", "shadow", "workflow")
    list_select_related = ("workflow",)
    search_fields = ("name", "message")

    @admin.display(description="when")
    def conditions(self, rule: StatementRule) -> str:
        return "; ".join(f"{name}: {_plain(value)}" for name, value in rule.when.items()) or "always"


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@admin.register(Retention)
class RetentionAdmin(ServiceModelAdmin):
    fields = ("entries_days",)
    list_display = ("__str__",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not Retention.objects.exists()

    def save_model(self, request: HttpRequest, obj: Retention, form: Any, change: bool) -> None:
        obj.pk = 1  # one row at most
        super().save_model(request, obj, form, change)
