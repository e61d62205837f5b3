"""A worker's batches: taken whole, in order, once; anything else is refused and alarmed."""

from __future__ import annotations

import json
import threading
import time
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from audit import services
from audit.models import Boot, Entry
from controlplane.models import Worker
from proxy.ledger.entry import canonical, entry_hash
from tests.audit.conftest import Process

pytestmark = pytest.mark.django_db


def from_workers() -> list[Entry]:
    return list(Entry.objects.exclude(boot__worker="control").order_by("seq"))


def alarms() -> list[dict[str, object]]:
    return [json.loads(entry.canonical)["fields"] for entry in Entry.objects.alarms().order_by("id")]


def forged(item: dict, **changes: object) -> dict:
    """The item with members of its entry changed and spelt canonically again."""
    return item | {"entry": canonical(json.loads(item["entry"]) | changes).decode()}


def refused(process: Process, items: list, error: str) -> services.BatchRefused:
    """Ship what must be refused; nothing of it may be stored and an alarm must be."""
    before, heard = len(from_workers()), len(alarms())
    with pytest.raises(services.BatchRefused) as found:
        process.ship(items)
    assert found.value.error == error
    assert len(from_workers()) == before
    assert len(alarms()) == heard + 1
    said = {"error": error, "expected": found.value.expected, "detail": found.value.detail}
    assert alarms()[-1] == {"of_worker": str(process.worker.pk), "of_boot": process.boot, **said}
    return found.value


# --- what is taken ------------------------------------------------------------------------------------------------------


def test_a_batch_is_stored_byte_for_byte(process):
    items = process.session("SELECT 1", "DELETE FROM crm.orders")
    assert process.ship(items) == len(items)
    rows = from_workers()
    assert [row.canonical for row in rows] == [item["entry"] for item in items]
    assert [json.loads(row.disclosures) for row in rows] == [item["disclosures"] for item in items]
    assert [row.hash for row in rows] == [entry_hash(item["entry"].encode()).hex() for item in items]
    assert [(row.kind, row.subject, row.connection, row.decision) for row in rows[1:3]] == [
        ("statement.intended", "support-bot", "crm", "allow"), ("statement.completed", "", "", ""),
    ]  # fmt: skip
    boot = Boot.objects.get(pk=process.boot)
    assert (boot.last_seq, boot.last_hash, boot.worker) == (process.head.seq, process.head.hash, str(process.worker.pk))


def test_batches_continue_each_other(process):
    assert process.ship(process.session("SELECT 1")) == 4
    assert process.ship(process.session("SELECT 2")) == 8


def test_what_was_sent_before_is_acknowledged_again(process):
    first, second, third = process.session("SELECT 1"), process.session("SELECT 2"), process.session("SELECT 3")
    process.ship(first + second)
    assert process.ship(first) == 8
    assert process.ship(second + third) == 12
    assert process.ship(first + second + third) == 12
    assert len(from_workers()) == 12


def test_an_empty_batch_says_how_far_it_is(process):
    assert process.ship([]) == 0
    process.ship(process.session("SELECT 1"))
    assert process.ship([]) == 4


def test_a_restarted_worker_begins_a_chain_of_its_own(process):
    process.ship(process.session("SELECT 1"))
    process.ship([process.entry("worker.stopped", {})])
    ended = Boot.objects.get(pk=process.boot)
    assert ended.closed_at is not None
    process.restart()
    assert process.ship(process.session("SELECT 2")) == 4


def test_values_that_jsonb_could_not_hold_are_kept(process):
    process.ship(process.session("SELECT '\0\x01'"))
    stored = json.loads(from_workers()[1].disclosures)
    assert stored["sql"]["value"] == "SELECT '\0\x01'"


def test_an_entry_may_withhold_its_values(process):
    items = [item | {"disclosures": {}} for item in process.session("SELECT secret")]
    assert process.ship(items) == 4
    assert from_workers()[1].disclosures == "{}"


# --- what is refused ----------------------------------------------------------------------------------------------------


def test_a_gap_is_refused_and_alarmed(process):
    first, second, third = process.session("SELECT 1"), process.session("SELECT 2"), process.session("SELECT 3")
    assert refused(process, second, "gap").expected == 1
    process.ship(first)
    assert refused(process, third, "gap").expected == 5
    assert refused(process, second[:1] + second[2:], "gap").expected == 6
    assert process.ship(second + third) == 12  # and the chain goes on where the worker finds what was missing
    assert not Boot.objects.alarmed().exists()


def test_a_changed_entry_is_refused(process):
    first, second = process.session("SELECT 1"), process.session("SELECT 2")
    changed = forged(first[1], fields=json.loads(first[1]["entry"])["fields"] | {"decision": "deny"})
    refused(process, [first[0], changed, *first[2:]], "hash")
    process.ship(first)
    refused(process, [first[0], changed], "hash")  # stored already, with another content
    refused(process, [forged(second[0], prev="0" * 64)], "hash")


def test_reordered_and_repeated_entries_are_refused(process):
    items = process.session("SELECT 1")
    refused(process, [items[1], items[0]], "gap")
    refused(process, [items[0], items[2]], "gap")
    assert process.ship([items[0], items[0], items[1]]) == 2  # the same entry twice is the same entry


