"""Create `.venv` with everything that `make demo`, `make test` and `make check` need. Uses uv where present, else pip.

Needs Python 3.11 or later and nothing else; runs with the machine's Python, so the standard library only.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "deploy" / "requirements-dev.txt"


def step(text: str) -> None:
    print(f"==> {text}", flush=True)


def run(*command: str | Path) -> bool:
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode == 0


def create() -> None:
    if PYTHON.exists():
        return
    step(f"creating .venv with Python {sys.version.split()[0]}")
    # Debian splits ensurepip off: there the machine's own pip installs into the environment.
    if not run(sys.executable, "-m", "venv", "--without-pip", VENV):
        sys.exit("install: Python's venv module does not work here (Debian: apt-get install python3-venv)")


def install(*arguments: str | Path) -> None:
    if uv := shutil.which("uv"):
        step("installing pinned packages with uv")
        if run(uv, "pip", "install", "--quiet", "--python", PYTHON, *arguments):
            return
        step("uv did not manage; trying pip")
    else:
        step("installing pinned packages with pip (half a minute)")
    pip = pip_command()
    if not run(*pip, "install", "--quiet", "--no-input", "--disable-pip-version-check", *arguments):
        sys.exit("install: pip could not install the packages; the lines above say why")


def pip_command() -> list[str | Path]:
    """The machine's pip pointed at the environment; else the environment's own, brought by ensurepip."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return [sys.executable, "-m", "pip", "--python", PYTHON]
    if run(PYTHON, "-m", "ensurepip", "--upgrade"):
        return [PYTHON, "-m", "pip"]
    sys.exit("install: neither uv nor pip is here (Debian: apt-get install python3-pip)")


def main() -> None:
    create()
    if len(sys.argv) > 1:
        install("-r", sys.argv[1])  # tools of one target, which nothing that ships depends on
    else:
        # Hashes are of the registry's own files, so a file of the same name from elsewhere is refused.
        install("--require-hashes", "-r", REQUIREMENTS)


if __name__ == "__main__":
    main()
