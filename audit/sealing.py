"""Sealing: entries become leaves of the Merkle tree, and a signed checkpoint says so.

One transaction under an advisory lock does both. A crash before its commit leaves the entries unsealed for the next run; there
is no moment at which leaves exist without the checkpoint that covers them.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, transaction

from audit import tree
from audit.models import Checkpoint, Entry
from proxy.ledger import checkpoint as notes

LOCK = 0x74696465_6C656166  # "tideleaf"; any number that nothing else in this database locks
BATCH = 20_000


def seal(*, wait: bool = False) -> Checkpoint | None:
    """Give every entry that waits its place in the tree, and sign the new root. None: nothing waited, or another process seals.

    ``wait``: let the other process finish, then seal what it left.
    """
    sealed = None
    while True:
        step = _seal_batch(wait)
        if step is None:
            return sealed
        sealed = step


def _seal_batch(wait: bool) -> Checkpoint | None:
    with transaction.atomic():
        if not _locked(wait):
            return None
        waiting = list(Entry.objects.unsealed().values_list("id", "hash")[:BATCH])
        if not waiting:
            return None
        last = Checkpoint.objects.latest_or_none()
        before = last.size if last else 0
        edge = [bytes.fromhex(node) for node in last.frontier] if last else []
        edge, size = tree.extend(edge, before, (bytes.fromhex(digest) for _, digest in waiting))
        _place([pk for pk, _ in waiting], before)
        root = tree.root(edge)
        note = notes.sign(origin(), size, root, signing_key(), origin())
        return Checkpoint.objects.create(size=size, root=root.hex(), note=note, frontier=[node.hex() for node in edge])


def _locked(wait: bool) -> bool:
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _place(ids: list[int], first: int) -> None:
    """Set the leaf indexes ``first``, ``first + 1``, … Fails where an index is taken: the tables were tampered with."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE audit_entry AS entry SET leaf_index = place.leaf "
            "FROM unnest(%s::bigint[], %s::bigint[]) AS place (id, leaf) WHERE entry.id = place.id",
            [ids, list(range(first, first + len(ids)))],
        )


def origin() -> str:
    """The ledger's name in its checkpoints (C2SP tlog-checkpoint): this control plane's public host."""
    return f"{urlsplit(settings.TIDEGATE_PUBLIC_URL).netloc}/audit"


def signing_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(settings.TIDEGATE_SIGNING_SEED)


def verifier_key() -> str:
    """The ledger's public key as auditors get it (C2SP signed note: ``name+hash+base64``)."""
    return str(notes.verifier_key(origin(), signing_key().public_key()))
