"""Changes of workers: invitations, enrolment, heartbeats, revocation."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from controlplane.models import EnrolmentToken, Worker, WorkerBoot
from controlplane.services import Actor, actor_name, record_change, stored_snapshot

TOKEN_HOURS = 24
REMEMBERED = timedelta(days=30)  # how long the list of a worker's processes goes back; the audit keeps all


class EnrolmentRefused(Exception):
    """Why a worker was not enrolled; the message holds no token."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker process says of itself (docs/contracts.md §2)."""

    boot: uuid.UUID
    pid: int
    version: str
    bundle_digest: str
    sessions: int
    spool_entries: int


def create_token(*, name: str, actor: Actor, hours: int = TOKEN_HOURS) -> tuple[EnrolmentToken, str]:
    """An invitation for one worker host, and its text, which nobody can see again."""
    text = f"tge_{secrets.token_urlsafe(32)}"
    token = EnrolmentToken(
        name=name, digest=_digest(text), created_by=actor_name(actor), expires_at=timezone.now() + timedelta(hours=hours)
    )
    token.full_clean()
    with transaction.atomic():
        token.save()
        record_change(token, before=None, actor=actor, publish=False)
    return token, text


def enrol(*, token: str, name: str, public_key: str, sealing_key: str) -> Worker:
    """Use a token up and keep the worker's public keys.

    The answer to an enrolment can get lost on its way: the same token with the same keys gives the same worker again.
    Raises EnrolmentRefused, or ValidationError for keys and names that cannot be used.
    """
    _check_keys(public_key, sealing_key)
    with transaction.atomic():
        invitation = EnrolmentToken.objects.select_for_update().filter(digest=_digest(token)).first()
        if invitation is None:
            raise EnrolmentRefused("This enrolment token is not known.")
        again = invitation.workers.active().filter(public_key=public_key, sealing_key=sealing_key).first()
        if again is not None:
            return again
        if not EnrolmentToken.objects.redeemable(timezone.now()).filter(pk=invitation.pk).exists():
            raise EnrolmentRefused("This enrolment token was used already, or has expired. An admin can make a new one.")
        worker = Worker(name=name, public_key=public_key, sealing_key=sealing_key, enrolled_with=invitation)
        worker.full_clean()
        worker.save(force_insert=True)
        invitation.used_at = timezone.now()
        invitation.save(update_fields=["used_at"])
        record_change(worker, before=None, actor=f"enrolment token {invitation.name}", publish=False)
    return worker


def revoke(worker: Worker, *, actor: Actor) -> None:
    """Shut a worker out: from now on every call of it is answered with 401."""
    with transaction.atomic():
        before = stored_snapshot(worker)
        worker.refresh_from_db()
        if worker.revoked_at is None:
            worker.revoked_at = timezone.now()
            worker.save(update_fields=["revoked_at"])
        record_change(worker, before=before, actor=actor, publish=False)


def note_heartbeat(worker: Worker, beat: Heartbeat) -> None:
    """Remember what a process said last. A boot belongs to the worker that named it first."""
    values = {
        "pid": beat.pid,
        "version": beat.version,
        "bundle_digest": beat.bundle_digest,
        "sessions": beat.sessions,
        "spool_entries": beat.spool_entries,
        "seen_at": timezone.now(),
    }
    known, created = WorkerBoot.objects.get_or_create(boot=beat.boot, defaults={"worker": worker, **values})
    if created:
        worker.boots.filter(seen_at__lt=timezone.now() - REMEMBERED).delete()
        return
    if known.worker_id != worker.pk:
        raise ValidationError({"boot": "This boot belongs to another worker."})
    WorkerBoot.objects.filter(pk=known.pk).update(**values)


def _digest(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


def _check_keys(public_key: str, sealing_key: str) -> None:
    for field, text, kind in (("public_key", public_key, Ed25519PublicKey), ("sealing_key", sealing_key, X25519PublicKey)):
        try:
            kind.from_public_bytes(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise ValidationError({field: "This is not base64 of a 32-byte public key."}) from None
