"""REST: what workers ask about requests (docs/contracts.md §4), what people do with them, and the workflows."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import msgspec
from django.contrib.auth.models import Group
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.exceptions import APIException, NotFound, PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from approvals import approvers, links, payload, services, shapes, step_up
from approvals.filters import RequestFilter
from approvals.models import ApprovalRequest, BreakGlass, ShapeApproval, Vote, Way, Workflow
from controlplane.api import ServiceViewSet
from controlplane.authentication import WorkerAuthentication
from controlplane.idempotency import Idempotent
from controlplane.models import User
from controlplane.permissions import IsWorker
from controlplane.serializers import ServiceSerializer, names

# --- workers ------------------------------------------------------------------------------------------------------------


class ParametersField(serializers.JSONField):
    """``[{"n", "oid", "text"}]`` → texts by number."""

    def to_internal_value(self, data: Any) -> dict[int, str | None]:
        try:
            return {item.n: item.text for item in msgspec.convert(data, tuple[payload.Parameter, ...])}
        except msgspec.ValidationError:
            raise serializers.ValidationError("These are no parameters.") from None


class RunSerializer(serializers.Serializer):
    shape = serializers.RegexField("^[0-9a-f]{64}$")
    sql = serializers.CharField(trim_whitespace=False)
    normalised = serializers.CharField(trim_whitespace=False)
    parameters = ParametersField()


class ClaimSerializer(serializers.Serializer):
    binding = serializers.RegexField("^[0-9a-f]{64}$")
    subject = serializers.CharField(max_length=255, trim_whitespace=False)
    connection = serializers.CharField(max_length=255, trim_whitespace=False)
    workflow = serializers.CharField(max_length=100, trim_whitespace=False)
    run = RunSerializer(required=False)


class ConsumeSerializer(serializers.Serializer):
    binding = serializers.RegexField("^[0-9a-f]{64}$")


class CancelSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class StandingSerializer(serializers.Serializer):
    """A request as workers see it; ``reason`` is ``no_approver`` where nobody could say yes, ``bound`` the rows that it may change."""

    id = serializers.UUIDField()
    state = serializers.CharField()
    comment = serializers.CharField()
    url = serializers.URLField()
    reason = serializers.CharField()
    bound = serializers.IntegerField(allow_null=True)


def _answer(standing: services.Standing, code: int = status.HTTP_200_OK) -> Response:
    return Response(dataclasses.asdict(standing), status=code)


def _valid(kind: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    given = kind(data=request.data)
    given.is_valid(raise_exception=True)
    return given.validated_data


def _not_arrived() -> NotFound:
    return NotFound("There is no such request (yet).")


@extend_schema(request=ClaimSerializer, responses={200: StandingSerializer, 409: StandingSerializer, 404: None})
@api_view(["POST"])
@authentication_classes([WorkerAuthentication])
@permission_classes([IsWorker])
def claim(request: Request) -> Response:
    """Use up an approval that covers this statement (200), or learn which request waits for one or was rejected (409)."""
    asked = _valid(ClaimSerializer, request)
    run = shapes.Run(**asked.pop("run")) if "run" in asked else None
    found = services.claim(**asked, run=run)
    if found is None:
        raise _not_arrived()
    return _answer(found, status.HTTP_200_OK if found.state == "CONSUMED" else status.HTTP_409_CONFLICT)


@extend_schema(request=ConsumeSerializer, responses={200: StandingSerializer, 409: StandingSerializer, 404: None})
@api_view(["POST"])
@authentication_classes([WorkerAuthentication])
@permission_classes([IsWorker])
def consume(request: Request, pk: uuid.UUID) -> Response:
    """Use up an approval, once: 200 means run the statement now, 409 gives the state it is in instead."""
    result = services.consume(pk, binding=_valid(ConsumeSerializer, request)["binding"])
    if result is None:
        raise _not_arrived()
    consumed, standing = result
    return _answer(standing, status.HTTP_200_OK if consumed else status.HTTP_409_CONFLICT)


@extend_schema(request=CancelSerializer, responses={200: StandingSerializer, 404: None})
@api_view(["POST"])
@authentication_classes([WorkerAuthentication])
@permission_classes([IsWorker])
def cancel(request: Request, pk: uuid.UUID) -> Response:
    """The client no longer waits: withdraw what is still open."""
    found = services.cancel(pk, reason=_valid(CancelSerializer, request)["reason"])
    if found is None:
        raise _not_arrived()
    return _answer(found)


@extend_schema(responses={200: StandingSerializer, 404: None})
@api_view(["GET"])
@authentication_classes([WorkerAuthentication])
@permission_classes([IsWorker])
def state(request: Request, pk: uuid.UUID) -> Response:
    """A request's state, unchanged by the look."""
    found = ApprovalRequest.objects.filter(pk=pk).first()
    if found is None:
        raise _not_arrived()
    return _answer(services.standing(found))


