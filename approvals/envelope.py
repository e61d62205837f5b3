"""The signed wrapping in which a worker's request travels through the broker: whoever can write to the broker cannot ask."""

from __future__ import annotations

import json
import uuid
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from controlplane.authentication import WorkerSignatures, public_jwk
from controlplane.models import Worker

LIMIT = 16 * 1024 * 1024  # bytes of a request; statements with large parameters are held like any other


class EnvelopeError(ValueError):
    """The message was not signed by an enrolled worker; the message holds nothing of it."""


class _Requests(WorkerSignatures):
    max_payload_length = LIMIT


def open_envelope(token: str) -> tuple[dict[str, Any], Worker]:
    """The request and the enrolled, unrevoked worker that signed it (compact JWS, RFC 7515). Raises: EnvelopeError."""
    registry = _Requests()
    try:
        signed = jws.extract_compact(token.encode(), registry=registry)
        worker = _worker(signed.headers().get("kid"))
        if not jws.validate_compact(signed, public_jwk(worker), registry=registry):
            raise EnvelopeError("the signature is not the named worker's")
        content = json.loads(signed.payload)
    except (JoseError, ValueError, RecursionError) as error:
        raise error if isinstance(error, EnvelopeError) else EnvelopeError(f"unreadable: {type(error).__name__}") from None
    if not isinstance(content, dict):
        raise EnvelopeError("the content is not an object")
    return content, worker


def _worker(kid: object) -> Worker:
    try:
        worker = Worker.objects.active().filter(pk=uuid.UUID(str(kid))).first()
    except ValueError:
        worker = None
    if worker is None:
        raise EnvelopeError("the worker is not enrolled, or was revoked")
    return worker
