"""Verify a Tidegate audit export, on a machine that has nothing of Tidegate but this file.

    python verify.py EXPORT --key KEY

EXPORT is the zip archive. KEY is the ledger's public key in the verifier format of C2SP signed notes
(``name+hash+base64``) or a file that holds it; get it from the auditee's published place, not from the archive.
Needs Python 3.11 and the package ``cryptography``. Exit code: 0 all holds, 1 something does not, 2 it could not be tried.

What is checked, in this order: the archive holds exactly the files that its manifest lists, with those digests; the
manifest and the checkpoint are signed by KEY; every entry is canonical JSON, in the order of the tree and once only; its
inclusion proof leads to the checkpoint's root (RFC 9162, 2.1.3); every disclosed value matches the commitment in its
entry; the per-boot hash chain holds wherever both neighbours are there; the counts are those of the manifest.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EXPORT_FORMAT = "tidegate-export/1"
MANIFEST_CONTEXT = b"tidegate-export-manifest/1\n"  # so that no other signature of the key can pass for a manifest's
FILES = ("README.txt", "checkpoint.txt", "entries.csv", "entries.jsonl", "verify.py")  # beside manifest.json and manifest.sig
ENTRY_KEYS = {"v", "kind", "worker", "boot", "seq", "prev", "time_us", "fields", "commitments"}
GENESIS = "0" * 64
ED25519_NOTE = b"\x01"  # signature type of C2SP signed notes
MAX_PROBLEMS = 50
MAX_LINE = 64 * 1024 * 1024  # bytes; a longer line of entries.jsonl is not read
MAX_SMALL_FILE = 16 * 1024 * 1024  # bytes; manifest, signature and checkpoint


class VerificationError(ValueError):
    """One thing that does not hold; the message says what and where."""


# --- canonical JSON ---------------------------------------------------------------------------------------------------


def canonical(value: object) -> str:
    """JSON with sorted keys, without white space; text, integers, booleans, null, lists and objects only."""
    check_plain(value)
    return _encode(value)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def read_canonical(text: str) -> Any:
    """The value of a canonical text. Raises VerificationError for any other spelling, duplicate keys included."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float)
        spelt = canonical(value)
    except VerificationError:
        raise
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"not JSON: {type(error).__name__}") from None
    if spelt != text:
        raise VerificationError("not in canonical form")
    return value


