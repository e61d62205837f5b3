"""A worker's batch of entries, checked before a single one is stored (docs/contracts.md §5).

The boot's row is the lock: two batches of one boot are taken one after the other. Everything is decided on the text as it
arrived, since that text is what the hash covers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit import extraction
from audit.models import Boot, Entry
from proxy.ledger import entry as ledger

EARLIEST_US = 1_577_836_800_000_000  # 2020-01-01: before that there was no such worker, so its clock is wrong
AHEAD_US = 600_000_000  # by how much a worker's clock may be fast
_KEYS = {"v", "kind", "worker", "boot", "seq", "prev", "time_us", "fields", "commitments"}


class BatchRefused(Exception):
    """Nothing of the batch was stored. ``error`` is ``gap``, ``hash``, ``malformed`` or ``boot``; ``expected`` the next sequence number."""

    def __init__(self, error: str, expected: int, detail: str) -> None:
        super().__init__(f"{error}: {detail}")
        self.error, self.expected, self.detail = error, expected, detail


def store(worker: str, boot_id: uuid.UUID, entries: Sequence[Any]) -> int:
    """Add what is new of a batch to the boot's chain; returns the highest stored sequence number. Raises: BatchRefused."""
    with transaction.atomic():
        boot = _lock(worker, boot_id)
        rows = _rows(boot, entries)
        Entry.objects.bulk_create(rows, batch_size=500)
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


def _rows(boot: Boot, entries: Sequence[Any]) -> list[Entry]:
    """The rows to add; moves ``boot`` on to the chain's new end."""
    rows = []
    batch = [_read(boot, item) for item in entries]
    known = _known_hashes(boot, [content["seq"] for _, content, _ in batch])
    latest = time.time_ns() // 1000 + AHEAD_US
    for text, content, disclosures in batch:
        digest = ledger.entry_hash(text.encode()).hex()
        if content["seq"] <= boot.last_seq:
            if known.get(content["seq"]) != digest:
                raise BatchRefused("hash", boot.last_seq + 1, f"entry {content['seq']} is stored already, with another hash")
            continue
        _check_link(boot, content)
        if not EARLIEST_US <= content["time_us"] <= latest:
            raise BatchRefused("malformed", boot.last_seq + 1, f"entry {content['seq']} has a time that cannot be: is the clock right?")
        _check_disclosures(boot, content, disclosures)
        rows.append(extraction.row(boot, text, content, digest, disclosures))
        boot.last_seq, boot.last_hash = content["seq"], digest
        known[boot.last_seq] = digest
        boot.closed_at = rows[-1].time if content["kind"] == "worker.stopped" else None
    return rows


def _known_hashes(boot: Boot, seqs: list[int]) -> dict[int, str]:
    """Hashes of what is stored already: an acknowledgement that got lost makes a worker send entries again."""
    again = [seq for seq in seqs if seq <= boot.last_seq]
    return dict(Entry.objects.filter(boot=boot, seq__in=again).values_list("seq", "hash")) if again else {}


def _read(boot: Boot, item: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    expected = boot.last_seq + 1
    try:
        text, disclosures = item["entry"], item.get("disclosures") or {}
        content = json.loads(text)
        canonical = ledger.canonical(content) == text.encode()
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise BatchRefused("malformed", expected, "an entry is not JSON text in the agreed form") from None
    if not canonical or not isinstance(content, dict) or not isinstance(disclosures, dict):
        raise BatchRefused("malformed", expected, "an entry is not in canonical form")
    problem = _problem(boot, content)
    if problem:
        raise BatchRefused("malformed", expected, problem)
    return text, content, disclosures


def _problem(boot: Boot, content: Mapping[str, Any]) -> str:
    if set(content) != _KEYS or content["v"] != 1:
        return "an entry has other keys than version 1 has"
    if (content["worker"], content["boot"]) != (boot.worker, str(boot.pk)):
        return "an entry names another worker or boot than the one that sent it"
    if content["kind"] not in ledger.CLASSES:
        return "an entry is of an unknown kind"
    if not all(type(content[name]) is int and 0 < content[name] < 2**63 for name in ("seq", "time_us")):
        return "seq and time_us are positive integers"
    if not isinstance(content["fields"], dict) or not isinstance(content["commitments"], dict):
        return "fields and commitments are objects"
    return ""


def _check_link(boot: Boot, content: Mapping[str, Any]) -> None:
    expected = boot.last_seq + 1
    if content["seq"] != expected:
        raise BatchRefused("gap", expected, f"entry {expected} is missing: {content['seq']} came instead")
    if content["prev"] != boot.last_hash:
        raise BatchRefused("hash", expected, f"entry {expected} does not continue the chain")


def _check_disclosures(boot: Boot, content: Mapping[str, Any], disclosures: Mapping[str, Any]) -> None:
    """Every value must be the one that was committed to, else no export that holds it would verify."""
    for name, disclosed in disclosures.items():
        try:
            salt = base64.b64decode(disclosed["salt"], validate=True)
            digest = hashlib.sha256(salt + ledger.canonical(disclosed["value"])).hexdigest()
        except (KeyError, TypeError, ValueError, binascii.Error, RecursionError):
            detail = f"the disclosure of {name} in entry {content['seq']} cannot be read"
            raise BatchRefused("malformed", boot.last_seq + 1, detail) from None
        if set(disclosed) != {"salt", "value"} or content["commitments"].get(name) != digest:
            raise BatchRefused("hash", boot.last_seq + 1, f"the disclosed {name} of entry {content['seq']} is not what was committed to")
