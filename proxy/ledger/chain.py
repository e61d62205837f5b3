"""The hash chain of one worker boot: no entry can be left out, changed or put elsewhere unseen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.ledger.entry import GENESIS, Entry, EntryError, entry_hash, parse


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


def extend(head: Head, content: bytes | str) -> tuple[Head, Entry]:
    """Check one entry against the head. Raises ChainError."""
    expected = head.seq + 1
    try:
        entry = parse(content)
    except EntryError as error:
        raise ChainError("malformed", expected, str(error)) from None
    if (entry.worker, entry.boot) != (head.worker, head.boot):
        raise ChainError("boot", expected, f"entry {entry.seq} is of worker {entry.worker}, boot {entry.boot}")
    if entry.seq != expected:
        raise ChainError("gap", expected, f"entry {entry.seq} came where {expected} was expected")
    if entry.prev != head.hash:
        raise ChainError("hash", expected, f"entry {entry.seq} does not continue the entry before it")
    return Head(head.worker, head.boot, entry.seq, entry.hash), entry


def extend_all(head: Head, contents: Iterable[bytes | str]) -> tuple[Head, list[Entry]]:
    """Check a batch. Raises ChainError for the first that does not continue; then none of it counts."""
    entries: list[Entry] = []
    for content in contents:
        head, entry = extend(head, content)
        entries.append(entry)
    return head, entries
