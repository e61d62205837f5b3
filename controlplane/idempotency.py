"""``Idempotency-Key``: a write that is sent again, because nobody knows whether it arrived, is done once.

Claim, change and answer are one transaction: a second request with the key waits for the first one's end and then finds its answer,
or, where that failed, takes its place. Answers are kept for a day.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane import crypto
from controlplane.models import IdempotentAnswer

HEADER = "Idempotency-Key"
KEPT = timedelta(days=1)


class KeyUsedOtherwise(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = f"This {HEADER} was used for another request. Use a new key for each request, and the same only to repeat it."


class _Answered(Exception):
    """The request was answered before."""

    def __init__(self, answer: IdempotentAnswer) -> None:
        self.answer = answer


class Idempotent:
    """For views of DRF, before their other bases."""

    _claim: IdempotentAnswer | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method in SAFE_METHODS or not request.headers.get(HEADER):
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        request.body  # noqa: B018  read here, so that it can be read again below
        with transaction.atomic():
            response: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
            if response.status_code >= 400:
                transaction.set_rollback(True)  # nothing is to be repeated; what a refusal noted (that it came too late, say) goes too
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  who it is, and whether they may
        key = request.headers.get(HEADER, "")
        if request.method in SAFE_METHODS or not key:
            return
        if len(key) > 255 or not key.isprintable():
            raise ValidationError({HEADER: ["A key has at most 255 printable characters."]})
        digest = _digest(request)
        IdempotentAnswer.objects.filter(user=request.user, key=key, at__lt=timezone.now() - KEPT).delete()
        claim, new = IdempotentAnswer.objects.get_or_create(user=request.user, key=key, defaults={"request": digest})
        if not new and claim.request != digest:
            raise KeyUsedOtherwise
        if not new:
            raise _Answered(claim)
        self._claim = claim

    def handle_exception(self, error: Exception) -> Response:
        if isinstance(error, _Answered):
            body = json.loads(crypto.decrypt(error.answer.body))
            return Response(body, status=error.answer.status, headers={"Idempotency-Replayed": "true", "Cache-Control": "no-store"})
        response: Response = super().handle_exception(error)  # type: ignore[misc]
        return response

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        final: Response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        if self._claim is not None and final.status_code < 400:
            self._claim.status = final.status_code
            self._claim.body = crypto.encrypt(JSONRenderer().render(final.data) or b"null")
            self._claim.save(update_fields=["status", "body"])
        return final


def forget_old() -> int:
    """Remove answers that are no longer given again."""
    return IdempotentAnswer.objects.filter(at__lt=timezone.now() - KEPT).delete()[0]


def _digest(request: Request) -> str:
    told = f"{request.method} {request.get_full_path()} {request.content_type}\0".encode()
    return hashlib.sha256(told + request._request.body).hexdigest()
