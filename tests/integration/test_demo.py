"""`make demo ONCE=1` is a contract: it ends with exit status 0, having checked every step itself."""

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.harness import ROOT, processes_of


def test_the_demo_does_what_it_says(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "DJANGO_"))}
    environment |= {"ONCE": "1", "DEMO_DIR": str(tmp_path / "demo")}
    command = [sys.executable, "-m", "deploy.demo.demo"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the tampered copy does not verify" in result.stdout
    assert not processes_of(tmp_path / "demo")
