"""REST: where workers ship their entries (docs/contracts.md §5), and what auditors read."""

from __future__ import annotations

import json
from typing import Any

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import api_view, authentication_classes, parser_classes, permission_classes
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import services
from audit.filters import SCATTERED, EntryFilter, SessionFilter, StatementFilter
from audit.models import Checkpoint, Entry, Session, Statement
from audit.pagination import Newest, NewestOpened
from audit.querysets import may_look, may_read
from audit.sealing import verifier_key
from controlplane.authentication import WorkerAuthentication
from controlplane.models import User
from controlplane.permissions import IsWorker


class ReadsLedger(BasePermission):
    """Auditors and admins. Asking for an export is reading, whatever the method."""

    message = "This needs the role auditor or admin."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, User) and may_read(request.user)


class Looks(BasePermission):
    """Those, and who answers for a subject: the querysets say what they see."""

    message = "This needs the role auditor or admin, or a subject that you own."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, User) and may_look(request.user)


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
    pagination_class = Newest
    filter_backends = [DjangoFilterBackend]
    filterset_class = EntryFilter

    def get_queryset(self) -> Any:
        return Entry.objects.visible_to(self.request.user).select_related("boot")


class StatementSerializer(serializers.ModelSerializer):
    """One statement, what was decided and what came of it. Lists hold the beginning of its text, a statement alone all of it."""

    id = serializers.IntegerField(source="pk", read_only=True, help_text="Of the entry that recorded the intention.")
    sql = serializers.SerializerMethodField()

    class Meta:
        model = Statement
        fields = (
            "id", "time", "statement", "session", "subject", "connection", "decision", "approval", "actions", "relations", "columns",
            "masked", "rules", "sql", "outcome", "tag", "rows", "masked_cells", "sqlstate", "duration_us",
        )  # fmt: skip

    def get_sql(self, row: Statement) -> str:
        return row.beginning if isinstance(self.parent, serializers.ListSerializer) else row.sql


class StatementViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Statements, newest first. ``q`` searches in their text: words, ``begin*``, ``"exact characters"``, ``-without``."""

    queryset = Statement.objects.none()
    serializer_class = StatementSerializer
    permission_classes = [Looks]
    pagination_class = Newest
    filter_backends = [DjangoFilterBackend]
    filterset_class = StatementFilter

    @property
    def scattered(self) -> bool:
        return any(self.request.query_params.get(name) for name in SCATTERED) or not may_read(self.request.user)

    def get_queryset(self) -> Any:
        seen = Statement.objects.visible_to(self.request.user)
        return seen.defer("words") if self.action == "retrieve" else seen.listed()


class SessionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Session
        fields = (
            "id", "session", "subject", "issuer", "kind", "connection", "database", "client", "application", "run", "opened_at",
            "closed_at", "reason", "statements", "denied", "held", "failed", "rows", "masked_cells",
        )  # fmt: skip


class SessionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Client connections, newest first. Their statements: ``/audit/statements?session=…``."""

    queryset = Session.objects.none()
    serializer_class = SessionSerializer
    permission_classes = [Looks]
    pagination_class = NewestOpened
    filter_backends = [DjangoFilterBackend]
    filterset_class = SessionFilter

    def get_queryset(self) -> Any:
        return Session.objects.visible_to(self.request.user)


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
