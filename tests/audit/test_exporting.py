"""Exports: what is selected, that they verify alone, and that one flipped byte is found."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from audit import exporting, gaps, sealing, services, web_exports
from audit.models import Boot, Entry, Export
from proxy.ledger import verify
from proxy.ledger.verify import verify_export
from tests.audit.conftest import Process, elsewhere

pytestmark = pytest.mark.django_db


def command(*arguments: str) -> tuple[str, str, int]:
    """Run ``manage.py audit``: output, errors, exit code."""
    output, errors, code = io.StringIO(), io.StringIO(), 0
    try:
        call_command("audit", *arguments, stdout=output, stderr=errors)
    except SystemExit as exit:
        code = int(exit.code or 0)
    return output.getvalue(), errors.getvalue(), code


def make(tmp_path: Path, **selection: object) -> tuple[Path, list[dict]]:
    """An export of a selection, and the entries in it."""
    path = tmp_path / "export.zip"
    exporting.export_to(str(path), selection=selection, actor="ari", progress=lambda line: None)
    with zipfile.ZipFile(path) as archive:
        return path, [json.loads(json.loads(line)["entry"]) for line in archive.read("entries.jsonl").splitlines()]


@pytest.fixture
def two(process: Process) -> Process:
    process.ship(process.session("SELECT 1", "SELECT 2"))
    process.ship(process.session("DELETE FROM erp.orders", subject="report-bot", connection="erp"))
    return process


def test_everything_is_exported_and_verifies(two, tmp_path):
    path, entries = make(tmp_path)
    assert len(entries) == 10
    report = verify_export(path, sealing.verifier_key())
    assert report.ok, report.problems
    assert report.manifest["selection"] == {"filters": {}, "range": [0, 10]}
    assert (report.entries, report.disclosed) == (10, 6)
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_verifies_with_the_archive_s_own_program_and_python_alone(two, tmp_path):
    path, _ = make(tmp_path)
    with zipfile.ZipFile(path) as archive:
        archive.extract("verify.py", tmp_path)
    run = subprocess.run(
        [sys.executable, "-I", "verify.py", path.name, "--key", sealing.verifier_key()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("OK")


def test_one_flipped_byte_anywhere_is_found(two, tmp_path):
    path, _ = make(tmp_path)
    content = path.read_bytes()
    chance = random.Random(7)
    with zipfile.ZipFile(io.BytesIO(content)) as original:
        evidence = {name: original.read(name) for name in original.namelist()}
    accepted = 0
    for position in sorted(chance.sample(range(len(content)), 150)):
        for flip in (1 << chance.randrange(8), 255):
            path.write_bytes(content[:position] + bytes([content[position] ^ flip]) + content[position + 1 :])
            if verify_export(path, sealing.verifier_key()).ok:
                # What may change unseen holds no evidence: fields of the zip container such as times and attributes.
                with zipfile.ZipFile(path) as changed:
                    assert {name: changed.read(name) for name in changed.namelist()} == evidence
                accepted += 1
    assert accepted < 150, "most changes are seen"


@pytest.mark.parametrize(("selection", "count"), [
    ({"subject": "support-bot"}, 6), ({"connection": "erp"}, 4), ({"subject": "support-bot", "connection": "erp"}, 0),
    ({"subject": "nobody"}, 0),
    ({"since": datetime(2020, 1, 1, tzinfo=UTC)}, 10), ({"until": datetime(2020, 1, 1, tzinfo=UTC)}, 0),
])  # fmt: skip
def test_selections(two, tmp_path, selection, count):
    path, entries = make(tmp_path, **selection)
    assert len(entries) == count
    report = verify_export(path, sealing.verifier_key())
    assert report.ok, report.problems
    assert report.manifest["selection"]["range"] is None


def test_a_session_comes_with_its_completions(two, tmp_path):
    session = Entry.objects.filter(connection="erp").first().session
    _, entries = make(tmp_path, session=session)
    assert [entry["kind"] for entry in entries] == ["session.opened", "statement.intended", "statement.completed", "session.closed"]


def test_an_export_is_itself_recorded(two, tmp_path):
    make(tmp_path, subject="support-bot")
    said = json.loads(Entry.objects.get(kind="export.made").canonical)["fields"]
    assert (said["by"], said["entries"], said["filters"]) == ("ari", 6, {"subject": "support-bot"})


def by_force(statement: str) -> None:
    """Change a table as somebody could who owns the database: without its triggers."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