def test_a_value_that_was_not_committed_to_is_refused(process):
    items = process.session("SELECT 1")
    disclosures = items[1]["disclosures"]
    for bad in (
        disclosures | {"sql": disclosures["sql"] | {"value": "SELECT 2"}},
        disclosures | {"sql": disclosures["parameters"]},
        disclosures | {"comment": disclosures["sql"]},
        disclosures | {"sql": {"value": "SELECT 1"}},
        disclosures | {"sql": disclosures["sql"] | {"salt": "?"}},
        disclosures | {"sql": disclosures["sql"] | {"value": 1.5}},
        ["sql"],
    ):
        Boot.objects.update(alarm="")
        refused(process, [items[0], items[1] | {"disclosures": bad}], "malformed")


@pytest.mark.parametrize("spoil", [
    lambda item: {"entry": item["entry"] + " "},
    lambda item: {"entry": item["entry"].replace('{"boot"', '{ "boot"')},
    lambda item: {"entry": item["entry"][:-1]},
    lambda item: {"entry": item["entry"].replace('"v":1', '"v":1,"v":1')},
    lambda item: {"entry": item["entry"].replace('"v":1', '"v":1.0')},
    lambda item: {"entry": item["entry"].replace('"v":1', '"v":2')},
    lambda item: {"entry": "[" * 100_000},
    lambda item: {"entry": "\ud800"},
    lambda item: {"entry": 7},
    lambda item: {},
    lambda item: "entry",
    lambda item: None,
    lambda item: forged(item, kind="session.invented"),
    lambda item: forged(item, fields={"password": "x"}),
    lambda item: forged(item, seq=0),
    lambda item: forged(item, seq=-1),
    lambda item: forged(item, seq=True),
    lambda item: forged(item, time_us=0),
    lambda item: forged(item, time_us=2**70),
    lambda item: forged(item, time_us=time.time_ns() // 1000 + 3_600_000_000),
    lambda item: forged(item, more=1),
])  # fmt: skip
def test_what_is_malformed_is_refused(process, spoil):
    item = process.session("SELECT 1")[0]
    refused(process, [spoil(item)], "malformed")


def test_a_huge_number_is_refused_without_harm(process):
    item = process.session("SELECT 1")[0]
    refused(process, [forged(item, seq=2**80)], "gap")


def test_entries_of_another_boot_or_worker_are_refused(process):
    other = Process("host-b")
    refused(process, other.session("SELECT 1"), "boot")
    other.ship(other.session("SELECT 1")[:0])
    item = process.session("SELECT 1")[0]
    with pytest.raises(services.BatchRefused, match="another worker"):
        services.ingest(process.worker, other.boot, [item])
    assert Boot.objects.get(pk=other.boot).alarm == ""  # nobody puts an alarm on another worker's chain


def test_a_boot_that_is_no_uuid_is_refused(process):
    with pytest.raises(services.BatchRefused):
        services.ingest(process.worker, "x\0" * 100, [])
    assert alarms()[0]["error"] == "malformed"


def test_the_same_refusal_is_alarmed_once(process):
    bad = process.session("SELECT 1")[1:]
    for _ in range(3):
        with pytest.raises(services.BatchRefused):
            process.ship(bad)
    assert len(alarms()) == 1
    assert Boot.objects.get(pk=process.boot).alarm.startswith("gap:")


# --- over HTTP ----------------------------------------------------------------------------------------------------------


def post(process: Process, body: object):
    return Client().post("/api/v1/worker/audit", body, content_type="application/json", headers={"Authorization": process.bearer()})


def test_the_endpoint(process):
    items = process.session("SELECT 1")
    good = post(process, {"boot": process.boot, "entries": items})
    assert (good.status_code, good.json()) == (200, {"acknowledged": 4})
    again = post(process, {"boot": process.boot, "entries": items})
    assert (again.status_code, again.json()) == (200, {"acknowledged": 4})
    process.session("SELECT lost")
    gap = post(process, {"boot": process.boot, "entries": process.session("SELECT 3")})
    assert gap.status_code == 409
    assert (gap.json()["error"], gap.json()["expected"]) == ("gap", 5)
    assert gap.json()["detail"]


@pytest.mark.parametrize(
    "body", [{}, [], {"boot": str(uuid.uuid4())}, {"boot": 7, "entries": []}, {"boot": str(uuid.uuid4()), "entries": {}}]
)
def test_the_endpoint_refuses_nonsense(process, body):
    response = post(process, body)
    assert (response.status_code, response.json()["error"]) == (409, "malformed")


def test_a_large_batch(process):
    items = process.session(*(f"SELECT '{'x' * 3000}', {number}" for number in range(1000)))
    assert post(process, {"boot": process.boot, "entries": items}).json() == {"acknowledged": 2002}


def test_only_enrolled_workers_may_ship(process):
    items = process.session("SELECT 1")
    body = {"boot": process.boot, "entries": items}
    assert Client().post("/api/v1/worker/audit", body, content_type="application/json").status_code == 401
    Worker.objects.update(revoked_at=timezone.now())
    assert post(process, body).status_code == 401
    assert from_workers() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", [[], ["SELECT 0"]], ids=["new boot", "known boot"])
def test_the_same_batch_ten_times_at_once_is_stored_once(process, before):
    if before:
        process.ship(process.session(*before))
    items, start, answers = process.session(*["SELECT 1"] * 20), threading.Barrier(10), []

    def ship() -> None:
        start.wait()
        try:
            answers.append(process.ship(items))
        finally:
            connection.close()

    threads = [threading.Thread(target=ship) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [process.head.seq] * 10
    assert len(from_workers()) == process.head.seq
