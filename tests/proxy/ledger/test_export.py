"""Writing exports: exactly the files of the format, stable bytes, and a table that a spreadsheet cannot run."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.ledger.export import WITHHELD, ExportEntry, write_export
from proxy.ledger.verify import VerificationError, verify_export
from tests.proxy.ledger.evidence import MADE_AT, VERIFIER, example


def opened(export: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(export))


def table(export: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(opened(export).read("entries.csv").decode(), newline="")))


def test_exactly_the_files_of_the_format_with_their_digests() -> None:
    archive = opened(example().export())
    assert sorted(archive.namelist()) == [
        "README.txt", "checkpoint.txt", "entries.csv", "entries.jsonl", "manifest.json", "manifest.sig", "verify.py",
    ]  # fmt: skip
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["files"] == {
        name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist() if not name.startswith("manifest")
    }
    assert manifest["counts"] == {"entries": 16, "disclosed": 13, "withheld": 0}
    assert manifest["made_at"] == MADE_AT


def test_the_same_evidence_gives_the_same_bytes() -> None:
    assert example().export() == example().export()


def test_a_selection_of_entries() -> None:
    ledger = example()
    report = verify_export(io.BytesIO(ledger.export(ledger.export_entries([3, 5, 7]), filters={"subject": "report-bot"})), VERIFIER)
    assert report.ok
    assert report.entries == 3
    assert report.kinds == {"statement.intended": 3}


def test_nothing_selected_is_an_export_too() -> None:
    ledger = example()
    assert verify_export(io.BytesIO(ledger.export([], filters={"subject": "nobody"})), VERIFIER).ok


def test_withheld_values_verify_and_are_counted() -> None:
    ledger = example()
    entries = [ExportEntry(item.index, item.entry, {}, item.proof) for item in ledger.export_entries(range(16))]
    export = ledger.export(entries)
    report = verify_export(io.BytesIO(export), VERIFIER)
    assert report.ok
    assert (report.disclosed, report.withheld) == (0, 13)
    assert b"SELECT" not in opened(export).read("entries.jsonl")
    assert table(export)[3]["sql"] == WITHHELD


def test_the_table_is_for_people() -> None:
    rows = table(example().export())
    assert len(rows) == 16
    assert rows[3]["sql"] == "SELECT 'ü', 0"
    assert rows[3]["time"] == "2026-01-01T00:00:00.000003+00:00"
    assert rows[4]["outcome"] == "ok"


def test_a_spreadsheet_finds_no_formula() -> None:
    ledger = example()
    ledger.append("w1", "b9", "statement.intended", subject="=HYPERLINK()", sql="-- @", reason="+1", application="@x", run="\tx")
    row = table(ledger.export())[-1]
    for name in ("subject", "sql", "reason", "application", "run"):
        assert row[name].startswith("'"), name


def test_another_key_than_the_checkpoints_is_refused() -> None:
    ledger = example()
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(VerificationError):
        write_export(io.BytesIO(), [], ledger.note(), other, {}, MADE_AT)
