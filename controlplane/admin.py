"""Admin pages of people, subjects, connections, grants and workers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.http import urlencode

from controlplane import services, workers
from controlplane.admin_base import (
    AdminPasswordChangeForm,
    Checkboxes,
    PasswordInput,
    ReadOnlyAdmin,
    SecretTextarea,
    Select,
    ServiceForm,
    ServiceModelAdmin,
    TextInput,
    UserChangeForm,
    UserCreationForm,
    show_secret,
)
from controlplane.dashboard import ALIVE
from controlplane.models import (
    AccessToken,
    ApiKey,
    BundleVersion,
    Connection,
    EnrolmentToken,
    Grant,
    OidcIssuer,
    Passkey,
    Subject,
    User,
    Worker,
    WorkerBoot,
)
from proxy.sql.facts import ACTIONS

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ServiceModelAdmin):
    fields = ("name",)
    list_display = ("name", "people", "agents")
    search_fields = ("name",)

    @admin.display(description="people")
    def people(self, group: Group) -> int:
        return group.user_set.count()

    @admin.display(description="subjects")
    def agents(self, group: Group) -> int:
        return Subject.objects.filter(groups=group).count()


class UserForm(UserChangeForm, ServiceForm):  # type: ignore[misc]
    class Meta:
        model = User
        fields = "__all__"
        labels = {"is_superuser": "admin"}
        help_texts = {"is_superuser": "May change everything here and in the REST interface, and nothing in the audit."}


@admin.register(User)
class UserAdmin(ServiceModelAdmin, DjangoUserAdmin):
    form = UserForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    fieldsets = (
        (None, {"fields": ("username", "password", "email", "first_name", "last_name", "is_active")}),
        ("Roles", {"fields": ("is_superuser", "is_approver", "is_auditor")}),
        ("Groups", {"fields": ("groups",)}),
        ("Sign-in by OIDC", {"fields": ("oidc_issuer", "oidc_subject")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2")}),)
    readonly_fields = ("last_login", "date_joined")
    list_display = ("username", "email", "roles_held", "is_active", "last_login")
    list_filter = ("is_superuser", "is_approver", "is_auditor", "is_active", "groups")
    search_fields = ("username", "email", "first_name", "last_name")
    autocomplete_fields = ("groups",)
    filter_horizontal = ()

    @admin.display(description="roles")
    def roles_held(self, user: User) -> str:
        return ", ".join(user.roles) or "none"

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            before = User.objects.filter(pk=id).values_list("password", flat=True).first()
            response: HttpResponse = super().user_change_password(request, id, form_url)
            user = User.objects.filter(pk=id).first()
            if user is not None and user.password != before:
                services.record_password_change(user, actor=request.user)
        return response


class OwnThingAdmin(ServiceModelAdmin):
    """What people make for themselves on their account page; here it is only looked at, and removed when it was lost."""

    search_fields = ("user__username", "name")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Passkey)
class PasskeyAdmin(OwnThingAdmin):
    list_display = fields = ("user", "name", "created_at", "last_used_at")


@admin.register(AccessToken)
class AccessTokenAdmin(OwnThingAdmin):
    list_display = fields = ("user", "name", "scopes", "expires_at", "last_used_at")


@admin.register(OidcIssuer)
class OidcIssuerAdmin(ServiceModelAdmin):
    list_display = ("name", "issuer", "audience", "algorithms")
    search_fields = ("name", "issuer")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "algorithms":
            return _choices(db_field, OidcIssuer.ALGORITHMS)
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class KeyForm(forms.Form):
    """How long a new key is good for."""

    days = forms.TypedChoiceField(
        label="Good for",
        coerce=int,
        choices=[(30, "30 days"), (90, "90 days"), (365, "one year"), (0, "until it is revoked")],
        initial=90,
        widget=Select,
    )
    others = forms.TypedChoiceField(
        label="The keys that it has",
        coerce=int,
        choices=[(-1, "stay as they are"), (24, "end in 24 hours: time to change over"), (0, "are revoked now")],
        initial=-1,
        required=False,
        empty_value=-1,
        widget=Select,
    )


@admin.register(Subject)
class SubjectAdmin(ServiceModelAdmin):
    fieldsets = (
        (None, {"fields": ("name", "kind", "owner", "enabled", "groups", "what_it_may")}),
        ("Sign-in by API key", {"fields": ("api_keys",)}),
        ("Sign-in by OIDC token", {"fields": ("oidc_issuer", "oidc_subject")}),
        ("Sign-in by certificate", {"fields": ("certificate_uri", "certificate_common_name")}),
    )
    readonly_fields = ("api_keys", "what_it_may")
    list_display = ("name", "kind", "owner", "enabled", "group_names", "usable_keys")
    list_filter = ("kind", "enabled", "groups", "oidc_issuer")
    search_fields = ("name", "oidc_subject", "owner__username")
    autocomplete_fields = ("owner", "groups", "oidc_issuer")
    actions = ("switch_on", "switch_off")

    @admin.action(description="Switch on")
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Subject]) -> None:
        self._switch(request, queryset, enabled=True)

    @admin.action(description="Switch off: their sessions are refused at once")
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Subject]) -> None:
        self._switch(request, queryset, enabled=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Subject], *, enabled: bool) -> None:
        with transaction.atomic():
            for subject in queryset:
                subject.enabled = enabled
                services.save(subject, actor=request.user, publish=False)
            services.publish_bundle(actor=request.user)
        messages.success(request, f"Switched {len(queryset)} {'on' if enabled else 'off'}. Workers hear of it at once.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subject]:
        found: QuerySet[Subject] = super().get_queryset(request).select_related("owner").prefetch_related("groups", "keys")
        return found

    @admin.display(description="groups")
    def group_names(self, subject: Subject) -> str:
        return ", ".join(sorted(group.name for group in subject.groups.all())) or "none"

    @admin.display(description="keys")
    def usable_keys(self, subject: Subject) -> int:
        return sum(key.state == "active" for key in subject.keys.all())

    @admin.display(description="effective policy")
    def what_it_may(self, subject: Subject) -> str:
        if subject.pk is None:
            return "Save the subject first."
        page, names = reverse("admin:effective"), Connection.objects.values_list("name", flat=True)[:50]
        there = [(name, page, urlencode({"subject": subject.name, "connection": name})) for name in names]
        return format_html_join(", ", '<a class="tidegate-link" href="{1}?{2}">{0}</a>', there) or "There is no connection yet."

    @admin.display(description="API keys")
    def api_keys(self, subject: Subject) -> str:
        if subject.pk is None:
            return "Save the subject first; then create a key here."
        context = {
            "subject": subject,
            "keys": subject.keys.all(),
            "create": reverse("admin:controlplane_subject_create_key", args=[subject.pk]),
            "all": f"{reverse('admin:controlplane_apikey_changelist')}?subject__id__exact={subject.pk}",
        }
        return render_to_string("admin/tidegate_keys.html", context)

    def get_urls(self) -> list[Any]:
        create = path("<int:pk>/create-key/", self.admin_site.admin_view(self.create_key), name="controlplane_subject_create_key")
        return [create, *super().get_urls()]

    def create_key(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks how long the key is good for; the answer to the POST is the one page that shows it."""
        subject = get_object_or_404(Subject, pk=pk)
        form = KeyForm(request.POST or None)
        back = reverse("admin:controlplane_subject_change", args=[pk])
        if request.method == "POST" and form.is_valid():
            days = form.cleaned_data["days"]
            expires = timezone.now() + timedelta(days=days) if days else None
            others = form.cleaned_data["others"]
            if others >= 0:
                key, text = services.replace_keys(subject, actor=request.user, expires_at=expires, others_end_in=others)
            else:
                key, text = services.create_key(subject, actor=request.user, expires_at=expires)
            ends = f"{key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "it is revoked"
            hints = [f"Agents connect with user={subject} and this key as password.", f"Its id is {key.key_id}; it is good until {ends}."]
            return show_secret(request, self, title=f"New API key of {subject}", secret=text, hints=hints, back=back)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": f"Create an API key for {subject}", "form": form}
        return TemplateResponse(request, "admin/tidegate_form.html", {**context, "button": "Create the key", "back": back})


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "subject", "key_id", "state", "created_at", "created_by", "expires_at", "revoked_at")
    list_filter = ("subject", "created_at", "expires_at")
    list_select_related = ("subject",)
    search_fields = ("key_id", "subject__name", "prefix", "last_four")
    fields = ("subject", "key_id", "prefix", "last_four", "state", "created_at", "created_by", "expires_at", "revoked_at")
    actions = ("revoke",)

    @admin.action(description="Revoke the chosen keys")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            services.revoke_key(key, actor=request.user)
        messages.success(request, f"Revoked {len(queryset)}. Workers hear of it at once.")


