"""Compile the hot part of the wire code in place: the same Python file, translated by Cython, beside its source.

Without a working compiler the pure Python file is used as it is: this says so and succeeds. A compiled file is removed
first in any case, since an old one would silently win over a newer source.
"""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A module is compiled when a file of C types (.pxd) lies beside it.
MODULES = tuple(sorted(path.relative_to(ROOT).with_suffix(".py") for path in (ROOT / "proxy" / "wire").glob("*.pxd")))
BUILD = """
import sys
from Cython.Build import cythonize
from setuptools import Distribution, Extension
name, source, output = sys.argv[1:]
# The types come from the .pxd alone: annotations are for readers and mypy, where `int` has no bound.
directives = {"language_level": 3, "annotation_typing": False}
extension = Extension(name, [source], extra_compile_args=["-O2"])
extensions = cythonize([extension], build_dir=output, quiet=True, compiler_directives=directives)
distribution = Distribution({"ext_modules": extensions})
command = distribution.get_command_obj("build_ext")
command.build_lib = command.build_temp = output
command.ensure_finalized()
command.run()
"""


def compiled_path(module: Path) -> Path:
    return module.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))


def build(module: Path) -> str:
    """Compile one module; an empty string, or why it was not possible."""
    target = ROOT / compiled_path(module)
    target.unlink(missing_ok=True)
    name = ".".join(module.with_suffix("").parts)
    with tempfile.TemporaryDirectory() as output:
        # In a process of its own: a compiler may be missing, broken, or crash.
        result = subprocess.run(
            [sys.executable, "-c", BUILD, name, str(module), output], cwd=ROOT, capture_output=True, text=True, check=False
        )
        built = Path(output) / compiled_path(module)
        if result.returncode != 0 or not built.exists():
            return (result.stderr.strip() or result.stdout.strip() or "no output").splitlines()[-1]
        unfinished = target.with_name(target.name + ".unfinished")
        shutil.copy(built, unfinished)
        unfinished.rename(target)
    loads = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False)
    if loads.returncode != 0:
        target.unlink()
        return f"it does not load: {loads.stderr.strip().splitlines()[-1]}"
    return ""


def main() -> None:
    for module in MODULES:
        reason = build(module)
        print(f"    {module}: {'compiled' if not reason else f'not compiled, pure Python is used and is slower ({reason})'}", flush=True)


if __name__ == "__main__":
    main()
