"""Admin pages of the policy, and its tools."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe

from controlplane import catalogs, services
from controlplane.admin_base import ServiceModelAdmin
from controlplane.admin_site import Tool
from controlplane.models import CatalogSnapshot
from policies import views
from policies.effective import covered
from policies.forms import TrialForm
from policies.models import MaskingRule, Retention, StatementRule
from policies.rule_forms import CONDITION_FIELDS, METHOD_ARGUMENTS, MaskingRuleForm, StatementRuleForm

site: Any = admin.site
_TRY = "What would be decided, masked and sent, before anybody sends it."
_WHAT_IF = "Which recorded statements a draft of the policy would treat differently."
site.add_tool(Tool("try/", "try", "Try a statement", _TRY, "science", views.try_statement))
_EFFECTIVE = "Grants, rules, masks, limits and keys of one subject on one connection."
_WHO = "Who sees a column unmasked, and who may do something."
site.add_tool(Tool("effective/", "effective", "Effective policy", _EFFECTIVE, "fact_check", views.effective_policy))
site.add_tool(Tool("who/", "who", "Who can", _WHO, "person_search", views.who))
site.add_tool(Tool("what-if/", "what-ifs", "What if", _WHAT_IF, "compare_arrows", views.what_ifs))
site.add_tool(Tool("what-if/<uuid:pk>/", "what-if", "What if", _WHAT_IF, "compare_arrows", views.what_if_result, listed=False))


class TestedRuleAdmin(ServiceModelAdmin):
    """Rules with "Test this rule" in their forms."""

    change_form_template = "admin/policies/change_form.html"

    def get_urls(self) -> list[Any]:
        view, name = self.admin_site.admin_view(self.try_view), f"policies_{self.opts.model_name}_test"
        return [path("add/test/", view, name=f"{name}_new"), path("<int:pk>/change/test/", view, name=name), *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> HttpResponse:
        obj = options.get("obj")
        name = f"admin:policies_{self.opts.model_name}_test"
        context |= {
            "trial_form": TrialForm(prefix="try"),
            "trial_address": reverse(name, args=[obj.pk]) if obj else reverse(f"{name}_new"),
        }
        answer: HttpResponse = super().render_change_form(request, context, *args, **options)
        return answer

    def try_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Try a statement with the rule as it stands in the form."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        rule = get_object_or_404(self.model, pk=pk) if pk else self.model()
        form = self.get_form(request, rule if pk else None, change=bool(pk))(request.POST, instance=rule)
        base = f"admin:policies_{self.opts.model_name}"
        return views.draft_tested(request, form, reverse(f"{base}_change", args=[pk]) if pk else reverse(f"{base}_add"))


@admin.register(MaskingRule)
class MaskingRuleAdmin(TestedRuleAdmin):
    form = MaskingRuleForm
    fieldsets = (
        (None, {"fields": ("name", "connections", "columns", "covers")}),
        ("How it is masked", {"fields": ("method_name", "first", "last", "to", "text", "lookups")}),
        ("Cleared: who sees the real values", {"fields": ("cleared_groups", "cleared_subjects", "cleared_until")}),
    )
    conditional_fields = {  # of unfold: arguments are shown where their method is chosen
        name: f"method_name == '{method}'" for method, names in METHOD_ARGUMENTS.items() for name in names
    }
    list_display = ("name", "column_list", "method_name", "lookups", "cleared_until")
    list_filter = ("connections", "lookups", "cleared_groups")
    search_fields = ("name", "columns")
    autocomplete_fields = ("connections", "cleared_groups", "cleared_subjects")

    readonly_fields = ("covers",)

    @admin.display(description="covers now")
    def covers(self, rule: MaskingRule) -> str:
        """What the saved patterns match in the databases that workers have told of."""
        if rule.pk is None:
            return "Save the rule, or test it below, to see the columns that its patterns match."
        chosen = rule.connections.all()
        told = CatalogSnapshot.objects.filter(connection__in=chosen) if chosen else CatalogSnapshot.objects.all()
        found = [(str(item), covered(rule.columns, catalogs.columns_of(item))) for item in told[:10]]
        lines = [
            (name, ", ".join(columns[:30]) or "nothing", "" if len(columns) <= 30 else f" and {len(columns) - 30} more")
            for name, columns in found
        ]
        return format_html_join(mark_safe("<br>"), "{}: {}{}", lines) or "No worker has told yet which columns there are."

    @admin.display(description="columns")
    def column_list(self, rule: MaskingRule) -> str:
        return ", ".join(rule.columns)

    @admin.display(description="method")
    def method_name(self, rule: MaskingRule) -> str:
        name = str(rule.method["name"])
        arguments = ", ".join(f"{argument} {rule.method[argument]}" for argument in METHOD_ARGUMENTS.get(name, ()))
        return f"{name} ({arguments})" if arguments else name


@admin.register(StatementRule)
class StatementRuleAdmin(TestedRuleAdmin):
    form = StatementRuleForm
    fieldsets = (
        (None, {"fields": ("name", "then", "workflow", "message", "shadow")}),
        ("When it does this", {"fields": CONDITION_FIELDS[:4]}),
        ("… in this way", {"fields": CONDITION_FIELDS[7:12]}),
        ("… by whom, where and when", {"fields": (*CONDITION_FIELDS[4:7], *CONDITION_FIELDS[12:14], CONDITION_FIELDS[14:])}),
    )
    list_display = ("name", "conditions", "then", "workflow", "shadow")
    list_filter = ("then", "shadow", "workflow")
    list_select_related = ("workflow",)
    search_fields = ("name", "message")
    actions = ("enforce", "put_in_shadow")

    @admin.action(description="Enforce")
    def enforce(self, request: HttpRequest, queryset: QuerySet[StatementRule]) -> None:
        self._shadow(request, queryset, shadow=False)

    @admin.action(description="Put in shadow: recorded, not enforced")
    def put_in_shadow(self, request: HttpRequest, queryset: QuerySet[StatementRule]) -> None:
        self._shadow(request, queryset, shadow=True)

    def _shadow(self, request: HttpRequest, queryset: QuerySet[StatementRule], *, shadow: bool) -> None:
        with transaction.atomic():
            for rule in queryset:
                rule.shadow = shadow
                services.save(rule, actor=request.user, publish=False)
            services.publish_bundle(actor=request.user)
        messages.success(request, f"{len(queryset)} {'in shadow' if shadow else 'enforced'}. Workers hear of it at once.")

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