class ConnectionForm(ServiceForm):
    password = forms.CharField(
        required=False,
        strip=False,
        widget=PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Kept encrypted, given to enrolled workers only. Empty: stays as it is.",
    )
    tls_client_key = forms.CharField(
        label="Client certificate's key",
        required=False,
        widget=SecretTextarea,
        help_text="PEM without passphrase. Kept encrypted, given to enrolled workers only. Empty: stays as it is.",
    )


@admin.register(Connection)
class ConnectionAdmin(ServiceModelAdmin):
    form = ConnectionForm
    fieldsets = (
        (None, {"fields": ("name", "host", "port", "dbname", "databases", "structure")}),
        ("Sign-in at the target", {"fields": ("user", "password", "tls_mode", "tls_ca", "tls_client_cert", "tls_client_key")}),
        (
            "Where no rule speaks",
            {
                "fields": (
                    "default",
                    ("unanalyzable", "unanalyzable_workflow"),
                    ("opaque_functions", "opaque_workflow"),
                    "trusted_functions",
                    "derived_use",
                    "detectors",
                )
            },
        ),
        (
            "Limits and evidence",
            {
                "fields": (
                    ("max_sessions", "max_sessions_per_subject"),
                    ("statement_timeout_ms", "idle_timeout"),
                    "max_rows",
                    "row_evidence",
                )
            },
        ),
    )
    list_display = ("name", "host", "port", "dbname", "tls_mode", "default", "unanalyzable")
    list_filter = ("default", "tls_mode", "unanalyzable")
    search_fields = ("name", "host", "dbname")
    readonly_fields = ("structure",)

    @admin.display(description="read by workers")
    def structure(self, connection: Connection) -> str:
        """A worker that could read what the databases contain has reached them with what is set here."""
        told = connection.catalogs.all() if connection.pk else []
        lines = [(item.database, f"{item.confirmed_at:%Y-%m-%d %H:%M}", item.worker) for item in told]
        return format_html_join(", ", "{} at {} UTC by {}", lines) or "Not yet: a worker reaches it when the first session opens."

    def after_links(self, obj: Connection, form: Any, request: HttpRequest) -> None:
        services.ensure_credential(obj)
        given = {"password": form.cleaned_data["password"] or None, "client_key": form.cleaned_data["tls_client_key"] or None}
        services.keep_secrets(obj, **given, actor=request.user, publish=False)