# --- people -------------------------------------------------------------------------------------------------------------


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT


class VoteSerializer(serializers.ModelSerializer):
    user = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Vote
        fields = ("user", "approve", "comment", "at")


class BreakGlassSerializer(serializers.ModelSerializer):
    user = serializers.SlugRelatedField(slug_field="username", read_only=True)
    reviewed_by = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = BreakGlass
        fields = ("user", "reason", "at", "reviewed_by", "reviewed_at", "review")


class TriggerSerializer(serializers.Serializer):
    relation = serializers.CharField()
    name = serializers.CharField()
    event = serializers.CharField()


class CascadeSerializer(serializers.Serializer):
    relation = serializers.CharField()
    columns = serializers.ListField(child=serializers.CharField())
    action = serializers.CharField()


class PreviewSerializer(serializers.Serializer):
    """What the statement would do, found out without running it; null is not known."""

    estimated_rows = serializers.IntegerField(allow_null=True)
    affected_rows = serializers.IntegerField(allow_null=True)
    plan = serializers.CharField()
    triggers = TriggerSerializer(many=True)
    cascades = CascadeSerializer(many=True)
    columns = serializers.ListField(child=serializers.CharField())
    notes = serializers.ListField(child=serializers.CharField())


class RequestSerializer(serializers.ModelSerializer):
    workflow = serializers.CharField(source="workflow_name")
    way = serializers.ChoiceField(Way.choices, read_only=True, allow_blank=True, help_text="How it was approved, where not by votes.")
    preview = PreviewSerializer(read_only=True, allow_null=True)
    votes = VoteSerializer(many=True, read_only=True)
    break_glass = BreakGlassSerializer(read_only=True, allow_null=True)
    url = serializers.SerializerMethodField()

    class Meta:
        model = ApprovalRequest
        exclude = ("workflow_name", "places")
        read_only_fields = [field.name for field in ApprovalRequest._meta.concrete_fields]

    def get_url(self, request: ApprovalRequest) -> str:
        return links.request_url(request.pk)


class AnswerSerializer(serializers.Serializer):
    comment = serializers.CharField(max_length=2000, allow_blank=True, default="")


class TermsSerializer(serializers.Serializer):
    seconds = serializers.IntegerField(min_value=1, max_value=shapes.LONGEST)
    runs = serializers.IntegerField(min_value=1, max_value=shapes.MOST)
    free = serializers.ListField(
        child=serializers.IntegerField(min_value=1), default=list, help_text="The numbers n of the $n that may have any value."
    )


class ApproveSerializer(AnswerSerializer):
    shape = TermsSerializer(required=False, help_text="Also let the statement run again, for so long and so often.")


class ReasonSerializer(serializers.Serializer):
    comment = serializers.CharField(max_length=2000)


class ShapeSerializer(serializers.ModelSerializer):
    normalised = serializers.CharField(source="request.normalised", read_only=True)

    class Meta:
        model = ShapeApproval
        exclude = ("workflow",)
        read_only_fields = [field.name for field in ShapeApproval._meta.concrete_fields]


