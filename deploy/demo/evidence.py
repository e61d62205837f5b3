"""The auditor's part: a signed export, verified with one file that needs nothing of ours, and what tampering looks like."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.demo.story import Story

ROOT = Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "proxy" / "ledger" / "verify.py"


def export_and_verify(story: Story, stack: Path, export: Path) -> None:
    story.step("An auditor exports the evidence and verifies it offline")
    _manage(story, stack, "audit", "export", "--output", str(export))
    story.note(f"{sum(1 for path in export.rglob('*') if path.is_file())} files in {export}")
    verified = _verify(story, export)
    story.check("the export verifies", verified.returncode == 0)
    tampered = export.with_name("export-tampered")
    shutil.copytree(export, tampered)
    file = tampered / "entries.jsonl"
    content = bytearray(file.read_bytes())
    place = content.index(b"support-bot")
    story.step(f"One byte of a copy is changed: byte {place} of {file.name}, “support-bot” becomes “rupport-bot”")
    content[place] = ord("r")
    file.write_bytes(content)
    story.check("the tampered copy does not verify", _verify(story, tampered).returncode != 0)


def _verify(story: Story, export: Path) -> "subprocess.CompletedProcess[str]":
    # -I -S: an interpreter that sees none of our packages and none that are installed, as on the auditor's machine.
    command = [sys.executable, "-I", "-S", str(VERIFIER), str(export), "--key", str(export.with_name("export.pub"))]
    story.sent("auditor", "python verify.py " + " ".join(command[4:]))
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd="/")
    story.came_back(result.stdout + result.stderr)
    return result


def _manage(story: Story, stack: Path, *arguments: str) -> None:
    story.sent("auditor", f"manage.py {' '.join(arguments)}")
    environment = dict(os.environ) | {"TIDEGATE_STACK_DIR": str(stack)}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    story.came_back(result.stdout + result.stderr)
    story.check("exported", result.returncode == 0)
