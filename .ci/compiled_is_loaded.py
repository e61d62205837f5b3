"""The fallback to pure Python is silent by design, so CI asks: where a compiler exists, the compiled module must be the one in use."""

import importlib
import importlib.machinery
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "deploy")]

from build_compiled import MODULES  # noqa: E402


def main() -> int:
    if not shutil.which("cc") and not shutil.which("gcc"):
        print("no compiler on this machine: pure Python is right")
        return 0
    wrong = []
    for module in MODULES:
        loaded = Path(importlib.import_module(".".join(module.with_suffix("").parts)).__file__ or "")
        print(f"{module}: {loaded.name}")
        if loaded.suffix not in {Path(suffix).suffix for suffix in importlib.machinery.EXTENSION_SUFFIXES}:
            wrong.append(str(module))
        elif loaded.stat().st_mtime < (ROOT / module).stat().st_mtime:
            wrong.append(f"{module} (older than its source)")
    if wrong:
        print("not the compiled module:", ", ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