@pytest.mark.parametrize("statement", [
    "DELETE FROM audit_entry WHERE leaf_index = 3", "DELETE FROM audit_entry WHERE leaf_index = 9",
    "UPDATE audit_entry SET hash = repeat('0', 64) WHERE leaf_index = 3",
    "UPDATE audit_entry SET leaf_index = CASE leaf_index WHEN 2 THEN 12 WHEN 3 THEN 13 END WHERE leaf_index IN (2, 3);"
    "UPDATE audit_entry SET leaf_index = CASE leaf_index WHEN 12 THEN 3 WHEN 13 THEN 2 END WHERE leaf_index IN (12, 13)",
])  # fmt: skip
def test_a_ledger_that_was_tampered_with_is_not_exported(two, tmp_path, statement):
    sealing.seal()
    by_force(statement)
    with pytest.raises(exporting.LedgerDamaged, match="tampered"):
        make(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("statement", [
    "UPDATE audit_entry SET canonical = replace(canonical, '\"allow\"', '\"deny\"') WHERE leaf_index = 1",
    "UPDATE audit_entry SET disclosures = replace(disclosures, 'SELECT 1', 'SELECT 9') WHERE leaf_index = 1",
])  # fmt: skip
def test_content_that_was_tampered_with_does_not_verify(two, tmp_path, statement):
    sealing.seal()
    by_force(statement)
    path, _ = make(tmp_path)
    assert not verify_export(path, sealing.verifier_key()).ok


# --- the command --------------------------------------------------------------------------------------------------------


def test_the_command_exports_and_verifies(two, tmp_path):
    path = tmp_path / "out.zip"
    output, errors, code = command("export", "-o", str(path), "--subject", "support-bot", "--since", "2020-01-01")
    assert (code, "6 entries" in output) == (0, True)
    assert "leaves" in errors  # progress
    assert command("verify", str(path))[2] == 0
    key = tmp_path / "key.txt"
    key.write_text(command("key")[0])
    assert command("verify", str(path), "--key", str(key))[2] == 0
    content = bytearray(path.read_bytes())
    content[content.index(b"entries.jsonl") + 60] ^= 1
    path.write_bytes(content)
    output, _, code = command("verify", str(path))
    assert (code, output.startswith("FAILED")) == (1, True)


def test_the_command_explains_what_it_cannot_do(two, tmp_path):
    for arguments, message in (
        (["verify", str(tmp_path / "none.zip")], "no such file"),
        (["export", "-o", str(tmp_path / "no" / "dir.zip")], "cannot be written"),
        (["export", "-o", str(tmp_path / "x.zip"), "--since", "yesterday"], "neither a span"),
        (["verify", __file__, "--key", "nonsense"], "--key"),
    ):
        with pytest.raises(CommandError, match=message):
            command(*arguments)


def test_an_empty_ledger_cannot_be_exported(tmp_path):
    with pytest.raises(CommandError, match="empty"):
        command("export", "-o", str(tmp_path / "x.zip"))


# --- gaps ---------------------------------------------------------------------------------------------------------------


def kinds_of_gaps(later: timedelta = timedelta(0)) -> list[str]:
    return [gap.kind for gap in gaps.find(timezone.now() + later)]


def test_nothing_is_missing(two):
    assert kinds_of_gaps() == []
    assert command("gaps") == ("Nothing is missing.\n", "", 0)


@pytest.mark.parametrize(
    ("where", "what"), [("seq = 3", "3 to 3"), ("seq <= 2", "1 to 2"), ("seq >= 9", "9 to 10"), ("seq > 0", "1 to 10")]
)
def test_holes_are_found(two, where, what):
    by_force(f"DELETE FROM audit_entry WHERE {where}")
    output, _, code = command("gaps")
    assert code == 1
    assert f"entries {what} are missing" in output


def test_a_refused_batch_is_a_gap(two):
    lost = two.session("SELECT lost")
    with pytest.raises(Exception, match=r"missing|expected"):
        two.ship(two.session("SELECT 3"))
    assert "alarm" in command("gaps")[0]
    two.ship(lost)
    assert command("gaps")[2] == 0


def test_boots_and_statements_without_an_end_are_found(process):
    process.ship(process.session("SELECT 1")[:2])
    assert kinds_of_gaps() == []
    assert kinds_of_gaps(timedelta(hours=1)) == ["open boot", "open statement"]
    process.head = process.head.__class__(process.head.worker, process.head.boot, 2, Boot.objects.get(pk=process.boot).last_hash)
    process.ship([process.entry("worker.stopped", {})])
    assert kinds_of_gaps(timedelta(hours=1)) == ["open statement"]


# --- made for the web ---------------------------------------------------------------------------------------------------


def test_the_queue_makes_an_export_and_keeps_its_file(two, people, monkeypatch):
    monkeypatch.setattr(web_exports, "PART", 1000)
    export = web_exports.ask(actor=people["ari"], selection={"subject": "support-bot", "since": datetime(2020, 1, 1, tzinfo=UTC)})
    assert export.state == Export.State.QUEUED
    web_exports.make(export.pk)
    web_exports.make(export.pk)  # delivered twice
    export.refresh_from_db()
    content = b"".join(web_exports.content(export))
    assert (export.state, export.entries, export.bytes) == (Export.State.READY, 6, len(content))
    assert export.parts.count() > 1
    assert verify_export(io.BytesIO(content), sealing.verifier_key()).ok
    said = json.loads(Entry.objects.get(kind="export.made").canonical)["fields"]
    assert (said["by"], said["filters"]["since"]) == ("ari", "2020-01-01T00:00:00+00:00")


def test_an_export_that_fails_says_why(two, people):
    sealing.seal()
    by_force("DELETE FROM audit_entry WHERE leaf_index = 3")
    export = web_exports.ask(actor=people["ari"], selection={})
    web_exports.make(export.pk)
    export.refresh_from_db()
    assert (export.state, "tampered" in export.error) == (Export.State.FAILED, True)


def test_a_dead_queue_fails_the_export_at_once(two, people, monkeypatch, django_capture_on_commit_callbacks):
    from audit.tasks import export as task

    monkeypatch.setattr(task, "apply_async", lambda *arguments, **options: 1 / 0)
    with django_capture_on_commit_callbacks(execute=True):
        export = web_exports.ask(actor=people["ari"], selection={})
    export.refresh_from_db()
    assert (export.state, "queue" in export.error) == (Export.State.FAILED, True)


def test_files_of_old_exports_are_dropped(two, people):
    old = web_exports.ask(actor=people["ari"], selection={})
    web_exports.make(old.pk)
    Export.objects.filter(pk=old.pk).update(created=timezone.now() - timedelta(days=8))
    kept = web_exports.ask(actor=people["ari"], selection={})
    web_exports.make(kept.pk)
    assert web_exports.drop_old() == 1
    assert not old.parts.exists()
    assert kept.parts.exists()
    old.refresh_from_db()
    assert (old.state, bool(old.sha256)) == (Export.State.EXPIRED, True)
    assert web_exports.drop_old() == 0


def test_an_export_whose_maker_died_is_made_when_the_queue_delivers_it_again(two, people):
    export = web_exports.ask(actor=people["ari"], selection={})
    Export.objects.filter(pk=export.pk).update(state=Export.State.RUNNING, progress="begun")
    web_exports.make(export.pk)
    export.refresh_from_db()
    assert (export.state, export.progress) == (Export.State.READY, "")


@pytest.mark.django_db(transaction=True)
def test_progress_can_be_seen(two, people, monkeypatch):
    export, seen = Export.objects.create(created_by=people["ari"]), []
    update = web_exports.exporting.export

    def watched(file, **options):
        seen.append(elsewhere(lambda: Export.objects.get().state))
        return update(file, **options)

    monkeypatch.setattr(web_exports.exporting, "export", watched)
    assert elsewhere(lambda: Export.objects.get().state) == Export.State.QUEUED
    web_exports.make(export.pk)
    assert seen == [Export.State.RUNNING]


def test_the_proof_of_a_statement_holds_its_entries_and_its_approval(process, people, tmp_path):
    process.ship(process.session("SELECT 1"))
    process.ship(process.session("DELETE FROM t", decision="approve", approval="r-1"))
    for kind in ("requested", "approved", "consumed"):
        told = {"request": "r-1", "by": "dana", "subject": "b", "connection": "crm", "binding": "ab", "comment": "c"}
        services.record(f"approval.{kind}", told)
    held = Entry.objects.get(decision="approve")
    export = web_exports.ask(actor=people["ari"], selection={"statement": held.statement})
    web_exports.make(export.pk)
    export.refresh_from_db()
    assert (export.state, export.entries) == (Export.State.READY, 5)
    file = tmp_path / "proof.zip"
    file.write_bytes(b"".join(web_exports.content(export)))
    assert verify.verify_export(file, verify.read_key(sealing.verifier_key())).ok
