"""Writing an export: entries, disclosures and proofs under one signed manifest (docs/export-format.md)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.ledger import verify
from proxy.ledger.checkpoint import key_names
from proxy.ledger.checkpoint import verify as verify_checkpoint
from proxy.ledger.verify import EXPORT_FORMAT, MANIFEST_CONTEXT, canonical

# Columns of entries.csv beside the leaf's index; the rest of an entry's fields follows as JSON in the last one.
ENTRY_COLUMNS = ("kind", "worker", "boot", "seq")
FIELD_COLUMNS = (
    "session", "statement", "subject", "issuer", "connection", "database", "client", "application", "run",
    "decision", "reason", "outcome", "rows", "sqlstate", "sql",
)  # fmt: skip
WITHHELD = "(withheld)"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would calculate


@dataclass(frozen=True, slots=True)
class ExportEntry:
    """One leaf: its index in the tree, canonical bytes, what is disclosed, and the inclusion proof (32 bytes a step)."""

    index: int
    entry: bytes
    disclosures: Mapping[str, Any] = field(default_factory=dict)
    proof: tuple[bytes, ...] = ()


def write_export(
    file: IO[bytes],
    entries: Iterable[ExportEntry],
    checkpoint: str,
    signing_key: Ed25519PrivateKey,
    selection: Mapping[str, object],
    made_at: int,
) -> dict[str, Any]:
    """Write the archive and return its manifest.

    ``entries`` ascend by index and carry proofs to ``checkpoint`` (a signed note of ``signing_key``); ``selection`` says
    in words of the caller what was asked for, and with ``"range": [first, end]`` claims every leaf in it; ``made_at``
    in seconds since the epoch. Raises VerificationError where the checkpoint is not this key's.
    """
    signed = verify_checkpoint(checkpoint, signing_key.public_key())
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archiver = _Archiver(archive, made_at)
        table = io.StringIO(newline="")
        counts = archiver.entries(entries, csv.writer(table, lineterminator="\r\n"))
        archiver.add("entries.csv", table.getvalue().encode())
        archiver.add("checkpoint.txt", checkpoint.encode())
        archiver.add("verify.py", Path(verify.__file__).read_bytes())
        archiver.add("README.txt", _readme(key_names(checkpoint)[0]).encode())
        manifest = {
            "format": EXPORT_FORMAT,
            "made_at": made_at,
            "selection": dict(selection),
            "counts": counts,
            "files": dict(archiver.digests),
            "checkpoint": {"origin": signed.origin, "size": signed.size, "root": signed.root.hex()},
        }
        content = canonical(manifest).encode() + b"\n"
        archiver.add("manifest.json", content)
        archiver.add("manifest.sig", base64.b64encode(signing_key.sign(MANIFEST_CONTEXT + content)) + b"\n")
    return manifest


class _Archiver:
    """Adds files to the archive and remembers their digests."""

    def __init__(self, archive: zipfile.ZipFile, made_at: int) -> None:
        self._archive = archive
        self._date = datetime.fromtimestamp(made_at, UTC).timetuple()[:6]
        self.digests: dict[str, str] = {}

    def add(self, name: str, content: bytes) -> None:
        self.digests[name] = hashlib.sha256(content).hexdigest()
        with self._open(name) as stream:
            stream.write(content)

    def entries(self, entries: Iterable[ExportEntry], table: Any) -> dict[str, int]:
        """Stream the entries into entries.jsonl and their rows into the table; returns the manifest's counts."""
        counts = {"entries": 0, "disclosed": 0, "withheld": 0}
        digest = hashlib.sha256()
        table.writerow(("index", "time", *ENTRY_COLUMNS, *FIELD_COLUMNS, "other"))
        with self._open("entries.jsonl") as stream:
            for item in entries:
                members = verify.read_entry(item.entry.decode())
                line = canonical(_line(item)).encode() + b"\n"
                digest.update(line)
                stream.write(line)
                table.writerow(_row(item, members))
                counts["entries"] += 1
                counts["disclosed"] += len(item.disclosures)
                counts["withheld"] += len(members["commitments"]) - len(item.disclosures)
        self.digests["entries.jsonl"] = digest.hexdigest()
        return counts

    def _open(self, name: str) -> IO[bytes]:
        info = zipfile.ZipInfo(name, (self._date[0], *self._date[1:]))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        return self._archive.open(info, "w", force_zip64=True)


def _line(item: ExportEntry) -> dict[str, object]:
    proof = [base64.b64encode(step).decode() for step in item.proof]
    return {"index": item.index, "entry": item.entry.decode(), "disclosures": dict(item.disclosures), "proof": proof}


def _row(item: ExportEntry, members: Mapping[str, Any]) -> list[str]:
    shown = dict(members["fields"])
    for name in members["commitments"]:
        shown[name] = item.disclosures[name]["value"] if name in item.disclosures else WITHHELD
    time = datetime.fromtimestamp(members["time_us"] / 1_000_000, UTC).isoformat(timespec="microseconds")
    row = [str(item.index), time, *(_cell(members[name]) for name in ENTRY_COLUMNS)]
    row += [_cell(shown.pop(name, "")) for name in FIELD_COLUMNS]
    return [*row, canonical(shown)]


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else canonical(value)
    return "'" + text if text.startswith(FORMULA) else text


def _readme(key_name: str) -> str:
    return f"""An export of the audit ledger "{key_name}".

entries.jsonl    the evidence: one entry a line, with its proof of inclusion in the ledger
entries.csv      the same for people and spreadsheets
checkpoint.txt   size and root of the ledger at that moment, signed
manifest.json    what was selected, how many entries there are, and the digest of every file
manifest.sig     the signature on manifest.json
verify.py        the verifier

To verify, with Python 3.11 or later and its package "cryptography" (pip install cryptography):

    python verify.py THIS_ARCHIVE.zip --key KEY

KEY is the ledger's public key, "{key_name}+…+…", which the auditee publishes. Take the key, and better the verifier
too, from there and not from this archive: whoever forged an archive would put a fitting verifier into it.
Values that were withheld or erased show as {WITHHELD} in entries.csv; the entries that committed to them still verify.
"""
