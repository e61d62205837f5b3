"""The hash chain of one worker boot: no entry can be left out, changed or put elsewhere unseen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.ledger.entry import GENESIS, EntryError, entry_hash, parse


class ChainError(ValueError):
    """An entry does not continue the chain. ``error`` is ``gap``, ``hash``, ``malformed`` or ``boot``."""

    def __init__(self, error: str, expected: int, detail: str) -> None:
        super().__init__(detail)
        self.error = error
        self.expected = expected  # the sequence number that would continue it
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Head:
    """Where a boot's chain ends: the last sequence number (0: nothing yet) and that entry's hash (hex)."""

    worker: str
    boot: str
    seq: int = 0
    hash: str = GENESIS

    def after(self, content: bytes) -> Head:
        """The head once this entry, made by the same process, is appended."""
        return Head(self.worker, self.boot, self.seq + 1, entry_hash(content).hex())


def extend(head: Head, content: bytes) -> tuple[Head, dict[str, Any]]:
    """Check one entry against the head; returns the new head and the entry's members. Raises ChainError."""
    try:
        entry = parse(content)
    except EntryError as error:
        raise ChainError("malformed", head.seq + 1, str(error)) from None
    return follow(head, content, entry), entry


def follow(head: Head, content: bytes, entry: Mapping[str, Any]) -> Head:
    """The new head, where ``entry`` is what :func:`proxy.ledger.entry.parse` made of ``content``. Raises ChainError."""
    expected, seq = head.seq + 1, entry["seq"]
    if (entry["worker"], entry["boot"]) != (head.worker, head.boot):
        raise ChainError("boot", expected, f"entry {seq} is of worker {entry['worker']}, boot {entry['boot']}")
    if seq != expected:
        raise ChainError("gap", expected, f"entry {seq} came where {expected} was expected")
    if entry["prev"] != head.hash:
        raise ChainError("hash", expected, f"entry {seq} does not continue the entry before it")
    return head.after(content)


def extend_all(head: Head, contents: Iterable[bytes]) -> tuple[Head, list[dict[str, Any]]]:
    """Check a batch. Raises ChainError for the first that does not continue; then none of it counts."""
    entries: list[dict[str, Any]] = []
    for content in contents:
        head, entry = extend(head, content)
        entries.append(entry)
    return head, entries
