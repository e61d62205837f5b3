"""Who a worker's token is taken from, and every way in which it is not."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from rest_framework.exceptions import AuthenticationFailed

from controlplane.authentication import WorkerSignatures, verify_worker_token
from controlplane.models import Worker
from tests.controlplane.conftest import EnrolledWorker

pytestmark = pytest.mark.django_db


def token(worker: EnrolledWorker, *, key: Any = None, header: dict[str, str] | None = None, **changes: Any) -> str:
    now = int(time.time())
    name = worker.identity.worker
    claims = {"iss": name, "aud": "tidegate-control", "iat": now, "exp": now + 55, "jti": str(uuid.uuid4()), **changes}
    claims = {claim: value for claim, value in claims.items() if value is not None}
    return jwt.encode({"alg": "EdDSA", "kid": name, **(header or {})}, claims, key or worker.identity._key, registry=WorkerSignatures())


def verify(text: str) -> Worker:
    return verify_worker_token(text, now=time.time())


def test_the_workers_own_token_is_taken(worker: EnrolledWorker) -> None:
    assert str(verify(worker.identity.token()).pk) == worker.identity.worker
    assert str(verify(token(worker)).pk) == worker.identity.worker


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": str(uuid.uuid4())}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "something-else"}, "aud"),
        ({"aud": None}, "aud"),
        ({"jti": None}, "jti"),
        ({"iat": None}, "iat"),
        ({"exp": None}, "exp"),
        ({"exp": int(time.time()) + 86_400}, "longer than 60"),
        ({"iat": int(time.time()) - 120, "exp": int(time.time()) - 60}, "expired"),
        ({"iat": int(time.time()) + 86_400, "exp": int(time.time()) + 86_450}, "clocks"),
        ({"header": {"kid": str(uuid.uuid4())}}, "not enrolled"),
        ({"header": {"kid": "me"}}, "cannot be read"),
    ],
)
def test_wrong_tokens_are_refused(worker: EnrolledWorker, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(AuthenticationFailed, match=why):
        verify(token(worker, **changes))


def test_another_key_is_refused(worker: EnrolledWorker) -> None:
    with pytest.raises(AuthenticationFailed, match="signature"):
        verify(token(worker, key=OKPKey.import_key(Ed25519PrivateKey.generate())))


def test_other_algorithms_are_refused(worker: EnrolledWorker) -> None:
    """Above all one keyed with what everybody may know: the public key."""
    claims = json.dumps({"iss": worker.identity.worker})
    public = OctKey.import_key(Worker.objects.get().public_key.encode())
    forged = jwt.encode({"alg": "HS256", "kid": worker.identity.worker}, json.loads(claims), public)
    none = "eyJhbGciOiJub25lIn0.e30."
    for text in (forged, none, "", "a.b.c", "é"):
        with pytest.raises(AuthenticationFailed):
            verify(text)


def test_a_revoked_worker_is_shut_out_at_once(worker: EnrolledWorker) -> None:
    Worker.objects.update(revoked_at="2026-01-01T00:00:00Z")
    with pytest.raises(AuthenticationFailed, match="revoked"):
        verify(worker.identity.token())
    assert worker.call("get", "bundle").status_code == 401


def test_people_are_no_workers(admin) -> None:
    assert admin.get("/api/v1/worker/bundle").status_code == 401


def test_workers_are_no_people(worker: EnrolledWorker) -> None:
    header = {"Authorization": f"Bearer {worker.identity.token()}"}
    assert Client().get("/api/v1/subjects", headers=header).status_code == 401
