"""The auditor's part: a signed export, verified by one file that needs nothing of ours, and what tampering looks like."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from deploy.demo.story import Story

ROOT = Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "proxy" / "ledger" / "verify.py"
ENTRIES = "entries.jsonl"


def export_and_verify(story: Story, stack: Path, directory: Path) -> None:
    directory.mkdir(parents=True)
    archive, tampered = directory / "export.zip", directory / "tampered.zip"
    story.step("An auditor exports the evidence and verifies it offline")
    key = _manage(story, stack, "audit", "key").strip()
    _manage(story, stack, "audit", "export", "--output", str(archive))
    verified = _verify(story, archive, key)
    story.check("the export verifies", verified.returncode == 0)
    story.step("Somebody changes one byte of a copy: “support-bot” becomes “rupport-bot” in one entry")
    with zipfile.ZipFile(archive) as original, zipfile.ZipFile(tampered, "w") as copy:
        for name in original.namelist():
            content = original.read(name)
            copy.writestr(name, content.replace(b"support-bot", b"rupport-bot", 1) if name == ENTRIES else content)
    refused = _verify(story, tampered, key)
    story.check("the tampered copy does not verify", refused.returncode == 1)


def _verify(story: Story, archive: Path, key: str) -> "subprocess.CompletedProcess[str]":
    # Isolated (-I) and elsewhere: the interpreter sees the one file and the package cryptography, nothing of ours.
    command = [sys.executable, "-I", str(VERIFIER), str(archive), "--key", key]
    story.sent("auditor", f"python verify.py {archive.name} --key {key}")
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=archive.parent)
    story.came_back(result.stdout + result.stderr)
    return result


def _manage(story: Story, stack: Path, *arguments: str) -> str:
    story.sent("auditor", f"manage.py {' '.join(arguments)}")
    environment = dict(os.environ) | {"TIDEGATE_STACK_DIR": str(stack)}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    story.came_back(result.stderr + result.stdout)
    story.check("done", result.returncode == 0)
    return result.stdout
