"""What the REST interface reads and writes: names instead of numbers, and every write through services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from rest_framework import serializers

from controlplane import services
from controlplane.models import (
    ROLES,
    ApiKey,
    BundleVersion,
    Connection,
    EnrolmentToken,
    Grant,
    OidcIssuer,
    Subject,
    User,
    Worker,
    WorkerBoot,
)


class StrictSerializer(serializers.ModelSerializer[Any]):
    """A ModelSerializer that refuses what it does not know: a mistyped ``expires_at`` must not make a key that never ends."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({name: [f"There is no such field; there are {', '.join(self.fields)}."] for name in unknown})
        return super().to_internal_value(data)


class ServiceSerializer(StrictSerializer):
    """Creates and changes through :func:`controlplane.services.save`."""

    def create(self, validated_data: dict[str, Any]) -> Any:
        return self._save(self.Meta.model(), validated_data)

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        return self._save(instance, validated_data)

    def _save(self, instance: Any, values: dict[str, Any]) -> Any:
        many = {relation.name for relation in instance._meta.many_to_many}
        links = {name: values.pop(name) for name in list(values) if name in many}
        for name, value in values.items():
            setattr(instance, name, value)
        return services.save(instance, actor=self.actor, links=links)

    @property
    def actor(self) -> User:
        user: User = self.context["request"].user
        return user


def names(model: type[Any], **options: Any) -> serializers.SlugRelatedField[Any]:
    """Linked objects by name."""
    return serializers.SlugRelatedField(slug_field="name", queryset=model.objects.all(), **options)


class WorkflowField(serializers.SlugRelatedField[Any]):
    """A workflow by name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="name", **options)

    def get_queryset(self) -> Any:
        return apps.get_model("approvals", "Workflow").objects.all()


class GroupSerializer(ServiceSerializer):
    class Meta:
        model = Group
        fields = ("id", "name")


class UserSerializer(ServiceSerializer):
    roles = serializers.ListField(child=serializers.ChoiceField(choices=ROLES), required=False, help_text="admin, approver, auditor")
    groups = names(Group, many=True, required=False)
    password = serializers.CharField(write_only=True, required=False, help_text="Never given back.")

    class Meta:
        model = User
        fields = ("id", "username", "email", "first_name", "last_name", "is_active", "roles", "groups", "password", "last_login")
        fields += ("oidc_issuer", "oidc_subject")
        read_only_fields = ("last_login",)

    def validate_password(self, value: str) -> str:
        validate_password(value, self.instance if isinstance(self.instance, User) else None)
        return value

    def _save(self, instance: User, values: dict[str, Any]) -> User:
        password, roles = values.pop("password", None), values.pop("roles", None)
        if roles is not None:
            instance.set_roles(roles)
        if not instance.password:
            instance.set_unusable_password()
        with transaction.atomic():
            saved: User = super()._save(instance, values)
            if password is not None:
                services.set_user_password(saved, password=password, actor=self.actor)
        return saved


class OidcIssuerSerializer(ServiceSerializer):
    class Meta:
        model = OidcIssuer
        fields = ("id", "name", "issuer", "audience", "jwks_uri", "subject_claim", "groups_claim", "algorithms")


class SubjectSerializer(ServiceSerializer):
    owner = serializers.SlugRelatedField(slug_field="username", queryset=User.objects.all(), required=False, allow_null=True)
    groups = names(Group, many=True, required=False)
    oidc_issuer = names(OidcIssuer, required=False, allow_null=True)

    class Meta:
        model = Subject
        fields = (
            "id", "name", "kind", "owner", "groups", "oidc_issuer", "oidc_subject", "certificate_uri", "certificate_common_name", "enabled",
        )  # fmt: skip
        validators: list[Any] = []  # the model's own checks say it better


class ApiKeySerializer(StrictSerializer):
    state = serializers.CharField(read_only=True, help_text="active, expired or revoked")

    class Meta:
        model = ApiKey
        fields = ("id", "key_id", "prefix", "last_four", "state", "created_at", "created_by", "expires_at", "revoked_at")
        read_only_fields = ("key_id", "prefix", "last_four", "created_at", "created_by", "revoked_at")


class NewApiKeySerializer(ApiKeySerializer):
    """The one answer that holds the key itself."""

    key = serializers.CharField(read_only=True, help_text="Shown this once; only a verifier is kept.")

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "key")


class ConnectionSerializer(ServiceSerializer):
    password = serializers.CharField(write_only=True, required=False, allow_blank=True, help_text="Kept encrypted; never given back.")
    tls_client_key = serializers.CharField(
        write_only=True, required=False, help_text="PEM without passphrase; kept encrypted, never given back."
    )
    credential_version = serializers.IntegerField(source="credential.version", read_only=True)
    unanalyzable_workflow = WorkflowField(required=False, allow_null=True)
    opaque_workflow = WorkflowField(required=False, allow_null=True)

    class Meta:
        model = Connection
        exclude = ()

    def _save(self, instance: Connection, values: dict[str, Any]) -> Connection:
        password, client_key = values.pop("password", None), values.pop("tls_client_key", None)
        with transaction.atomic():
            saved: Connection = super()._save(instance, values)
            services.keep_secrets(saved, password=password, client_key=client_key, actor=self.actor)
            saved.credential.refresh_from_db()
        return saved


class GrantSerializer(ServiceSerializer):
    subjects = names(Subject, many=True, required=False)
    groups = names(Group, many=True, required=False)
    connections = names(Connection, many=True)

    class Meta:
        model = Grant
        fields = ("id", "subjects", "groups", "connections", "actions", "valid_from", "valid_until")


class WorkerBootSerializer(serializers.ModelSerializer[WorkerBoot]):
    class Meta:
        model = WorkerBoot
        fields = ("boot", "pid", "version", "bundle_digest", "sessions", "spool_entries", "seen_at")


class WorkerSerializer(serializers.ModelSerializer[Worker]):
    boots = WorkerBootSerializer(many=True, read_only=True)

    class Meta:
        model = Worker
        fields = ("id", "name", "enrolled_at", "revoked_at", "boots")


class EnrolmentTokenSerializer(StrictSerializer):
    state = serializers.CharField(read_only=True, help_text="waiting, used or expired")
    token = serializers.SerializerMethodField(help_text="Only in the answer to its creation.")

    class Meta:
        model = EnrolmentToken
        fields = ("id", "name", "state", "created_at", "created_by", "expires_at", "used_at", "token")
        read_only_fields = ("created_at", "created_by", "expires_at", "used_at")

    def get_token(self, item: EnrolmentToken) -> str | None:
        return getattr(item, "text", None)


class BundleVersionSerializer(serializers.ModelSerializer[BundleVersion]):
    class Meta:
        model = BundleVersion
        fields = ("serial", "digest", "created_at", "created_by")


class BundleContentSerializer(BundleVersionSerializer):
    """With the payload, which holds no secret but SCRAM verifiers."""

    class Meta(BundleVersionSerializer.Meta):
        fields = (*BundleVersionSerializer.Meta.fields, "payload")
