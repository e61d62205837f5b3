"""The verifier: it says yes to the real thing, alone on a strange machine, and no to every way of tampering."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.ledger import verify
from proxy.ledger.verify import FILES, MANIFEST_CONTEXT, canonical, verify_export
from tests.proxy.ledger.evidence import KEY, VERIFIER, example

EXPORT = example().export()
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def files() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(EXPORT)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def lines(content: dict[str, bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content["entries.jsonl"].splitlines()]


def packed(content: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file


def resigned(content: dict[str, bytes], key: Ed25519PrivateKey = KEY, **manifest: Any) -> io.BytesIO:
    """As the ledger's own key would sign it: what is still refused does not hang on the manifest's signature."""
    members = json.loads(content["manifest.json"])
    members["files"] = {name: hashlib.sha256(content[name]).hexdigest() for name in FILES}
    raw = canonical({**members, **manifest}).encode() + b"\n"
    signature = base64.b64encode(key.sign(MANIFEST_CONTEXT + raw)) + b"\n"
    return packed({**content, "manifest.json": raw, "manifest.sig": signature})


def with_lines(content: dict[str, bytes], items: list[Any]) -> dict[str, bytes]:
    raw = b"".join((item if isinstance(item, str) else canonical(item)).encode() + b"\n" for item in items)
    return {**content, "entries.jsonl": raw}


def problems(file: io.BytesIO) -> str:
    report = verify_export(file, VERIFIER)
    assert not report.ok
    assert report.problems
    return "\n".join(report.problems)


def test_the_real_thing() -> None:
    report = verify_export(io.BytesIO(EXPORT), VERIFIER)
    assert report.problems == []
    assert report.ok
    assert (report.entries, report.disclosed, report.withheld) == (16, 13, 0)
    assert verify_export(resigned(files()), str(VERIFIER)).ok


def test_any_changed_byte_of_any_file() -> None:
    chance = random.Random(4711)
    for name, content in files().items():
        for position in {0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(12))}:
            changed = bytearray(content)
            changed[position] ^= 1 << chance.randrange(8)
            assert name.partition(".")[0] in problems(packed({**files(), name: bytes(changed)})), (name, position)


def test_any_flipped_byte_of_the_archive_itself() -> None:
    contents = files()
    chance = random.Random(42)
    for position in (chance.randrange(len(EXPORT)) for _ in range(150)):
        changed = bytearray(EXPORT)
        changed[position] ^= 1 << chance.randrange(8)
        report = verify_export(io.BytesIO(bytes(changed)), VERIFIER)
        if report.ok:  # a byte of the zip's own book-keeping (a date, a flag): what was verified must be the same evidence
            with zipfile.ZipFile(io.BytesIO(bytes(changed))) as archive:
                assert {name: archive.read(name) for name in archive.namelist()} == contents


@pytest.mark.parametrize("length", [0, 10, 1000, len(EXPORT) // 2, len(EXPORT) - 1])
def test_a_truncated_archive(length: int) -> None:
    assert "archive" in problems(io.BytesIO(EXPORT[:length]))


@pytest.mark.parametrize("name", sorted(files()))
def test_a_missing_file(name: str) -> None:
    content = files()
    del content[name]
    assert f"{name}: missing" in problems(packed(content))


def test_an_additional_file() -> None:
    assert "extra.txt: not a part of an export" in problems(packed({**files(), "extra.txt": b""}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice() -> None:
    file = packed(files())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("entries.jsonl", b"")
    assert "entries.jsonl: there 2 times" in problems(file)


def test_a_wrong_key() -> None:
    other = verify.VerifierKey("ledger.example.com", STRANGER.public_key().public_bytes_raw())
    report = verify_export(io.BytesIO(EXPORT), other)
    assert not report.ok
    assert "manifest.sig: the manifest is not signed by ledger.example.com+" in report.problems[0]
    assert "checkpoint.txt: not signed by" in report.problems[1]


def test_the_right_key_under_another_name() -> None:
    other = verify.VerifierKey("other.example.com", KEY.public_key().public_bytes_raw())
    assert not verify_export(io.BytesIO(EXPORT), other).ok


def test_a_manifest_signed_by_a_stranger() -> None:
    assert "manifest.sig" in problems(resigned(files(), STRANGER))


def test_a_signature_over_something_else_is_none_over_the_manifest() -> None:
    content = files()
    content["manifest.sig"] = base64.b64encode(KEY.sign(content["manifest.json"])) + b"\n"
    assert "manifest.sig" in problems(packed(content))


def test_a_forged_root() -> None:
    content = files()
    root = base64.b64encode(bytes(32)).decode()
    body = content["checkpoint.txt"].decode().split("\n")
    content["checkpoint.txt"] = "\n".join([*body[:2], root, *body[3:]]).encode()
    assert "checkpoint.txt: the signature of ledger.example.com does not hold" in problems(resigned(content))


def test_a_genuine_checkpoint_of_another_tree() -> None:
    ledger = example()
    ledger.append("w1", "b7", "worker.boot", pid=2)
    content = {**files(), "checkpoint.txt": ledger.note().encode()}
    found = problems(resigned(content))
    assert "another checkpoint" in found
    assert "do not lead to the checkpoint's root" in found


Change = Callable[[list[dict[str, Any]]], list[Any]]


def changed_entry(place: int, change: Callable[[str], str]) -> Change:
    def apply(items: list[dict[str, Any]]) -> list[Any]:
        items[place]["entry"] = change(items[place]["entry"])
        return items

    return apply


def swapped_proofs(items: list[dict[str, Any]]) -> list[Any]:
    items[3]["proof"], items[4]["proof"] = items[4]["proof"], items[3]["proof"]
    return items


def other_disclosure(items: list[dict[str, Any]]) -> list[Any]:
    items[3]["disclosures"]["sql"]["value"] = "SELECT 'something else'"
    return items


def other_salt(items: list[dict[str, Any]]) -> list[Any]:
    items[3]["disclosures"]["sql"]["salt"] = base64.b64encode(bytes(16)).decode()
    return items


def moved_disclosure(items: list[dict[str, Any]]) -> list[Any]:
    items[3]["disclosures"]["password"] = items[3]["disclosures"].pop("sql")
    return items


def respelt_line(items: list[dict[str, Any]]) -> list[Any]:
    return [json.dumps(items[0]), *items[1:]]


def twice_the_same_key(items: list[dict[str, Any]]) -> list[Any]:
    text = canonical(items[3])
    return [*items[:3], text.replace('"index":3', '"index":3,"index":3'), *items[4:]]


def duplicate_key_in_a_disclosure(items: list[dict[str, Any]]) -> list[Any]:
    text = canonical(items[3])
    return [*items[:3], text.replace('{"salt":', '{"salt":"","salt":', 1), *items[4:]]


def extra_member(items: list[dict[str, Any]]) -> list[Any]:
    items[3]["note"] = "trust me"
    return items


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda items: items[1:], "the manifest says 16, found 15"),
        (lambda items: items[:-1], "the manifest says 16, found 15"),
        (lambda items: [*items[:5], *items[6:]], "the manifest says 16, found 15"),
        (lambda items: [], "the manifest says 16, found 0"),
        (lambda items: [*items[:5], items[6], items[5], *items[7:]], "line 7: leaf 5 comes after leaf 6"),
        (lambda items: [*items[:5], items[4], *items[5:]], "line 6: leaf 4 comes after leaf 4"),
        (lambda items: [*items[:5], {**items[4], "index": 5}, *items[6:]], "line 6: leaf 5: entry and proof do not lead"),
        (changed_entry(3, lambda text: text.replace("report-bot", "other-bot")), "line 4: leaf 3: entry and proof do not lead"),
        (changed_entry(3, lambda text: text + " "), "line 4: leaf 3: entry and proof do not lead"),
        (changed_entry(3, lambda text: text.replace('"v":1', '"v":1,"v":1')), "line 4: leaf 3"),
        (swapped_proofs, "line 4: leaf 3: entry and proof do not lead"),
        (lambda items: [{**items[0], "proof": []}, *items[1:]], "line 1: leaf 0"),
        (lambda items: [{**items[0], "proof": items[0]["proof"][:-1]}, *items[1:]], "line 1: leaf 0"),
        (lambda items: [{**items[0], "proof": [*items[0]["proof"], items[0]["proof"][0]]}, *items[1:]], "line 1: leaf 0"),
        (lambda items: [{**items[0], "proof": ["x"]}, *items[1:]], "line 1: a step of the proof of leaf 0 is not base64"),
        (lambda items: [{**items[0], "proof": [1]}, *items[1:]], "line 1: leaf 0"),
        (lambda items: [{**items[0], "index": -1}, *items[1:]], "line 1: leaf -1"),
        (lambda items: [{**items[0], "index": True}, *items[1:]], "line 1: a member has the wrong type"),
        (lambda items: [*items[:-1], {**items[-1], "index": 16}], "line 16: leaf 16"),
        (other_disclosure, "line 4: leaf 3: the disclosed value of field 'sql' does not match its commitment"),
        (other_salt, "line 4: leaf 3: the disclosed value of field 'sql' does not match its commitment"),
        (moved_disclosure, "line 4: leaf 3: field 'password' is disclosed but was never committed to"),
        (respelt_line, "line 1: not in canonical form"),
        (twice_the_same_key, "line 4: the same key twice in one object"),
        (duplicate_key_in_a_disclosure, "line 4: the same key twice in one object"),
        (extra_member, "line 4: its members are not"),
        (lambda items: ["", *items], "line 1: not JSON"),
        (lambda items: ["[" * 100_000, *items], "line 1: not JSON"),
        (lambda items: ["1e5", *items], "line 1: a number that is not an integer"),
        (lambda items: ["9" * 5_000, *items], "line 1: not JSON"),
    ],
)
def test_tampered_entries_are_found_even_if_the_ledgers_key_signed_the_manifest(change: Change, message: str) -> None:
    content = files()
    assert message in problems(resigned(with_lines(content, change(copy.deepcopy(lines(content))))))


def test_a_cut_off_last_line() -> None:
    content = files()
    assert "line 16: cut off" in problems(resigned({**content, "entries.jsonl": content["entries.jsonl"][:-1]}))


def test_bytes_that_are_not_text() -> None:
    content = files()
    assert "line 17: not UTF-8" in problems(resigned({**content, "entries.jsonl": content["entries.jsonl"] + b"\xff\n"}))


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"format": "tidegate-export/2"}, "not a manifest"),
        ({"surprise": 1}, "members"),
        ({"counts": {"entries": 15, "disclosed": 13, "withheld": 0}}, "entries: the manifest says 15, found 16"),
        ({"counts": {"entries": 16, "disclosed": 12, "withheld": 1}}, "disclosed: the manifest says 12, found 13"),
        ({"counts": {}}, "wrong type"),
        ({"files": {}}, "not complete"),
        ({"selection": {"range": [0, 17]}}, "claims every leaf from 0 to 16"),
        ({"selection": {"range": "all"}}, "range is malformed"),
        ({"made_at": "yesterday"}, "wrong type"),
        ({"checkpoint": {"origin": "x", "size": 16, "root": "0" * 64}}, "another checkpoint"),
    ],
)
def test_a_manifest_that_does_not_fit(manifest: dict[str, Any], message: str) -> None:
    assert message in problems(resigned(files(), **manifest))


def test_a_claimed_range_with_a_hole() -> None:
    ledger = example()
    export = ledger.export(ledger.export_entries([2, 3, 5]), range=[2, 6])
    assert "claims every leaf from 2 to 5, but some are missing" in problems(io.BytesIO(export))


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        # A ledger that sealed a forged entry: everything is signed and proved, only the boot's own chain tells.
        (lambda text: text.replace('"statement":"1"', '"statement":"9"'), "is not what entry 3 continues|does not continue the chain"),
        (lambda text: text.replace('"seq":2', '"seq":3'), "is there twice|continues"),
        (lambda text: text.replace('"worker":"w1"', '"worker":"w2"'), "names another worker"),
    ],
)
def test_a_broken_chain_inside_a_correctly_signed_tree(replace: Callable[[str], str], message: str) -> None:
    ledger = example()
    place = next(index for index, entry in enumerate(ledger.entries) if b'"statement":"1"' in entry and b"intended" in entry)
    forged = replace(ledger.entries[place].decode()).encode()
    assert forged != ledger.entries[place]
    ledger.entries[place] = forged
    found = problems(io.BytesIO(ledger.export()))
    assert any(part in found for part in message.split("|")), found


def test_a_chain_is_checked_in_either_order_of_sealing() -> None:
    ledger = example()
    ledger.entries.reverse()
    ledger.disclosures.reverse()
    assert verify_export(io.BytesIO(ledger.export()), VERIFIER).ok
    ledger.entries[0] = ledger.entries[0].replace(b'"by":"dana"', b'"by":"eve"')
    assert verify_export(io.BytesIO(ledger.export()), VERIFIER).ok  # nobody continues the last entry: only the tree holds it
    ledger.entries[-1] = ledger.entries[-1].replace(b'"pid":1', b'"pid":2')
    assert "continues" in problems(io.BytesIO(ledger.export()))


def test_an_entry_of_a_future_version_is_not_waved_through() -> None:
    entry = example().entries[0].decode()
    assert verify.read_entry(entry)["v"] == 1
    with pytest.raises(verify.VerificationError, match="wrong type"):
        verify.read_entry(entry.replace('"v":1', '"v":2'))


class TestAlone:
    """Copied elsewhere, without Tidegate on the path."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        (tmp_path / "export.zip").write_bytes(EXPORT)
        (tmp_path / "verify.py").write_bytes(files()["verify.py"])
        (tmp_path / "key.txt").write_text(f"{VERIFIER}\n", encoding="utf-8")
        return tmp_path

    def run(self, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-W", "error", "verify.py", *arguments]
        return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=60)

    def test_it_is_the_file_of_this_repository(self) -> None:
        assert files()["verify.py"] == Path(verify.__file__).read_bytes()

    def test_yes(self, place: Path) -> None:
        for key in ("key.txt", str(VERIFIER)):
            found = self.run(place, "export.zip", "--key", key)
            assert (found.returncode, found.stderr) == (0, "")
            assert found.stdout.startswith("OK: every entry is in the ledger, unchanged.\n")
            assert "16 (approval.approved 1, statement.completed 6, statement.intended 6, worker.boot 3)" in found.stdout

    def test_no(self, place: Path) -> None:
        content = files()
        content["entries.jsonl"] = content["entries.jsonl"].replace(b"report-bot", b"other--bot", 1)
        (place / "export.zip").write_bytes(packed(content).getvalue())
        found = self.run(place, "export.zip", "--key", "key.txt")
        assert found.returncode == 1
        assert "FAILED" in found.stdout
        assert "entries.jsonl line 4: leaf 3: entry and proof do not lead to the checkpoint's root" in found.stdout

    @pytest.mark.parametrize("arguments", [("export.zip", "--key", "nonsense"), ("nothing.zip", "--key", "key.txt"), ("export.zip",), ()])
    def test_could_not_be_tried(self, place: Path, arguments: tuple[str, ...]) -> None:
        found = self.run(place, *arguments)
        assert found.returncode == 2
        assert found.stderr
        assert "Traceback" not in found.stderr

    def test_a_file_that_is_no_archive(self, place: Path) -> None:
        found = self.run(place, "key.txt", "--key", "key.txt")
        assert found.returncode == 1
        assert "the archive cannot be read" in found.stdout
