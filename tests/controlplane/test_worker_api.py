"""The workers' endpoints as docs/contracts.md §§1, 2 have them."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.contrib.auth.models import Group
from django.db import connections
from django.utils import timezone

from controlplane import services, workers
from controlplane.models import BundleVersion, Connection, Worker, WorkerBoot
from proxy.policy.bundle import Bundle
from proxy.policy.sealing import unseal
from proxy.policy.signature import verify_bundle
from tests.controlplane.conftest import ACTOR, EnrolledWorker

pytestmark = pytest.mark.django_db
BEAT = {"boot": str(uuid.uuid4()), "pid": 42, "version": "0.1.0", "bundle_digest": "", "sessions": 3, "spool_entries": 0}


def opened(worker: EnrolledWorker, answer) -> Bundle:
    """As the worker opens it: with the keys learnt when it enrolled, and its own sealing key."""
    learnt = {key["key_id"]: base64.b64decode(key["public_key"]) for key in worker.answer.json()["bundle_keys"]}
    payload = verify_bundle(answer.json(), learnt, 0)
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(worker.keys.sealing_key))
    return Bundle.load(payload, json.loads(unseal(answer.json()["secrets"], key)))


def test_enrolment(worker: EnrolledWorker) -> None:
    assert worker.answer.status_code == 201
    assert uuid.UUID(worker.answer.json()["worker"]) == Worker.objects.get().pk
    assert worker.enrol().json() == worker.answer.json()


def test_enrolment_with_a_wrong_token_is_forbidden(worker: EnrolledWorker) -> None:
    worker.token = "tge_wrong"
    refused = worker.enrol()
    assert refused.status_code == 403
    assert "not known" in refused.json()["detail"]
    assert "tge_wrong" not in refused.content.decode()


def test_the_bundle(worker: EnrolledWorker, crm: Connection) -> None:
    answer = worker.call("get", "bundle")
    assert answer.status_code == 200
    assert answer["ETag"] == f'"{answer.json()["digest"]}"'
    assert "no-store" in answer["Cache-Control"]
    assert opened(worker, answer).password("crm") == "target-password"


def test_the_first_bundle_exists_before_any_change(worker: EnrolledWorker) -> None:
    assert not BundleVersion.objects.exists()
    assert opened(worker, worker.call("get", "bundle")).serial == 1


def test_what_is_known_is_not_sent_again(worker: EnrolledWorker, crm: Connection) -> None:
    etag = worker.call("get", "bundle")["ETag"]
    again = worker.call("get", "bundle", If_None_Match=etag)
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    services.save(Group(name="new"), actor=ACTOR)
    assert worker.call("get", "bundle", If_None_Match=etag).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_waiting_worker_hears_at_once(worker: EnrolledWorker, crm: Connection) -> None:
    etag = worker.call("get", "bundle")["ETag"]

    def change() -> None:
        try:
            time.sleep(0.3)
            services.save(Group(name="new"), actor=ACTOR)
        finally:
            connections.close_all()

    thread = threading.Thread(target=change)
    started = time.monotonic()
    thread.start()
    answer = worker.call("get", "bundle?wait=20", If_None_Match=etag)
    thread.join()
    assert answer.status_code == 200
    assert "new" in opened(worker, answer).groups
    assert time.monotonic() - started < 5


def test_waiting_ends(worker: EnrolledWorker) -> None:
    etag = worker.call("get", "bundle")["ETag"]
    started = time.monotonic()
    assert worker.call("get", "bundle?wait=1", If_None_Match=etag).status_code == 304
    assert 0.9 < time.monotonic() - started < 5
    assert worker.call("get", "bundle?wait=soon", If_None_Match=etag).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_a_worker_revoked_while_it_waits_gets_nothing(worker: EnrolledWorker, crm: Connection) -> None:
    etag = worker.call("get", "bundle")["ETag"]

    def revoke() -> None:
        try:
            time.sleep(0.3)
            workers.revoke(Worker.objects.get(), actor=ACTOR)
            services.save(Group(name="new"), actor=ACTOR)
        finally:
            connections.close_all()

    thread = threading.Thread(target=revoke)
    thread.start()
    answer = worker.call("get", "bundle?wait=20", If_None_Match=etag)
    thread.join()
    assert answer.status_code == 401


def test_heartbeats_are_remembered(worker: EnrolledWorker) -> None:
    assert worker.call("post", "heartbeat", BEAT).status_code == 204
    assert worker.call("post", "heartbeat", {**BEAT, "sessions": 7}).status_code == 204
    boot = WorkerBoot.objects.get()
    assert (boot.worker, boot.sessions, boot.pid) == (Worker.objects.get(), 7, 42)


def test_processes_that_ended_long_ago_are_forgotten(worker: EnrolledWorker) -> None:
    worker.call("post", "heartbeat", BEAT)
    WorkerBoot.objects.update(seen_at=timezone.now() - timedelta(days=31))
    worker.call("post", "heartbeat", {**BEAT, "boot": str(uuid.uuid4())})
    assert [str(boot.boot) for boot in WorkerBoot.objects.all()] != [BEAT["boot"]]
    assert WorkerBoot.objects.count() == 1


@pytest.mark.parametrize("change", [{"boot": "x"}, {"pid": -1}, {"sessions": "many"}, {"version": "x" * 41}])
def test_heartbeats_that_make_no_sense_are_refused(worker: EnrolledWorker, change: dict) -> None:
    refused = worker.call("post", "heartbeat", {**BEAT, **change})
    assert refused.status_code == 400
    assert next(iter(change)) in refused.json()["errors"]


def test_a_boot_belongs_to_one_worker(worker: EnrolledWorker, tmp_path) -> None:
    assert worker.call("post", "heartbeat", BEAT).status_code == 204
    assert EnrolledWorker(tmp_path).call("post", "heartbeat", BEAT).status_code == 400
