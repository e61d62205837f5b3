"""The first page of the admin site: numbers from the audit, what runs and what is wrong."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import Boot
from controlplane import services
from controlplane.dashboard import dashboard, worker_hosts
from controlplane.models import BundleVersion, Connection, Subject, WorkerBoot
from tests.audit.conftest import Process, process  # noqa: F401
from tests.controlplane.conftest import ACTOR, EnrolledWorker
from tests.controlplane.test_worker_api import BEAT

pytestmark = pytest.mark.django_db


def test_an_empty_house(admin: Client) -> None:
    said = admin.get(reverse("admin:index")).content.decode()
    assert "No worker is enrolled yet" in said
    assert "No statement in this time" in said
    assert "To look at" not in said


def test_what_happened(admin: Client, process: Process) -> None:  # noqa: F811
    process.ship(process.session("SELECT 1", "SELECT 2"))
    process.ship(process.session("DROP TABLE x", decision="deny"))
    found = admin.get(reverse("admin:index"), {"period": "7d"}).context["dashboard"]
    assert dict(found["numbers"])["statements"] == 3
    assert dict(found["numbers"])["denied"] == 1
    assert [row["subject"] for row in found["subjects"]] == ["support-bot"]
    assert len(found["charts"][0].rows) >= 168
    assert admin.get(reverse("admin:index"), {"period": "x"}).context["dashboard"]["period"] == "24h"


def test_workers_and_how_far_they_are_behind(worker: EnrolledWorker, crm: Connection) -> None:
    old = BundleVersion.objects.first()
    assert old is not None
    worker.call("post", "heartbeat", {**BEAT, "bundle_digest": old.digest, "spool_entries": 7})
    [host] = worker_hosts(timezone.now())
    assert (host.processes, host.sessions, host.spool, host.behind, host.silent) == (1, 3, 7, 0, False)
    crm.max_rows = 9
    services.save(crm, actor=ACTOR)
    worker.call("post", "heartbeat", {**BEAT, "boot": str(uuid.uuid4()), "bundle_digest": BundleVersion.objects.first().digest})
    assert [(host.processes, host.behind) for host in worker_hosts(timezone.now())] == [(2, 1)]
    worker.call("post", "heartbeat", {**BEAT, "boot": str(uuid.uuid4()), "bundle_digest": ""})
    assert worker_hosts(timezone.now())[0].behind is None
    WorkerBoot.objects.update(seen_at=timezone.now() - timedelta(minutes=3))
    assert worker_hosts(timezone.now())[0].silent


def test_alarms(admin: Client, worker: EnrolledWorker, bot: Subject) -> None:
    Boot.objects.create(worker=worker.identity.worker, alarm="gap: 5 is missing")
    services.create_key(bot, actor=ACTOR, expires_at=timezone.now() + timedelta(days=1))
    said = [alarm.text for alarm in dashboard("24h", timezone.now())["alarms"]]
    assert said == [
        "1 × chain of audit entries broken: a worker's batches are refused",
        "1 × worker has not been heard of for two minutes",
        "1 × API key ends within a week",
    ]
    assert "To look at" in admin.get(reverse("admin:index")).content.decode()


def test_only_admins_see_it(auditor: Client, approver: Client) -> None:
    for client in (auditor, approver, Client()):
        assert client.get(reverse("admin:index")).status_code == 302
