"""Fail when a module has no test file: `a/b/c.py` is tested by `tests/a/b/test_c.py`, or by the place named below."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("proxy", "worker", "controlplane", "policies", "approvals", "audit")
# Declarations without behaviour of their own.
WITHOUT = {"__init__.py", "__main__.py", "apps.py"}
ELSEWHERE: dict[str, str] = {}


def place_of_test(module: Path) -> Path:
    return Path("tests") / module.with_name(f"test_{module.name}")


def main() -> int:
    missing = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = path.relative_to(ROOT)
            if path.name in WITHOUT or "migrations" in module.parts or not path.read_text().strip():
                continue
            test = Path(ELSEWHERE.get(str(module), place_of_test(module)))
            if not (ROOT / test).exists():
                missing.append(f"{module}: no {test}")
    print("\n".join(missing) or "every module has a test file")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