@admin.register(Grant)
class GrantAdmin(ServiceModelAdmin):
    fieldsets = (
        ("To whom", {"fields": ("groups", "subjects")}),
        ("What and where", {"fields": ("connections", "actions")}),
        ("When", {"fields": ("valid_from", "valid_until")}),
    )
    list_display = ("to_whom", "where", "what", "valid_from", "valid_until")
    list_filter = ("connections", "groups")
    search_fields = ("subjects__name", "groups__name", "connections__name")
    autocomplete_fields = ("groups", "subjects", "connections")

    def recorded_as(self, grant: Grant) -> str:
        return f"grant {grant.pk}: "

    def get_queryset(self, request: HttpRequest) -> QuerySet[Grant]:
        found: QuerySet[Grant] = super().get_queryset(request).prefetch_related("groups", "subjects", "connections")
        return found

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "actions":
            return _choices(db_field, sorted(ACTIONS))
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description="to")
    def to_whom(self, grant: Grant) -> str:
        return ", ".join([f"group {group}" for group in grant.groups.all()] + [str(subject) for subject in grant.subjects.all()])

    @admin.display(description="on")
    def where(self, grant: Grant) -> str:
        return ", ".join(str(item) for item in grant.connections.all())

    @admin.display(description="actions")
    def what(self, grant: Grant) -> str:
        return ", ".join(grant.actions)


