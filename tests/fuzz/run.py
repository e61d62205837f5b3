"""`make fuzz`: each target of ``script.py`` guided by coverage (atheris), for SECONDS each; `TARGET=talk` for only one.

A find is written to ``build/fuzz/``: move it to ``tests/fuzz/corpus/TARGET/``, where it becomes a test. What psql, psycopg and servers
have really sent is there too, for the fuzzers to begin with; a sign-in is recorded against ``Playbook``, whose nonces are always the same.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ["TIDEGATE_TEST_PURE"] = "1"  # coverage sees Python only

TARGETS = ("talk", "answer", "start", "read")


def fuzz(name: str) -> None:
    import atheris

    import tests.pure  # noqa: F401 - before anything of proxy.wire

    with atheris.instrument_imports(include=["proxy"]):
        from tests.fuzz.script import TARGETS as functions
    target = functions[name]
    atheris.Setup(sys.argv, lambda data: target(data))
    atheris.Fuzz()


def main() -> int:
    seconds = os.environ.get("SECONDS", "600")
    failed = []
    for name in [os.environ["TARGET"]] if os.environ.get("TARGET") else TARGETS:
        found = ROOT / "build" / "fuzz" / name
        (found / "corpus").mkdir(parents=True, exist_ok=True)
        print(f"==> {name}, {seconds} s", flush=True)
        seeds = [str(path) for path in (ROOT / "tests" / "fuzz" / "corpus" / name,) if path.is_dir()]
        arguments = [
            f"-max_total_time={seconds}",
            f"-artifact_prefix={found}/",
            "-max_len=700",
            "-timeout=30",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ]
        if subprocess.run([sys.executable, __file__, f"--target={name}", *arguments, f"{found}/corpus", *seeds], check=False).returncode:
            failed.append(name)
    print(f"==> {'found something: ' + ', '.join(failed) if failed else 'nothing found'}")
    return bool(failed)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("--target="):
        name = sys.argv.pop(1).partition("=")[2]
        fuzz(name)
    else:
        sys.exit(main())
