"""The REST interface of identities, targets and workers, for admins (and, reading, for auditors)."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane import serializers, services, workers
from controlplane.idempotency import Idempotent
from controlplane.models import ApiKey, BundleVersion, Connection, EnrolmentToken, Grant, OidcIssuer, Subject, User, Worker


class ServiceViewSet(Idempotent, viewsets.ModelViewSet[Any]):
    """Reads, and writes through services; PUT is left out, PATCH changes what is given."""

    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def perform_destroy(self, instance: Any) -> None:
        services.remove(instance, actor=self.request.user)


class GroupViewSet(ServiceViewSet):
    queryset = Group.objects.order_by("name")
    serializer_class = serializers.GroupSerializer
    filterset_fields = ("name",)
    search_fields = ("name",)


class UserViewSet(ServiceViewSet):
    queryset = User.objects.prefetch_related("groups")
    serializer_class = serializers.UserSerializer
    filterset_fields = ("username", "is_active", "is_approver", "is_auditor", "groups__name")
    search_fields = ("username", "email")

    def perform_destroy(self, instance: User) -> None:
        if instance == self.request.user:
            raise ValidationError({"non_field_errors": ["You cannot remove your own account."]})
        super().perform_destroy(instance)


class OidcIssuerViewSet(ServiceViewSet):
    queryset = OidcIssuer.objects.all()
    serializer_class = serializers.OidcIssuerSerializer
    filterset_fields = ("name", "issuer")


class SubjectViewSet(ServiceViewSet):
    queryset = Subject.objects.select_related("owner", "oidc_issuer").prefetch_related("groups")
    serializer_class = serializers.SubjectSerializer
    filterset_fields = ("name", "kind", "enabled", "owner__username", "groups__name")
    search_fields = ("name", "oidc_subject")


class KeyViewSet(Idempotent, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ApiKey]):
    """A subject's API keys: made here, shown once, revoked, never removed."""

    queryset = ApiKey.objects.none()
    serializer_class = serializers.ApiKeySerializer
    filterset_fields = ("key_id",)

    def get_queryset(self) -> Any:
        return ApiKey.objects.filter(subject=self.kwargs.get("subject_id"))

    @extend_schema(responses={201: serializers.NewApiKeySerializer})
    def create(self, request: Request, subject_id: int) -> Response:
        subject = get_object_or_404(Subject, pk=subject_id)
        given = serializers.ApiKeySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        key, text = services.create_key(subject, actor=request.user, expires_at=given.validated_data.get("expires_at"))
        key.key = text
        return Response(serializers.NewApiKeySerializer(key).data, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})

    @extend_schema(request=None, responses=serializers.ApiKeySerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, subject_id: int, pk: int) -> Response:
        key = self.get_object()
        services.revoke_key(key, actor=request.user)
        return Response(self.get_serializer(key).data)


class ConnectionViewSet(ServiceViewSet):
    queryset = Connection.objects.select_related("credential", "unanalyzable_workflow", "opaque_workflow")
    serializer_class = serializers.ConnectionSerializer
    filterset_fields = ("name", "host", "default")
    search_fields = ("name", "host", "dbname")


class GrantViewSet(ServiceViewSet):
    queryset = Grant.objects.prefetch_related("subjects", "groups", "connections")
    serializer_class = serializers.GrantSerializer
    filterset_fields = ("subjects__name", "groups__name", "connections__name")


class WorkerViewSet(Idempotent, viewsets.ReadOnlyModelViewSet[Worker]):
    queryset = Worker.objects.prefetch_related("boots")
    serializer_class = serializers.WorkerSerializer
    filterset_fields = ("name",)

    @extend_schema(request=None, responses=serializers.WorkerSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        worker = self.get_object()
        workers.revoke(worker, actor=request.user)
        return Response(self.get_serializer(worker).data)


class EnrolmentTokenViewSet(Idempotent, mixins.CreateModelMixin, viewsets.ReadOnlyModelViewSet[EnrolmentToken]):
    queryset = EnrolmentToken.objects.all()
    serializer_class = serializers.EnrolmentTokenSerializer
    filterset_fields = ("name",)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        token, text = workers.create_token(name=given.validated_data["name"], actor=request.user)
        token.text = text
        return Response(self.get_serializer(token).data, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})

    def destroy(self, request: Request, pk: int) -> Response:
        services.remove(self.get_object(), actor=request.user, publish=False)
        return Response(status=status.HTTP_204_NO_CONTENT)


class BundleVersionViewSet(viewsets.ReadOnlyModelViewSet[BundleVersion]):
    """The policies as published; one by its serial number comes with its content."""

    queryset = BundleVersion.objects.all()
    serializer_class = serializers.BundleVersionSerializer
    lookup_field = "serial"
    filterset_fields = ("digest",)

    def get_serializer_class(self) -> Any:
        return serializers.BundleContentSerializer if self.action == "retrieve" else serializers.BundleVersionSerializer