def _choices(db_field: Any, names: Any) -> forms.Field:
    return forms.MultipleChoiceField(
        choices=[(name, name) for name in names], widget=Checkboxes, help_text=db_field.help_text, label=db_field.verbose_name.capitalize()
    )


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "id", "is_active", "processes", "sessions", "last_seen", "enrolled_at", "revoked_at")
    list_filter = ("enrolled_at", "revoked_at")
    search_fields = ("name", "id")
    fields = ("name", "id", "public_key", "enrolled_at", "revoked_at")
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        found: QuerySet[Worker] = super().get_queryset(request).prefetch_related("boots")
        return found

    def _running(self, worker: Worker) -> list[WorkerBoot]:
        return [boot for boot in worker.boots.all() if boot.seen_at > timezone.now() - ALIVE]

    @admin.display(description="active", boolean=True)
    def is_active(self, worker: Worker) -> bool:
        return worker.revoked_at is None

    @admin.display(description="processes")
    def processes(self, worker: Worker) -> int:
        return len(self._running(worker))

    @admin.display(description="sessions")
    def sessions(self, worker: Worker) -> int:
        return sum(boot.sessions for boot in self._running(worker))

    @admin.display(description="last seen")
    def last_seen(self, worker: Worker) -> Any:
        return max((boot.seen_at for boot in worker.boots.all()), default=None)

    @admin.action(description="Revoke the chosen workers")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        for worker in queryset:
            workers.revoke(worker, actor=request.user)
        messages.warning(request, "Revoked. A revoked worker knew the targets' passwords: change them if its host is not trusted any more.")


@admin.register(EnrolmentToken)
class EnrolmentTokenAdmin(ServiceModelAdmin):
    fields = ("name",)
    list_display = ("name", "state", "created_at", "created_by", "expires_at", "used_at")
    list_filter = ("created_at", "used_at")
    search_fields = ("name",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Asks what the token is for; the answer to the POST is the one page that shows it."""
        form, back = TokenForm(request.POST or None), reverse("admin:controlplane_enrolmenttoken_changelist")
        if request.method == "POST" and form.is_valid():
            try:
                token, text = workers.create_token(name=form.cleaned_data["name"], actor=request.user)
            except ValidationError as problem:
                form.add_error("name", problem.messages)
            else:
                ends = f"It enrols one worker until {token.expires_at:%Y-%m-%d %H:%M} UTC."
                hints = ["Start the worker with it as TIDEGATE_ENROL_TOKEN.", ends]
                return show_secret(request, self, title="New enrolment token", secret=text, hints=hints, back=back)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Invite a worker", "form": form}
        return TemplateResponse(request, "admin/tidegate_form.html", {**context, "button": "Create the token", "back": back})


class TokenForm(forms.Form):
    name = forms.CharField(max_length=63, widget=TextInput, help_text="What the token is for, e.g. the host's name.")


@admin.register(BundleVersion)
class BundleVersionAdmin(ReadOnlyAdmin):
    list_display = ("serial", "short_digest", "created_at", "created_by")
    list_filter = ("created_at",)
    search_fields = ("digest", "created_by")
    fields = ("serial", "digest", "created_at", "created_by", "payload")

    @admin.display(description="Digest", ordering="digest")
    def short_digest(self, version: BundleVersion) -> str:
        return f"{version.digest[:12]}…"
