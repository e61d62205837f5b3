"""REST: where workers ship their entries (docs/contracts.md §5), and what auditors read."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action, api_view, authentication_classes, parser_classes, permission_classes
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import exporting, services, web_exports
from audit.filters import EntryFilter
from audit.models import Checkpoint, Entry, Export
from audit.querysets import may_read
from audit.sealing import verifier_key
from audit.views import file_of
from controlplane.authentication import WorkerAuthentication
from controlplane.idempotency import Idempotent
from controlplane.models import User
from controlplane.permissions import IsWorker


class ReadsLedger(BasePermission):
    """Auditors and admins. Asking for an export is reading, whatever the method."""

    message = "This needs the role auditor or admin."
    scope = "audit"  # that a token needs, whatever the method

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, User) and may_read(request.user)


class BatchParser(BaseParser):
    """JSON of any size that a batch may have: Django's limit for forms is smaller than one large statement."""

    media_type = "application/json"
    LIMIT = 256 * 1024 * 1024  # bytes

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        content = stream.read(self.LIMIT + 1)
        if len(content) > self.LIMIT:
            raise TooLarge
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise ParseError("The batch is not JSON.") from None


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The batch is too large: send fewer entries at a time."


class BatchSerializer(serializers.Serializer):
    boot = serializers.UUIDField()
    entries = serializers.ListField(child=serializers.DictField())


@extend_schema(request=BatchSerializer, responses={200: OpenApiTypes.OBJECT, 409: OpenApiTypes.OBJECT})
@api_view(["POST"])
@parser_classes([BatchParser])
@authentication_classes([WorkerAuthentication])
@permission_classes([IsWorker])
def ingest(request: Request) -> Response:
    """Store a batch of one boot's entries, whole or not at all; the answer says up to which one the worker may forget."""
    body = request.data if isinstance(request.data, dict) else {}
    entries = body.get("entries")
    try:
        stored = services.ingest(request.user, str(body.get("boot", "")), entries if isinstance(entries, list) else [None])
    except services.BatchRefused as refusal:
        told = {"error": refusal.error, "expected": refusal.expected, "detail": refusal.detail}
        return Response(told, status=status.HTTP_409_CONFLICT)
    return Response({"acknowledged": stored})


class EntrySerializer(serializers.ModelSerializer):
    """``entry`` is the canonical text that ``hash`` covers; ``disclosures`` open its commitments."""

    worker = serializers.CharField(source="boot.worker")
    entry = serializers.CharField(source="canonical")
    disclosures = serializers.SerializerMethodField()

    class Meta:
        model = Entry
        fields = ("id", "leaf_index", "worker", "boot", "seq", "kind", "time", "hash", "entry", "disclosures")

    def get_disclosures(self, entry: Entry) -> dict[str, Any]:
        return json.loads(entry.disclosures)


class EntryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """The ledger, newest first."""

    queryset = Entry.objects.none()
    serializer_class = EntrySerializer
    permission_classes = [ReadsLedger]
    filterset_class = EntryFilter

    def get_queryset(self) -> Any:
        return Entry.objects.visible_to(self.request.user).select_related("boot")


class CheckpointSerializer(serializers.ModelSerializer):
    key = serializers.SerializerMethodField(help_text="The ledger's public key (C2SP verifier key).")

    class Meta:
        model = Checkpoint
        fields = ("size", "root", "note", "created", "key")

    def get_key(self, checkpoint: Checkpoint) -> str:
        return verifier_key()


@extend_schema(responses=CheckpointSerializer)
@api_view(["GET"])
@permission_classes([ReadsLedger])
def latest_checkpoint(request: Request) -> Response:
    """The newest signed checkpoint: keep it elsewhere, and no later export can leave out what it covers."""
    latest = Checkpoint.objects.visible_to(request.user).latest_or_none()
    if latest is None:
        raise NotFound("Nothing has been sealed yet.")
    return Response(CheckpointSerializer(latest).data)


class SelectionSerializer(serializers.Serializer):
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    subject = serializers.CharField(required=False, max_length=255)
    connection = serializers.CharField(required=False, max_length=255)
    session = serializers.CharField(required=False, max_length=64)

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(exporting.FILTERS)) if isinstance(data, dict) else []
        if unknown:  # a filter that is silently left out would export more than was asked for
            raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such filter."))
        return super().to_internal_value(data)


class ExportSerializer(serializers.ModelSerializer):
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Export
        fields = ("id", "created", "created_by", "filters", "state", "entries", "bytes", "sha256", "error")


class ExportViewSet(Idempotent, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Signed exports: ask for one, wait until it is READY, download it."""

    queryset = Export.objects.none()
    serializer_class = ExportSerializer
    permission_classes = [ReadsLedger]
    filterset_fields = ("state",)

    def get_queryset(self) -> Any:
        return Export.objects.visible_to(self.request.user).select_related("created_by")

    @extend_schema(request=SelectionSerializer, responses={202: ExportSerializer})
    def create(self, request: Request) -> Response:
        given = SelectionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        export = web_exports.ask(actor=request.user, selection=given.validated_data)
        return Response(self.get_serializer(export).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def download(self, request: Request, pk: str) -> Any:
        """The archive."""
        export = self.get_object()
        if export.state != Export.State.READY or not export.parts.exists():
            raise NotFound("This export has no file (any more).")
        return file_of(export)