def check_plain(value: object) -> None:
    """Raises VerificationError for what canonical JSON does not hold."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise VerificationError("text that is not Unicode") from None
    elif isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise VerificationError("an object key that is not text")
            check_plain(name)
            check_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_plain(item)
    elif value is not None and not isinstance(value, int):
        raise VerificationError(f"a {type(value).__name__} where only text and integers may stand")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise VerificationError("the same key twice in one object")
    return found


def _no_float(text: str) -> object:
    raise VerificationError("a number that is not an integer")


# --- Merkle tree (RFC 9162, 2.1) --------------------------------------------------------------------------------------


def leaf_hash(content: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf hash is at ``index`` of the tree with this size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, digest = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            digest = node_hash(sibling, digest)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and digest == root


def verify_consistency(first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> bool:
    """Whether the tree of size ``first`` is the beginning of that of size ``second`` (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


# --- signed notes and checkpoints (C2SP signed-note, tlog-checkpoint) -------------------------------------------------


@dataclass(frozen=True)
class VerifierKey:
    name: str
    public_key: bytes  # Ed25519, 32 bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519_NOTE + self.public_key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519_NOTE + self.public_key).decode()}"

    def holds(self, signature: bytes, content: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, content)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes


def read_key(text: str) -> VerifierKey:
    """A verifier key, ``name+hash+base64``. Raises VerificationError."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not parts[0] or re.search(r"\s", text.strip()):
        raise VerificationError("the key is not in the form name+hash+base64")
    raw = _base64(parts[2], "the key")
    if raw[:1] != ED25519_NOTE or len(raw) != 33:
        raise VerificationError("the key is not an Ed25519 key")
    key = VerifierKey(parts[0], raw[1:])
    if key.key_id.hex() != parts[1]:
        raise VerificationError("the key's hash does not fit its name and content")
    return key


def open_note(text: str, key: VerifierKey) -> str:
    """The text of a signed note, its last newline included, if ``key`` signed it. Raises VerificationError."""
    body, separator, signatures = text.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise VerificationError("not a signed note")
    signed = body + "\n"
    names: list[str] = []
    for line in signatures[:-1].split("\n"):
        match = re.fullmatch(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/=]+)", line)
        if match is None:
            raise VerificationError("not a signed note: a malformed signature line")
        raw = _base64(match[2], "a signature line")
        names.append(f"{match[1]}+{raw[:4].hex()}")
        if match[1] == key.name and raw[:4] == key.key_id:
            if key.holds(raw[4:], signed.encode()):
                return signed
            raise VerificationError(f"the signature of {key.name} does not hold")
    raise VerificationError(f"not signed by {key.name}+{key.key_id.hex()}, but by {', '.join(names)}")


def read_checkpoint(body: str) -> Checkpoint:
    """Origin, tree size and root of a checkpoint's text. Raises VerificationError."""
    lines = body.split("\n")
    if len(lines) < 4 or lines[-1] != "" or not all(lines[:-1]):
        raise VerificationError("not a checkpoint: expected origin, size and root on lines of their own")
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        raise VerificationError("not a checkpoint: the second line is no tree size")
    root = _base64(lines[2], "the checkpoint's root")
    if len(root) != 32:
        raise VerificationError("not a checkpoint: the root is not 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def _base64(text: str, where: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError(f"{where} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise VerificationError(f"{where} is not canonical base64")
    return raw


# --- entries ----------------------------------------------------------------------------------------------------------


def read_entry(text: str) -> dict[str, Any]:
    """The members of an entry's canonical text. Raises VerificationError."""
    entry = read_canonical(text)
    if not isinstance(entry, dict) or set(entry) != ENTRY_KEYS:
        raise VerificationError("not an entry: its members are not those of version 1")
    whole = all(type(entry[name]) is int and entry[name] >= 0 for name in ("v", "seq", "time_us"))
    words = all(isinstance(entry[name], str) and entry[name] for name in ("kind", "worker", "boot", "prev"))
    maps = isinstance(entry["fields"], dict) and isinstance(entry["commitments"], dict)
    if not (whole and words and maps) or entry["v"] != 1 or entry["seq"] < 1 or not _is_digest(entry["prev"]):
        raise VerificationError("not an entry: a member has the wrong type")
    if not all(map(_is_digest, entry["commitments"].values())) or set(entry["fields"]) & set(entry["commitments"]):
        raise VerificationError("not an entry: malformed commitments")
    if entry["seq"] == 1 and entry["prev"] != GENESIS:
        raise VerificationError("the first entry of a boot has a predecessor")
    return entry


def commitment(salt: bytes, value: object) -> str:
    """SHA-256 (hex) over the salt and the value's canonical JSON."""
    return hashlib.sha256(salt + canonical(value).encode()).hexdigest()


def check_disclosures(entry: Mapping[str, Any], disclosures: object) -> int:
    """How many commitments were opened; every disclosed value must match its own. Raises VerificationError."""
    if not isinstance(disclosures, dict):
        raise VerificationError("the disclosures are not an object")
    for name, disclosure in disclosures.items():
        if name not in entry["commitments"]:
            raise VerificationError(f"field {name!r} is disclosed but was never committed to")
        if not isinstance(disclosure, dict) or set(disclosure) != {"salt", "value"} or not isinstance(disclosure["salt"], str):
            raise VerificationError(f"the disclosure of field {name!r} is malformed")
        salt = _base64(disclosure["salt"], f"the salt of field {name!r}")
        if len(salt) != 16 or commitment(salt, disclosure["value"]) != entry["commitments"][name]:
            raise VerificationError(f"the disclosed value of field {name!r} does not match its commitment")
    return len(disclosures)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


# --- the export -------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What was found. ``ok`` only if every check passed."""

    problems: list[str] = field(default_factory=list)
    entries: int = 0
    disclosed: int = 0
    withheld: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    checkpoint: Checkpoint | None = None
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.problems and self.checkpoint is not None

    def problem(self, where: str, error: object) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"{where}: {error}")
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append("… and more")

    def lines(self) -> list[str]:
        """For people."""
        if not self.ok:
            return ["FAILED: this export does not verify.", *(f"  - {problem}" for problem in self.problems)]
        assert self.checkpoint is not None
        made = datetime.fromtimestamp(self.manifest["made_at"], UTC).isoformat()
        return [
            "OK: every entry is in the ledger, unchanged.",
            f"  ledger     {self.checkpoint.origin}",
            f"  checkpoint size {self.checkpoint.size}, root {self.checkpoint.root.hex()}",
            f"  made at    {made}",
            f"  selection  {canonical(self.manifest['selection'])}",
            f"  entries    {self.entries} ({', '.join(f'{kind} {count}' for kind, count in sorted(self.kinds.items()))})",
            f"  values     {self.disclosed} disclosed and matching, {self.withheld} withheld",
        ]


def verify_export(path: str | os.PathLike[str] | IO[bytes], key: VerifierKey | str) -> Report:
    """Check the archive at ``path`` against the ledger's key. Never raises for what the archive holds."""
    report = Report()
    try:
        trusted = key if isinstance(key, VerifierKey) else read_key(key)
        with zipfile.ZipFile(path) as archive:
            _verify_archive(archive, trusted, report)
    except VerificationError as error:
        report.problem("export", error)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        report.problem("export", f"the archive cannot be read: {type(error).__name__}: {error}")
    except Exception as error:  # an archive made to confuse must end as a clear no
        report.problem("export", f"the archive is malformed: {type(error).__name__}")
    return report


def _verify_archive(archive: zipfile.ZipFile, key: VerifierKey, report: Report) -> None:
    names = [info.filename for info in archive.infolist()]
    expected = {*FILES, "manifest.json", "manifest.sig"}
    for name in sorted({name for name in names if names.count(name) > 1 or name not in expected} | (expected - set(names))):
        count = names.count(name)
        report.problem(name, "missing" if not count else "not a part of an export" if name not in expected else f"there {count} times")
    if report.problems:
        return
    raw = _small(archive, "manifest.json")
    _step(report, "manifest.sig", lambda: _check_manifest_signature(raw, _small(archive, "manifest.sig"), key))
    report.manifest = _step(report, "manifest.json", lambda: _read_manifest(raw)) or {}
    for name in FILES:
        if report.manifest and _digest(archive, name) != report.manifest["files"][name]:
            report.problem(name, "was changed: its digest is not that of the manifest")
    note = _small(archive, "checkpoint.txt")
    report.checkpoint = _step(report, "checkpoint.txt", lambda: read_checkpoint(open_note(note.decode(), key)))
    if report.checkpoint is None or not report.manifest:
        return
    _step(report, "manifest.json", lambda: _check_same_checkpoint(report))
    _verify_entries(archive, report)


def _step(report: Report, where: str, check: Any) -> Any:
    try:
        return check()
    except VerificationError as error:
        report.problem(where, error)
    except UnicodeDecodeError:
        report.problem(where, "not UTF-8")
    return None


def _check_manifest_signature(manifest: bytes, signature: bytes, key: VerifierKey) -> None:
    raw = _base64(signature.decode("ascii", "replace").removesuffix("\n"), "the signature")
    if not key.holds(raw, MANIFEST_CONTEXT + manifest):
        raise VerificationError(f"the manifest is not signed by {key.name}+{key.key_id.hex()}, or was changed")


def _read_manifest(raw: bytes) -> dict[str, Any]:
    manifest = read_canonical(raw.decode().removesuffix("\n"))
    if not isinstance(manifest, dict) or manifest.get("format") != EXPORT_FORMAT:
        raise VerificationError(f"not a manifest of {EXPORT_FORMAT}")
    if set(manifest) != {"format", "made_at", "selection", "counts", "files", "checkpoint"}:
        raise VerificationError("its members are not those of this format")
    whole = type(manifest["made_at"]) is int and isinstance(manifest["selection"], dict)
    counts, files = manifest["counts"], manifest["files"]
    if not whole or not isinstance(counts, dict) or set(counts) != {"entries", "disclosed", "withheld"}:
        raise VerificationError("a member has the wrong type")
    if not isinstance(files, dict) or set(files) != set(FILES) or not all(map(_is_digest, files.values())):
        raise VerificationError("the list of files is not complete")
    return manifest


def _check_same_checkpoint(report: Report) -> None:
    found = report.checkpoint
    assert found is not None
    if report.manifest["checkpoint"] != {"origin": found.origin, "size": found.size, "root": found.root.hex()}:
        raise VerificationError("it was made for another checkpoint than the one in checkpoint.txt")


def _verify_entries(archive: zipfile.ZipFile, report: Report) -> None:
    assert report.checkpoint is not None
    chain = _Chain()
    indexes: list[int] = []
    with archive.open("entries.jsonl") as stream:
        for number, line in enumerate(_lines(stream), start=1):
            where = f"entries.jsonl line {number}"
            try:
                index = _verify_line(line, report, chain, indexes[-1] if indexes else -1)
            except VerificationError as error:
                report.problem(where, error)
            except UnicodeDecodeError:
                report.problem(where, "not UTF-8")
            else:
                indexes.append(index)
            report.entries += 1
    counts = {"entries": report.entries, "disclosed": report.disclosed, "withheld": report.withheld}
    for name, count in counts.items():
        if report.manifest["counts"][name] != count:
            report.problem("entries.jsonl", f"{name}: the manifest says {report.manifest['counts'][name]}, found {count}")
    _step(report, "entries.jsonl", lambda: _check_range(report.manifest["selection"], indexes))


def _lines(stream: IO[bytes]) -> Iterable[bytes]:
    while line := stream.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise VerificationError("entries.jsonl: a line is too long")
        yield line


def _verify_line(line: bytes, report: Report, chain: _Chain, previous: int) -> int:
    if not line.endswith(b"\n"):
        raise VerificationError("cut off: no newline at its end")
    item = read_canonical(line[:-1].decode())
    if not isinstance(item, dict) or set(item) != {"index", "entry", "disclosures", "proof"}:
        raise VerificationError("its members are not index, entry, disclosures and proof")
    index, text, proof = item["index"], item["entry"], item["proof"]
    if type(index) is not int or not isinstance(text, str) or not isinstance(proof, list):
        raise VerificationError("a member has the wrong type")
    if index <= previous:
        raise VerificationError(f"leaf {index} comes after leaf {previous}: out of order or there twice")
    leaf = leaf_hash(text.encode())
    hashes = [_base64(step, f"a step of the proof of leaf {index}") if isinstance(step, str) else b"" for step in proof]
    checkpoint = report.checkpoint
    assert checkpoint is not None
    if any(len(step) != 32 for step in hashes) or not verify_inclusion(leaf, index, checkpoint.size, hashes, checkpoint.root):
        raise VerificationError(f"leaf {index}: entry and proof do not lead to the checkpoint's root")
    entry = _named(index, lambda: read_entry(text))
    _named(index, lambda: chain.add(entry, leaf.hex()))
    opened = _named(index, lambda: check_disclosures(entry, item["disclosures"]))
    report.disclosed += opened
    report.withheld += len(entry["commitments"]) - opened
    report.kinds[entry["kind"]] += 1
    return index


def _named(index: int, check: Any) -> Any:
    try:
        return check()
    except VerificationError as error:
        raise VerificationError(f"leaf {index}: {error}") from None


class _Chain:
    """Hashes by (boot, seq), to check each entry against its neighbours where they are in the export."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[str, int], str] = {}
        self._before: dict[tuple[str, int], str] = {}  # what the entry at this place says its predecessor is
        self._workers: dict[str, str] = {}

    def add(self, entry: Mapping[str, Any], digest: str) -> None:
        boot, seq = entry["boot"], entry["seq"]
        where = f"entry {seq} of boot {boot}"
        if (boot, seq) in self._hashes:
            raise VerificationError(f"{where} is there twice")
        if self._workers.setdefault(boot, entry["worker"]) != entry["worker"]:
            raise VerificationError(f"{where} names another worker than the entries before it")
        self._hashes[boot, seq] = digest
        self._before[boot, seq] = entry["prev"]
        if self._hashes.get((boot, seq - 1), entry["prev"]) != entry["prev"]:
            raise VerificationError(f"{where} does not continue the chain of entry {seq - 1}")
        if self._before.get((boot, seq + 1), digest) != digest:
            raise VerificationError(f"{where} is not what entry {seq + 1} continues")


def _check_range(selection: Mapping[str, Any], indexes: Sequence[int]) -> None:
    """A selection with ``range: [first, end]`` claims every leaf from first up to, not including, end."""
    claimed = selection.get("range")
    if claimed is None:
        return
    if not (isinstance(claimed, list) and len(claimed) == 2 and all(type(bound) is int for bound in claimed)):
        raise VerificationError("the manifest's range is malformed")
    if list(indexes) != list(range(*claimed)):
        raise VerificationError(f"the export claims every leaf from {claimed[0]} to {claimed[1] - 1}, but some are missing")


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as stream:
        content = stream.read(MAX_SMALL_FILE + 1)
    if len(content) > MAX_SMALL_FILE:
        raise VerificationError(f"{name} is too large")
    return content


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # ZipExtFile reads into buffers


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="verify.py", description="Verify a Tidegate audit export offline.")
    parser.add_argument("export", metavar="EXPORT", help="the zip archive")
    parser.add_argument("--key", metavar="KEY", required=True, help="the ledger's verifier key (name+hash+base64), or a file with it")
    chosen = parser.parse_args(arguments)
    try:
        if os.path.exists(chosen.key):
            with open(chosen.key, encoding="utf-8") as file:
                key = read_key(file.read())
        else:
            key = read_key(chosen.key)
        if not os.path.isfile(chosen.export):
            raise VerificationError(f"{chosen.export}: no such file")
    except (VerificationError, OSError, UnicodeDecodeError) as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 2
    report = verify_export(chosen.export, key)
    print("\n".join(report.lines()))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
