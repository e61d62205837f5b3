"""The control plane's own entries: part of the change that they speak of, one chain per process."""

from __future__ import annotations

import json
import os
import threading

import pytest
from django.db import connection, transaction

from audit import services
from audit.models import NO_HASH, Boot, Entry
from proxy.ledger.chain import Head, extend_all
from proxy.ledger.entry import EntryError

pytestmark = pytest.mark.django_db
FIELDS = {"request": "r", "by": "dana", "subject": "bot", "connection": "crm", "binding": "ab", "comment": "so be it"}


class Undone(Exception):
    """The change that an entry speaks of did not happen."""


@transaction.atomic
def record_and_undo() -> None:
    services.record("approval.approved", FIELDS)
    raise Undone


def own_chain() -> list[str]:
    return list(Entry.objects.filter(boot__worker="control").order_by("boot", "seq").values_list("canonical", flat=True))


def test_an_entry_and_its_boot():
    entry = services.record("approval.approved", FIELDS)
    assert (entry.kind, entry.subject, entry.connection, entry.seq) == ("approval.approved", "bot", "crm", 2)
    first = json.loads(own_chain()[0])
    assert (first["kind"], first["seq"], first["prev"], first["worker"]) == ("worker.boot", 1, NO_HASH, "control")
    assert first["fields"]["pid"] == os.getpid()
    content = json.loads(entry.canonical)
    assert "comment" not in content["fields"]
    assert json.loads(entry.disclosures)["comment"]["value"] == "so be it"


def test_the_chain_holds():
    for _ in range(5):
        services.record("approval.approved", FIELDS)
    boot = Boot.objects.get()
    head, entries = extend_all(Head("control", str(boot.pk)), [text.encode() for text in own_chain()])
    assert (head.seq, head.hash, len(entries)) == (6, boot.last_hash, 6)


def test_a_change_that_is_undone_leaves_no_entry_and_no_hole():
    services.record("approval.approved", FIELDS)
    with pytest.raises(Undone):
        record_and_undo()
    assert services.record("approval.approved", FIELDS).seq == 3


@pytest.mark.django_db(transaction=True)
def test_the_first_entry_undone_takes_its_boot_along_and_the_next_begins_anew():
    with pytest.raises(Undone):
        record_and_undo()
    assert not Boot.objects.exists()
    assert services.record("approval.approved", FIELDS).seq == 2


def test_what_is_not_classified_is_not_recorded():
    for kind, fields in (
        ("approval.invented", FIELDS),
        ("approval.approved", FIELDS | {"password": "x"}),
        ("approval.approved", {"by": 1.5}),
    ):
        with pytest.raises(EntryError):
            services.record(kind, fields)
    assert not Entry.objects.filter(kind__startswith="approval").exists()


@pytest.mark.django_db(transaction=True)
def test_ten_threads_make_one_chain():
    start = threading.Barrier(10)

    def work() -> None:
        start.wait()
        for _ in range(5):
            services.record("approval.approved", FIELDS)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    boot = Boot.objects.get()
    assert extend_all(Head("control", str(boot.pk)), [text.encode() for text in own_chain()])[0].seq == 51


@pytest.mark.django_db(transaction=True)
def test_a_forked_process_has_a_chain_of_its_own():
    services.record("approval.approved", FIELDS)
    mine = services._process.boot
    connection.close()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # the child says its boot and ends without cleaning up what is the parent's
        os.write(writing, str(services._process.boot).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = pipe.read()
    assert len(theirs) == 36
    assert theirs != str(mine)
    assert services._process.boot == mine
