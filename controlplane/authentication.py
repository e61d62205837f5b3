"""How callers of the REST interface prove who they are: workers by a short-lived JWT signed by their own key (docs/contracts.md §2).

People's programs by an access token: access_tokens.py.
"""

from __future__ import annotations

import base64
import time
import uuid

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from controlplane.models import Worker

AUDIENCE = "tidegate-control"
LIFETIME = 60  # seconds from iat to exp, at most
SKEW = 30  # seconds by which the clocks of worker and control plane may differ


class WorkerSignatures(jws.JWSRegistry):
    """EdDSA (RFC 8037) and nothing else, without the library's warning on each call that RFC 9864 gave it another name."""

    def get_alg(self, name: str) -> jws.JWSAlgModel:
        if name != "EdDSA":
            raise UnsupportedAlgorithmError("only EdDSA is accepted")
        return self.algorithms[name]


class WorkerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <JWT>``; ``request.user`` is then the :class:`controlplane.models.Worker`."""

    def authenticate(self, request: Request) -> tuple[Worker, str] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        return verify_worker_token(token.strip(), now=time.time()), token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tidegate worker"'


def public_jwk(worker: Worker) -> OKPKey:
    """The worker's Ed25519 key as a JWK (RFC 8037)."""
    raw = base64.b64decode(worker.public_key)
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()})


def worker_named_by(token: str) -> Worker:
    """The active worker whose id is the ``kid`` of a JWS; nothing is verified yet.

    Raises AuthenticationFailed for an unreadable header, an unknown and a revoked worker alike.
    """
    try:
        header = jws.extract_compact(token.encode()).headers()
        worker_id = uuid.UUID(str(header.get("kid", "")))
    except (JoseError, ValueError):
        raise AuthenticationFailed("The worker's token cannot be read.") from None
    worker = Worker.objects.active().filter(pk=worker_id).first()
    if worker is None:
        raise AuthenticationFailed("This worker is not enrolled, or was revoked.")
    return worker


def verify_worker_token(token: str, *, now: float) -> Worker:
    """The worker that signed ``token``. ``now`` in seconds. Raises AuthenticationFailed with one line that says why not."""
    worker = worker_named_by(token)
    try:
        claims = jwt.decode(token, public_jwk(worker), registry=WorkerSignatures()).claims
    except (JoseError, ValueError):
        raise AuthenticationFailed("The token's signature is not this worker's.") from None
    problem = _claims_problem(claims, str(worker.pk), now)
    if problem:
        raise AuthenticationFailed(problem)
    return worker


def _claims_problem(claims: dict[str, object], worker_id: str, now: float) -> str:
    issued, expires = claims.get("iat"), claims.get("exp")
    if claims.get("iss") != worker_id:
        return "The token's iss is not the worker that signed it."
    if claims.get("aud") != AUDIENCE:
        return f"The token's aud is not {AUDIENCE}."
    if not isinstance(issued, (int, float)) or not isinstance(expires, (int, float)) or not claims.get("jti"):
        return "The token lacks iat, exp or jti."
    if expires - issued > LIFETIME:
        return f"The token lives longer than {LIFETIME} s."
    if expires < now - SKEW or issued > now + SKEW:
        return "The token has expired, or the clocks of worker and control plane differ."
    return ""


class WorkerAuthenticationScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI description names it."""

    target_class = "controlplane.authentication.WorkerAuthentication"
    name = "worker"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
