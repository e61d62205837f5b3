"""REST: reports, those that people saved, and the files that leave the server."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from audit import exporting, services, web_exports
from audit.api import ReadsLedger
from audit.filters import is_scattered
from audit.models import MEDIA_TYPES, Export, SavedReport
from audit.pagination import Newest
from audit.report_views import FORMATS, file_of
from audit.reports import REPORTS, Report
from controlplane.idempotency import Idempotent

KINDS = sorted(REPORTS)
_FILTERS = sorted({name for report in REPORTS.values() for name in report.filters.base_filters})


class SelectionSerializer(serializers.Serializer):
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    subject = serializers.CharField(required=False, max_length=255)
    connection = serializers.CharField(required=False, max_length=255)
    session = serializers.CharField(required=False, max_length=64)
    statement = serializers.CharField(required=False, max_length=64)

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(exporting.FILTERS)) if isinstance(data, dict) else []
        if unknown:  # a filter that is silently left out would export more than was asked for
            raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such filter."))
        return super().to_internal_value(data)


class ReportFileSerializer(serializers.Serializer):
    """A report's file: its kind, its format, and the parameters of that kind (``GET /audit/reports/{kind}`` takes the same)."""

    report = serializers.ChoiceField(choices=KINDS)
    format = serializers.ChoiceField(choices=FORMATS)
    parameters = serializers.DictField(child=serializers.CharField(), required=False, default=dict)


class ExportSerializer(serializers.ModelSerializer):
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Export
        fields = (
            "id", "created", "created_by", "report", "format", "filters", "state", "progress", "entries", "bytes", "sha256", "error",
        )  # fmt: skip


class ExportViewSet(Idempotent, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Signed exports: ask for one, wait until it is READY, download it."""

    queryset = Export.objects.none()
    serializer_class = ExportSerializer
    permission_classes = [ReadsLedger]
    filterset_fields = ("state", "report", "format")

    def get_queryset(self) -> Any:
        return Export.objects.visible_to(self.request.user).select_related("created_by")

    @extend_schema(request=SelectionSerializer, responses={202: ExportSerializer})
    def create(self, request: Request) -> Response:
        given = SelectionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        export = web_exports.ask(actor=request.user, selection=given.validated_data)
        return Response(self.get_serializer(export).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=ReportFileSerializer, responses={202: ExportSerializer})
    @action(detail=False, methods=["post"])
    def report(self, request: Request) -> Response:
        """A report as CSV, Parquet or PDF: ask for it, wait until it is READY, download it."""
        given = ReportFileSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        report = REPORTS[given.validated_data["report"]]
        parameters = _parameters(report, given.validated_data["parameters"], request)
        export = web_exports.ask_report(
            actor=request.user, kind=report.kind, form=given.validated_data["format"], parameters=parameters
        )  # fmt: skip
        return Response(self.get_serializer(export).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses={(200, media): OpenApiTypes.BINARY for media in MEDIA_TYPES.values()})
    @action(detail=True, methods=["get"])
    def download(self, request: Request, pk: str) -> Any:
        """The file."""
        export = self.get_object()
        if export.state != Export.State.READY or not export.parts.exists():
            raise NotFound("This export has no file (any more).")
        return file_of(export)


class ReportSerializer(serializers.Serializer):
    """A kind of report: its columns, and what can be chosen."""

    kind = serializers.CharField()
    title = serializers.CharField()
    about = serializers.CharField()
    columns = serializers.ListField(child=serializers.CharField())
    parameters = serializers.SerializerMethodField()

    def get_parameters(self, report: Report) -> list[str]:
        return list(report.filters.base_filters)


class ReportLinesSerializer(serializers.Serializer):
    """A page of lines; each line's members are the report's columns."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = serializers.ListField(child=serializers.DictField(child=serializers.JSONField()))


class ReportViewSet(viewsets.GenericViewSet):
    """Reports, whose lines come in pages, newest first."""

    permission_classes = [ReadsLedger]
    pagination_class = None  # the kinds are few; the lines have pages of their own
    lookup_field = "kind"
    filter_backends: list[Any] = []
    serializer_class = ReportSerializer

    @extend_schema(responses=ReportSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The kinds of reports."""
        return Response(ReportSerializer(list(REPORTS.values()), many=True).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=KINDS),
            *[OpenApiParameter(name, str) for name in (*_FILTERS, "before", "after", "page_size")],
        ],
        responses=ReportLinesSerializer,
    )
    def retrieve(self, request: Request, kind: str) -> Response:
        """A page of a report's lines: an object for each, whose members are the report's columns."""
        report = REPORTS.get(kind)
        if report is None:
            raise NotFound("There is no such report.")
        parameters = {name: request.query_params[name] for name in request.query_params if name not in ("before", "after", "page_size")}
        _parameters(report, parameters, request)
        chosen = report.chosen(parameters, request.user)
        pages = Newest()
        rows = pages.paginate_queryset(chosen.qs, request, self, scattered=is_scattered(chosen))
        return pages.get_paginated_response([dict(zip(report.columns, line, strict=True)) for line in report.lines(rows)])


class SavedReportSerializer(serializers.ModelSerializer):
    owner = serializers.SlugRelatedField(slug_field="username", read_only=True)
    report = serializers.ChoiceField(choices=KINDS)
    parameters = serializers.DictField(child=serializers.CharField(), required=False, default=dict)

    class Meta:
        model = SavedReport
        fields = ("id", "name", "owner", "report", "parameters", "shared", "created")
        read_only_fields = ("created",)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        return given | {"parameters": _parameters(REPORTS[given["report"]], given["parameters"], self.context["request"])}


class SavedReportViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet):
    """Reports with their parameters: one's own, and those that others share. Only their owner replaces or deletes them."""

    queryset = SavedReport.objects.none()
    serializer_class = SavedReportSerializer
    permission_classes = [ReadsLedger]
    filterset_fields = ("report", "shared")

    def get_queryset(self) -> Any:
        user = self.request.user
        found = SavedReport.objects.changeable_by(user) if self.action == "destroy" else SavedReport.objects.visible_to(user)
        return found.select_related("owner")

    def create(self, request: Request) -> Response:
        """Save a report; one of the same name of the same person is replaced."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        saved = services.save_report(actor=request.user, **{"shared": False, **given.validated_data})
        return Response(self.get_serializer(saved).data, status=status.HTTP_201_CREATED)

    def perform_destroy(self, saved: SavedReport) -> None:
        services.forget_report(saved, actor=self.request.user)


def _parameters(report: Report, given: dict[str, str], request: Request) -> dict[str, str]:
    """What the report understands of it. A parameter that it does not know would be left out silently: it is refused."""
    unknown = sorted(set(given) - set(report.filters.base_filters))
    if unknown:
        raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such parameter of this report."))
    chosen = report.chosen(given, request.user)
    if not chosen.is_valid():
        raise serializers.ValidationError(chosen.errors)
    if report.needs and not given.get(report.needs):
        raise serializers.ValidationError({report.needs: "This report needs it."})
    return web_exports.parameters_of(chosen.form.cleaned_data)
