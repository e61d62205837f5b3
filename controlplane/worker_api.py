"""What workers call: enrolment, the bundle, heartbeats (docs/contracts.md §§1, 2)."""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from controlplane import catalogs, crypto, services, workers
from controlplane.addresses import client_address
from controlplane.authentication import WorkerAuthentication
from controlplane.models import BundleVersion, Worker
from controlplane.permissions import IsWorker

LARGEST_CATALOG = 24 << 20  # bytes of a request that tells one
_POLL = 0.2  # seconds between two looks for a newer bundle: one indexed row each


class EnrolmentSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=200, trim_whitespace=True)
    name = serializers.CharField(max_length=63)
    public_key = serializers.CharField(max_length=44, help_text="Base64 of the Ed25519 public key.")
    sealing_key = serializers.CharField(max_length=44, help_text="Base64 of the X25519 public key.")


class HeartbeatSerializer(serializers.Serializer[Any]):
    boot = serializers.UUIDField()
    pid = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    version = serializers.CharField(max_length=40)
    bundle_digest = serializers.CharField(max_length=64, allow_blank=True)
    sessions = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    spool_entries = serializers.IntegerField(min_value=0, max_value=2**63 - 1)


class CatalogSerializer(serializers.Serializer[Any]):
    connection = serializers.CharField(max_length=63)
    database = serializers.CharField(max_length=63)
    digest = serializers.RegexField(r"^[0-9a-f]{64}$")
    content = serializers.CharField(required=False, help_text="Base64 of the rows as zlib-compressed JSON; only where it was asked for.")

    def validate_content(self, value: str) -> bytes:
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise serializers.ValidationError("This is not base64.") from None


class EnrolmentRate(SimpleRateThrottle):
    """Tokens have 256 bits; this only keeps a confused script from filling the log."""

    scope = "enrol"
    rate = "60/min"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return self.cache_format % {"scope": self.scope, "ident": client_address(request)}


class WorkerView(APIView):
    """Base of what an enrolled worker may call."""

    authentication_classes = (WorkerAuthentication,)
    permission_classes = (IsWorker,)


class EnrolView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (EnrolmentRate,)

    @extend_schema(request=EnrolmentSerializer, responses={201: dict})
    def post(self, request: Request) -> Response:
        """Become a worker with a one-time token."""
        given = EnrolmentSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            worker = workers.enrol(**given.validated_data)
        except workers.EnrolmentRefused as problem:
            refusal = AuthenticationFailed(str(problem))
            refusal.status_code = status.HTTP_403_FORBIDDEN
            raise refusal from None
        keys = [{"key_id": crypto.bundle_key_id(), "public_key": crypto.bundle_public_key()}]
        return Response({"worker": str(worker.pk), "bundle_keys": keys}, status=status.HTTP_201_CREATED)


class BundleView(WorkerView):
    @extend_schema(
        parameters=[OpenApiParameter("wait", int, description="Seconds to wait for a newer one, at most 25.")],
        responses={
            200: inline_serializer(
                "Bundle",
                {name: serializers.CharField() for name in ("payload", "digest", "key_id", "signature", "secrets")},
            ),
            304: None,
        },
    )
    def get(self, request: Request) -> Response:
        """The newest policy, at once or as soon as it is another than ``If-None-Match`` names."""
        known = request.headers.get("If-None-Match", "").strip().removeprefix("W/").strip('"')
        version = _newer_than(known, time.monotonic() + _wait(request))
        worker: Worker = request.user
        if not Worker.objects.active().filter(pk=worker.pk).exists():
            raise AuthenticationFailed("This worker was revoked.")  # while it waited
        if version is None:
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": f'"{known}"'})
        body = services.sealed_bundle(version, worker.sealing_key)
        return Response(body, headers={"ETag": f'"{version.digest}"', "Cache-Control": "no-store"})


class HeartbeatView(WorkerView):
    @extend_schema(request=HeartbeatSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """What a worker process says of itself."""
        given = HeartbeatSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        workers.note_heartbeat(request.user, workers.Heartbeat(**given.validated_data))
        return Response(status=status.HTTP_204_NO_CONTENT)


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"A catalog is told in {LARGEST_CATALOG >> 20} MB at most."


class CatalogView(WorkerView):
    @extend_schema(
        request=CatalogSerializer, responses={200: inline_serializer("CatalogAnswer", {"wanted": serializers.BooleanField()}), 413: dict}
    )
    def post(self, request: Request) -> Response:
        """What a database contains, by its digest first; with the content where the answer says that it is wanted."""
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_CATALOG:
            raise TooLarge
        given = CatalogSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response({"wanted": catalogs.note(request.user, **{"content": None, **given.validated_data})})


def _wait(request: Request) -> float:
    try:
        asked = float(request.query_params.get("wait", "0"))
    except ValueError:
        raise serializers.ValidationError({"wait": "This is a number of seconds."}) from None
    return min(max(asked, 0.0), settings.TIDEGATE_LONG_POLL) if asked == asked else 0.0


def _newer_than(known: str, deadline: float) -> BundleVersion | None:
    """The newest version if it is not ``known``; None when ``deadline`` (monotonic seconds) passes before there is one."""
    while True:
        newest = BundleVersion.objects.only("digest").first()
        if newest is None:
            return services.publish_bundle(actor="control plane")
        if newest.digest != known:
            return BundleVersion.objects.get(pk=newest.pk)
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return None
        time.sleep(min(_POLL, remaining))
