"""Enrolment: once per token, and safely repeated when an answer was lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from audit.models import Entry
from controlplane import workers
from controlplane.models import EnrolmentToken, Worker
from tests.controlplane.conftest import ACTOR, EnrolledWorker
from worker.identity import _new_keys, _public_keys

pytestmark = pytest.mark.django_db


def keys() -> dict[str, str]:
    return _public_keys(_new_keys())


def test_a_token_enrols_one_worker() -> None:
    _, text = workers.create_token(name="host-a", actor=ACTOR)
    assert text not in str(EnrolmentToken.objects.values().get())
    worker = workers.enrol(token=text, name="host-a", **keys())
    assert worker.enrolled_with.used_at is not None
    with pytest.raises(workers.EnrolmentRefused, match="used already"):
        workers.enrol(token=text, name="host-b", **keys())
    assert Worker.objects.count() == 1


def test_the_same_keys_again_are_the_same_worker() -> None:
    _, text = workers.create_token(name="host-a", actor=ACTOR)
    mine = keys()
    assert workers.enrol(token=text, name="host-a", **mine) == workers.enrol(token=text, name="host-a", **mine)


def test_a_revoked_worker_does_not_come_back_with_its_old_token() -> None:
    _, text = workers.create_token(name="host-a", actor=ACTOR)
    mine = keys()
    workers.revoke(workers.enrol(token=text, name="host-a", **mine), actor=ACTOR)
    with pytest.raises(workers.EnrolmentRefused):
        workers.enrol(token=text, name="host-a", **mine)


def test_unknown_and_expired_tokens_are_refused() -> None:
    with pytest.raises(workers.EnrolmentRefused, match="not known"):
        workers.enrol(token="tge_x", name="host-a", **keys())
    token, text = workers.create_token(name="host-a", actor=ACTOR)
    EnrolmentToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(workers.EnrolmentRefused, match="expired"):
        workers.enrol(token=text, name="host-a", **keys())


@pytest.mark.parametrize("change", [{"public_key": "short"}, {"sealing_key": "AAAA"}, {"name": "a b"}])
def test_what_cannot_be_used_leaves_the_token_good(change: dict[str, str]) -> None:
    _, text = workers.create_token(name="host-a", actor=ACTOR)
    with pytest.raises(ValidationError):
        workers.enrol(**{"token": text, "name": "host-a", **keys(), **change})
    assert workers.enrol(token=text, name="host-a", **keys())


def test_enrolment_and_revocation_are_audited(worker: EnrolledWorker) -> None:
    before = Entry.objects.filter(kind="admin.changed").count()
    workers.revoke(Worker.objects.get(), actor=ACTOR)
    workers.revoke(Worker.objects.get(), actor=ACTOR)
    assert Entry.objects.filter(kind="admin.changed").count() == before + 1
    assert before == 2  # the token, the worker
