"""A small ledger to export: three boots of two workers, sealed in the order of their arrival."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.ledger import checkpoint
from proxy.ledger.chain import Head
from proxy.ledger.entry import build, entry_hash
from proxy.ledger.export import ExportEntry, write_export
from proxy.ledger.merkle import Tree

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = "ledger.example.com"
VERIFIER = checkpoint.verifier_key(NAME, KEY.public_key())
MADE_AT = 1_767_225_600
TIME_US = 1_767_225_600_000_000


def salts(count: int) -> bytes:
    return hashlib.sha256(count.to_bytes(4, "big")).digest()[:count]


class Ledger:
    """Entries in the order of the tree, with what they disclose."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.disclosures: list[dict[str, Any]] = []
        self.heads: dict[tuple[str, str], Head] = {}

    def append(self, worker: str, boot: str, kind: str, **fields: Any) -> None:
        head = self.heads.setdefault((worker, boot), Head(worker, boot))
        content, disclosures = build(
            kind, fields, worker=worker, boot=boot, seq=head.seq + 1, prev=head.hash, time_us=TIME_US + len(self.entries), salts=salts
        )
        self.heads[worker, boot] = head.after(content)
        self.entries.append(content)
        self.disclosures.append(disclosures)

    @property
    def tree(self) -> Tree:
        return Tree(map(entry_hash, self.entries))

    def note(self, key: Ed25519PrivateKey = KEY, name: str = NAME) -> str:
        return checkpoint.sign(name, len(self.entries), self.tree.root(), key, name)

    def export_entries(self, indexes: Iterable[int]) -> list[ExportEntry]:
        tree = self.tree
        return [ExportEntry(index, self.entries[index], self.disclosures[index], tuple(tree.inclusion_proof(index))) for index in indexes]

    def export(self, entries: Sequence[ExportEntry] | None = None, **selection: Any) -> bytes:
        file = io.BytesIO()
        chosen = self.export_entries(range(len(self.entries))) if entries is None else entries
        write_export(file, chosen, self.note(), KEY, selection or {"range": [0, len(self.entries)]}, MADE_AT)
        return file.getvalue()


def example() -> Ledger:
    ledger = Ledger()
    for worker, boot in (("w1", "b1"), ("w1", "b2"), ("control", "b3")):
        ledger.append(worker, boot, "worker.boot", host="host-a", pid=1, version="1")
    for number in range(6):
        boot = f"b{number % 2 + 1}"
        ledger.append(
            "w1", boot, "statement.intended", session="s", statement=str(number), subject="report-bot", decision="allow",
            actions=["select"], sql=f"SELECT 'ü', {number}", parameters=[None, "=1+1"],
        )  # fmt: skip
        ledger.append("w1", boot, "statement.completed", statement=str(number), session="s", outcome="ok", rows=number)
    ledger.append(
        "control", "b3", "approval.approved", request="r", by="dana", subject="bot", connection="crm", binding="0", comment="=cmd"
    )
    return ledger
