"""The core must stay without I/O: importing all of it loads no framework, no event loop, no socket."""

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, sys
import proxy
for module in pkgutil.walk_packages(proxy.__path__, "proxy."):
    importlib.import_module(module.name)
print(*sorted({"django", "asyncio", "socket", "uvloop"} & set(sys.modules)))
"""


def test_the_core_imports_no_io() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_session_loads_no_parser() -> None:
    """Parsers are C code that hostile text can kill: they run in the analysis processes only."""
    script = "import proxy.session.session, sys; print(*({'pgparse', 'postgast', 'sqlglot'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
