"""What admin pages are built on: unfold's classes, or Django's own where unfold is not installed; changes through services."""

from __future__ import annotations

from typing import Any

from django import forms
from django.apps import apps
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import DateTimeField, JSONField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from controlplane import services
from controlplane.history import changes_of

BaseAdminSite: Any
PlainModelAdmin: Any
Checkboxes: Any
ManySelect: Any
PasswordInput: Any
Select: Any
Textarea: Any
TextInput: Any
AdminPasswordChangeForm: Any
UserChangeForm: Any
UserCreationForm: Any

if apps.is_installed("unfold"):
    from unfold.admin import ModelAdmin as PlainModelAdmin
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
    from unfold.sites import UnfoldAdminSite as BaseAdminSite
    from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as Checkboxes
    from unfold.widgets import UnfoldAdminPasswordWidget as PasswordInput
    from unfold.widgets import UnfoldAdminSelectMultipleWidget as ManySelect
    from unfold.widgets import UnfoldAdminSelectWidget as Select
    from unfold.widgets import UnfoldAdminTextareaWidget as Textarea
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput
else:
    from django.contrib.admin import AdminSite as BaseAdminSite
    from django.contrib.admin import ModelAdmin as PlainModelAdmin
    from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm
    from django.contrib.auth.forms import AdminUserCreationForm as UserCreationForm
    from django.forms import CheckboxSelectMultiple as Checkboxes
    from django.forms import PasswordInput, Select, Textarea, TextInput
    from django.forms import SelectMultiple as ManySelect

__all__ = [
    "AdminPasswordChangeForm",
    "BaseAdminSite",
    "Checkboxes",
    "ManySelect",
    "PasswordInput",
    "PlainModelAdmin",
    "ReadOnlyAdmin",
    "SecretTextarea",
    "Select",
    "ServiceForm",
    "ServiceModelAdmin",
    "TextInput",
    "Textarea",
    "UserChangeForm",
    "UserCreationForm",
    "show_secret",
]


class SecretTextarea(Textarea):  # type: ignore[misc]
    """For secrets of several lines; like a password, what was typed never comes back with the page."""

    def format_value(self, value: Any) -> None:
        return None


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """Checks what a model says of the objects it is linked to, before anything is saved."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        many = {relation.name for relation in self.instance._meta.many_to_many}
        services.check_links(self.instance, {name: value for name, value in cleaned.items() if name in many})
        return cleaned


class AuditedAdmin(PlainModelAdmin):  # type: ignore[misc]
    """The history of an object is what the audit has of it, whoever changed it and by which way."""

    list_per_page = 50

    def recorded_as(self, obj: Any) -> str:
        """How the audit's names of the object begin, where they change with it; empty: they are its own."""
        return ""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        page = Paginator(changes_of(obj, self.recorded_as(obj)), 25).get_page(request.GET.get("page"))
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[obj.pk])
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": f"History of {obj}", "object": obj}
        return TemplateResponse(request, "admin/tidegate_history.html", {**context, "page": page, "back": back})


class ServiceModelAdmin(AuditedAdmin):
    """Every change of the admin site is audited and published like one of the REST interface or the policy file."""

    form = ServiceForm
    warn_unsaved_form = True
    compressed_fields = False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(db_field, (ArrayField, JSONField)) and field is not None:
            field.widget.attrs["rows"] = 2 if isinstance(db_field, ArrayField) else 4
        if isinstance(db_field, DateTimeField) and field is not None:
            field.help_text = f"{field.help_text} In UTC.".strip()
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.before = services.stored_snapshot(obj)
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        self.after_links(form.instance, form, request)
        services.record_change(form.instance, before=form.before, actor=request.user)

    def after_links(self, obj: Any, form: Any, request: HttpRequest) -> None:
        """A place for what belongs to the same change."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        services.remove(obj, actor=request.user)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        with transaction.atomic():
            for obj in queryset:
                services.remove(obj, actor=request.user, publish=False)
            services.publish_bundle(actor=request.user)

    # What a service refuses becomes a message: the transaction is rolled back, and the page is shown again.

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._explained(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._explained(request, super().delete_view, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._explained(request, super().changelist_view, *args, **kwargs)

    def _explained(self, request: HttpRequest, view: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                response: HttpResponse = view(request, *args, **kwargs)
            return response
        except ValidationError as problem:
            messages.error(request, f"Nothing was changed. {' '.join(problem.messages)}")
            return HttpResponseRedirect(request.get_full_path())


class ReadOnlyAdmin(AuditedAdmin):
    """Pages to look at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def show_secret(request: HttpRequest, admin: Any, *, title: str, secret: str, hints: list[str], back: str) -> HttpResponse:
    """A page that shows a secret this once and is kept by no cache."""
    context = {**admin.admin_site.each_context(request), "opts": admin.opts, "title": title, "secret": secret, "hints": hints, "back": back}
    return TemplateResponse(request, "admin/tidegate_secret.html", context, headers={"Cache-Control": "no-store"})
