"""Sealing, and tables that nobody can rewrite."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from audit import sealing, services, tree
from audit.models import Checkpoint, Entry
from proxy.ledger import checkpoint as notes
from proxy.ledger import merkle
from proxy.ledger.verify import verify_consistency

pytestmark = pytest.mark.django_db
LEAVES = st.lists(st.binary(min_size=32, max_size=32), max_size=70)


def run(statement: str) -> None:
    """One statement in a transaction of its own, with constraints checked at once: they must not hide what the triggers say."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {statement}")


@given(LEAVES, LEAVES)
def test_the_edge_gives_the_root_of_the_whole_tree(first, second):
    edge, size = tree.extend([], 0, first)
    assert (tree.root(edge), size) == (merkle.root(first), len(first))
    edge, size = tree.extend(edge, size, second)
    assert (tree.root(edge), size) == (merkle.root(first + second), len(first + second))


def leaves() -> list[bytes]:
    return [bytes.fromhex(digest) for digest in Entry.objects.sealed().order_by("leaf_index").values_list("hash", flat=True)]


def test_entries_become_leaves_under_a_signed_checkpoint(process):
    assert sealing.seal() is None
    process.ship(process.session("SELECT 1", "SELECT 2"))
    first = sealing.seal()
    assert first.size == 6
    assert list(Entry.objects.order_by("id").values_list("leaf_index", flat=True)) == list(range(6))
    assert bytes.fromhex(first.root) == merkle.root(leaves())
    signed = notes.verify(first.note, notes.read_key(sealing.verifier_key()))
    assert (signed.origin, signed.size, signed.root.hex()) == (sealing.origin(), 6, first.root)
    assert sealing.seal() is None


def test_a_later_checkpoint_continues_the_earlier_one(process):
    checkpoints = []
    for count in (1, 2, 5, 3):
        process.ship(process.session(*["SELECT 1"] * count))
        checkpoints.append(sealing.seal())
    hashes = leaves()
    assert len(hashes) == checkpoints[-1].size
    for early, late in pairwise(checkpoints):
        proof = merkle.consistency_proof(hashes[: late.size], early.size)
        assert verify_consistency(early.size, late.size, proof, bytes.fromhex(early.root), bytes.fromhex(late.root))


def test_many_entries_are_sealed_in_one_go(process, monkeypatch):
    monkeypatch.setattr(sealing, "BATCH", 7)
    process.ship(process.session(*["SELECT 1"] * 20))
    last = sealing.seal()
    assert last.size == 42
    assert bytes.fromhex(last.root) == merkle.root(leaves())
    assert Checkpoint.objects.count() == 6


@pytest.mark.django_db(transaction=True)
def test_ten_sealers_at_once_seal_each_entry_once(process, monkeypatch):
    monkeypatch.setattr(sealing, "BATCH", 5)
    process.ship(process.session(*["SELECT 1"] * 50))
    start = threading.Barrier(10)

    def work() -> None:
        start.wait()
        sealing.seal()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealing.seal(wait=True)
    checkpoint = Checkpoint.objects.latest_or_none()
    assert checkpoint.size == 102
    assert bytes.fromhex(checkpoint.root) == merkle.root(leaves())


@pytest.mark.django_db(transaction=True)
def test_sealing_that_fails_changes_nothing(process, monkeypatch):
    process.ship(process.session("SELECT 1"))
    monkeypatch.setattr(sealing.notes, "sign", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sealing.seal()
    assert not Entry.objects.sealed().exists()
    assert not Checkpoint.objects.exists()


# --- append-only --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [
    "UPDATE audit_entry SET canonical = canonical || ' '", "UPDATE audit_entry SET disclosures = '{}'",
    "UPDATE audit_entry SET subject = ''",
    "UPDATE audit_entry SET leaf_index = NULL", "UPDATE audit_entry SET leaf_index = leaf_index + 1000",
    "UPDATE audit_entry SET seq = seq",
    "UPDATE audit_entry SET subject = 'x', leaf_index = 99", "DELETE FROM audit_entry", "TRUNCATE audit_entry",
    "TRUNCATE audit_entry CASCADE",
    "UPDATE audit_checkpoint SET root = root", "DELETE FROM audit_checkpoint", "TRUNCATE audit_checkpoint",
])  # fmt: skip
def test_the_database_refuses_to_rewrite_the_ledger(process, statement):
    process.ship(process.session("SELECT 1"))
    sealing.seal()
    before = list(Entry.objects.order_by("id").values())
    with pytest.raises(IntegrityError, match="append-only"):
        run(statement)
    assert list(Entry.objects.order_by("id").values()) == before


def test_an_unsealed_entry_takes_its_leaf_index_and_nothing_else():
    entry = services.record("export.made", {"export": "e", "by": "ari", "filters": {}, "entries": 0, "size": 0, "sha256": ""})
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Entry.objects.filter(pk=entry.pk).update(leaf_index=5, subject="nobody")
    assert Entry.objects.filter(pk=entry.pk).update(leaf_index=5) == 1


def test_a_boot_with_entries_cannot_be_removed(process):
    process.ship(process.session("SELECT 1"))
    with pytest.raises(IntegrityError):
        run("DELETE FROM audit_boot")
