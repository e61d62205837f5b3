"""Making an export: the selected entries with their proofs, under the latest checkpoint (docs/export-format.md).

The tree is built from the stored leaf hashes and compared with the checkpoint that was signed when they were sealed, so a table
that somebody changed or shortened yields an error instead of an export.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from audit import services
from audit.models import Checkpoint, Entry
from audit.sealing import seal, signing_key
from proxy.ledger.export import ExportEntry, write_export
from proxy.ledger.merkle import Tree

FILTERS = ("since", "until", "subject", "connection", "session", "statement")
Progress = Callable[[str], None]


class LedgerDamaged(Exception):
    """The stored entries are not those that were sealed."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished export: its id in the ledger, how many entries it holds, its bytes and their SHA-256."""

    id: str
    entries: int
    size: int
    sha256: str


def export(file: IO[bytes], *, selection: Mapping[str, Any], actor: str, progress: Progress = lambda line: None) -> Made:
    """Write the archive to ``file`` (open for reading too) and record in the ledger that it was made.

    ``selection``: any of FILTERS; times are datetimes with a zone. Raises: LedgerDamaged.
    """
    progress("sealing what waits")
    seal(wait=True)
    checkpoint = Checkpoint.objects.latest_or_none()
    if checkpoint is None:
        raise LedgerDamaged("The ledger is empty: there is no checkpoint to export under.")
    tree = _tree(checkpoint, progress)
    filters = described(selection)
    found = Entry.objects.filter(leaf_index__lt=checkpoint.size).selected(selection).order_by("leaf_index")
    manifest = write_export(
        file, _entries(found, tree, progress), checkpoint.note, signing_key(),
        {"filters": filters, "range": None if filters else [0, checkpoint.size]}, int(time.time()),
    )  # fmt: skip
    made = _made(file, manifest["counts"]["entries"])
    fields = {"export": made.id, "by": actor, "filters": filters, "entries": made.entries, "size": checkpoint.size, "sha256": made.sha256}
    services.record("export.made", fields)
    return made


def export_to(path: str, *, selection: Mapping[str, Any], actor: str, progress: Progress) -> Made:
    """The same into a file that appears only when it is whole, readable by its owner alone."""
    directory = os.path.dirname(os.path.abspath(path))
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".export-", delete=False) as file:
        try:
            made = export(file, selection=selection, actor=actor, progress=progress)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    return made


def described(selection: Mapping[str, Any]) -> dict[str, str]:
    """The filters as the manifest and the ledger say them: text only."""
    chosen = {name: selection[name] for name in FILTERS if selection.get(name)}
    return {name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value) for name, value in chosen.items()}


def _tree(checkpoint: Checkpoint, progress: Progress) -> Tree:
    leaves = Entry.objects.filter(leaf_index__lt=checkpoint.size).order_by("leaf_index").values_list("hash", flat=True)
    tree = Tree(bytes.fromhex(digest) for digest in leaves.iterator(chunk_size=20_000))
    progress(f"the tree has {len(tree)} leaves")
    if len(tree) != checkpoint.size or tree.root().hex() != checkpoint.root:
        raise LedgerDamaged(f"The ledger was tampered with: {len(tree)} stored entries do not have the root that was sealed.")
    return tree


def _entries(found: Any, tree: Tree, progress: Progress) -> Iterator[ExportEntry]:
    rows = found.values_list("leaf_index", "canonical", "disclosures").iterator(chunk_size=2_000)
    for number, (index, text, disclosures) in enumerate(rows, start=1):
        yield ExportEntry(index, text.encode(), json.loads(disclosures), tuple(tree.inclusion_proof(index, len(tree))))
        if number % 10_000 == 0:
            progress(f"{number} entries with proofs")


def _made(file: IO[bytes], entries: int) -> Made:
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Made(str(uuid.uuid4()), entries, file.tell(), digest)
