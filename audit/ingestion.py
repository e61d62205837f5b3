"""A worker's batch of entries, checked before a single one is stored (docs/contracts.md §5).

The boot's row is the lock: two batches of one boot are taken one after the other. Everything is decided on the text as it
arrived, since that text is what the hash covers.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit import copying, extraction, projection
from audit.models import Boot, Entry
from proxy.ledger.chain import ChainError, Head, follow
from proxy.ledger.entry import EntryError, entry_hash, parse
from proxy.ledger.verify import VerificationError, check_disclosures

EARLIEST_US = 1_577_836_800_000_000  # 2020-01-01: before that there was no such worker, so its clock is wrong
AHEAD_US = 600_000_000  # by how much a worker's clock may be fast

BatchRefused = ChainError  # nothing of the batch was stored: .error (gap, hash, malformed, boot), .expected (next seq), .detail


def store(worker: str, boot_id: uuid.UUID, entries: Sequence[Any]) -> int:
    """Add what is new of a batch to the boot's chain; returns the highest stored sequence number. Raises: BatchRefused."""
    with transaction.atomic():
        boot = _lock(worker, boot_id)
        added = _new(boot, [_read(boot, item) for item in entries])
        if added:
            rows = [row for row, _, _ in added]
            copying.number(rows)
            copying.insert(rows)
            projection.add(boot, added)
            boot.last_seq, boot.last_hash = rows[-1].seq, rows[-1].hash
            boot.closed_at = rows[-1].time if rows[-1].kind == "worker.stopped" else None
        boot.last_seen = timezone.now()
        boot.alarm, boot.alarmed_at = "", None
        boot.save()
    return boot.last_seq


def _lock(worker: str, boot_id: uuid.UUID) -> Boot:
    Boot.objects.bulk_create([Boot(id=boot_id, worker=worker)], ignore_conflicts=True)
    boot = Boot.objects.select_for_update().get(pk=boot_id)
    if boot.worker != worker:
        raise BatchRefused("boot", 1, "this boot belongs to another worker")
    return boot


def _read(boot: Boot, item: Any) -> tuple[bytes, dict[str, Any], Any]:
    """An item's canonical bytes, their members, and its disclosures, which open what the entry commits to."""
    expected = boot.last_seq + 1
    if not isinstance(item, dict) or not isinstance(item.get("entry"), str):
        raise BatchRefused("malformed", expected, "an item of the batch has no entry")
    disclosures = item.get("disclosures") or {}
    try:
        text = item["entry"].encode()
        content = parse(text)
        check_disclosures(content, disclosures)
    except (EntryError, VerificationError, UnicodeEncodeError, RecursionError) as error:
        detail = str(error) if isinstance(error, EntryError | VerificationError) else "an entry that is not Unicode, or nested too deeply"
        raise BatchRefused("malformed", expected, detail) from None
    if not EARLIEST_US <= content["time_us"] <= time.time_ns() // 1000 + AHEAD_US:
        raise BatchRefused("malformed", expected, f"entry {content['seq']} has a time that cannot be: is the worker's clock right?")
    return text, content, disclosures


def _new(boot: Boot, batch: list[tuple[bytes, dict[str, Any], Any]]) -> list[projection.Stored]:
    """What to add: the entries that continue the chain. Those that are stored already must be the same, byte for byte."""
    head = Head(boot.worker, str(boot.pk), boot.last_seq, boot.last_hash)
    again = [content["seq"] for _, content, _ in batch if content["seq"] <= boot.last_seq]
    known = dict(Entry.objects.filter(boot=boot, seq__in=again).values_list("seq", "hash"))
    added = []
    for text, content, disclosures in batch:
        digest = entry_hash(text).hex()
        if content["seq"] > head.seq:
            head = follow(head, text, content)
            known[head.seq] = head.hash
            added.append((extraction.row(boot, text.decode(), content, digest, disclosures), content, extraction.sql(disclosures)))
        elif known.get(content["seq"]) != digest:
            raise BatchRefused("hash", head.seq + 1, f"entry {content['seq']} is stored already, with another hash")
    return added
