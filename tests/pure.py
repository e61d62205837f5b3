"""`TIDEGATE_TEST_PURE=1`: load the wire modules from their Python source, even where compiled ones lie beside them."""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

WIRE = Path(__file__).resolve().parent.parent / "proxy" / "wire"


class SourceOnly(MetaPathFinder):
    """Answers for modules of proxy.wire only, before Python's own search would prefer the compiled file."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, module = name.rpartition(".")
        source = WIRE / f"{module}.py"
        return spec_from_file_location(name, source) if package == "proxy.wire" and source.exists() else None


if os.environ.get("TIDEGATE_TEST_PURE"):
    sys.meta_path.insert(0, SourceOnly())