class ApprovalViewSet(Idempotent, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Held statements. People see what they may answer for; auditors and admins see all."""

    queryset = ApprovalRequest.objects.none()
    serializer_class = RequestSerializer
    permission_classes = [IsAuthenticated]
    writes_need = "approve"
    filterset_class = RequestFilter

    def get_queryset(self) -> Any:
        if not isinstance(self.request.user, User):
            return ApprovalRequest.objects.none()
        found = ApprovalRequest.objects.visible_to(self.request.user).select_related("break_glass__user", "break_glass__reviewed_by")
        return found.prefetch_related("votes__user")

    @extend_schema(request=ApproveSerializer, responses=RequestSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Say yes. 403: not yours to decide; 409: no longer open, answered already, or more than the workflow allows."""
        given = _valid(ApproveSerializer, request)
        terms = shapes.Terms(**given["shape"] | {"free": frozenset(given["shape"]["free"])}) if "shape" in given else None
        return self._decide(request, True, given["comment"], shape=terms)

    @extend_schema(request=AnswerSerializer, responses=RequestSerializer)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: str) -> Response:
        """Say no, which ends the request."""
        return self._decide(request, False, _valid(AnswerSerializer, request)["comment"])

    @extend_schema(request=ReasonSerializer, responses=RequestSerializer)
    @action(detail=True, methods=["post"], url_path="break-glass")
    def break_glass(self, request: Request, pk: str) -> Response:
        """In an emergency, approve alone; the comment says why. All approvers and admins hear of it, and somebody else reviews it."""
        return self._decide(request, True, _valid(ReasonSerializer, request)["comment"], break_glass=True)

    @extend_schema(request=ReasonSerializer, responses=RequestSerializer)
    @action(detail=True, methods=["post"])
    def review(self, request: Request, pk: str) -> Response:
        """Mark that somebody approved alone as reviewed; the comment says what was found. 409: nothing to review, or not yours to."""
        approval, comment = self.get_object(), _valid(ReasonSerializer, request)["comment"]
        if not hasattr(approval, "break_glass"):
            raise Conflict("Nobody broke glass for this request.")
        try:
            services.review(approval.break_glass, actor=request.user, comment=comment)
        except services.Refused as refusal:
            raise Conflict(str(refusal)) from None
        return Response(self.get_serializer(self.get_object()).data)

    def _decide(self, request: Request, approve: bool, comment: str, **how: Any) -> Response:
        approval = self.get_object()
        asked = approvers.break_glass_objection if how.get("break_glass") else approvers.objection
        objection = asked(approval, request.user)
        if objection:
            raise PermissionDenied(objection)
        if approve and step_up.asked(approval) != step_up.NONE:
            raise PermissionDenied(f"{step_up.objection(approval, request.user, None)} It is {links.request_url(approval.pk)}")
        try:
            services.decide(approval, actor=request.user, approve=approve, comment=comment, **how)
        except services.Refused as refusal:
            raise Conflict(str(refusal)) from None
        return Response(self.get_serializer(self.get_object()).data)


class ShapeViewSet(Idempotent, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Statements that may run again, with any value in their free places, for a time and a number of runs."""

    queryset = ShapeApproval.objects.none()
    serializer_class = ShapeSerializer
    permission_classes = [IsAuthenticated]
    writes_need = "approve"
    filterset_fields = ("subject", "connection")

    def get_queryset(self) -> Any:
        if not isinstance(self.request.user, User):
            return ShapeApproval.objects.none()
        return ShapeApproval.objects.visible_to(self.request.user).select_related("request")

    @extend_schema(request=None, responses=ShapeSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """End it: the next run asks again."""
        try:
            revoked = services.revoke_shape(self.get_object(), actor=request.user)
        except services.Refused as refusal:
            raise PermissionDenied(str(refusal)) from None
        return Response(self.get_serializer(revoked).data)


class NotifyField(serializers.JSONField):
    """``{"email": true}``. A webhook's address and secret come from the policy file and are never given back."""

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return {"email": value.get("email", True), **({"webhook": {}} if "webhook" in value else {})}

    def to_internal_value(self, data: Any) -> dict[str, bool]:
        if not isinstance(data, dict) or set(data) != {"email"} or not isinstance(data["email"], bool):
            raise serializers.ValidationError('Give {"email": true} or {"email": false}; webhooks are set by the policy file.')
        return data


def people() -> serializers.SlugRelatedField:
    return serializers.SlugRelatedField(slug_field="username", queryset=User.objects.all(), many=True, required=False)


class WorkflowSerializer(ServiceSerializer):
    """Approvers by user name, groups by name."""

    notify = NotifyField(required=False)
    approvers = people()
    approver_groups = names(Group, many=True, required=False)
    escalate_users = people()
    escalate_groups = names(Group, many=True, required=False)
    break_glass_users = people()
    break_glass_groups = names(Group, many=True, required=False)

    class Meta:
        model = Workflow
        fields = ("id", "name", "approvers", "approver_groups", "quorum", "expires", "hold", "max_wait")
        fields += ("step_up", "exclude_owner", "auto_approve_actions", "auto_approve_rows")
        fields += ("escalate_after", "escalate_groups", "escalate_users")
        fields += ("break_glass_groups", "break_glass_users", "shapes", "notify")

    def _save(self, instance: Workflow, values: dict[str, Any]) -> Workflow:
        if "notify" in values:
            values["notify"] = instance.notify | values["notify"]
        return super()._save(instance, values)


class WorkflowViewSet(ServiceViewSet):
    """Who is asked, how many must say yes, and how long client and request wait."""

    queryset = Workflow.objects.prefetch_related(
        "approvers", "approver_groups", "escalate_users", "escalate_groups", "break_glass_users", "break_glass_groups"
    )
    serializer_class = WorkflowSerializer
    filterset_fields = ("name", "hold")
    search_fields = ("name",)
