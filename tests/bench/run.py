"""`make bench`: what a transaction costs directly and through a worker, side by side in one run on this machine.

pgbench's select-only script, prepared, eight clients; the worker decides and records each statement. Numbers are of this
machine and this moment: compare the columns, not the figures of two runs. `SECONDS=n` sets the length of each measurement.
"""

import os
import re
import secrets
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from controlplane.stack.postgres import Postgres  # noqa: E402
from tests import engines  # noqa: E402
from tests.integration.harness import Agent, Stack  # noqa: E402

SECONDS = int(os.environ.get("SECONDS", "10"))
CLIENTS = 8
KEY = f"tgk_{secrets.token_urlsafe(32)}"


@dataclass(frozen=True, slots=True)
class Result:
    tps: float
    latency_ms: float
    worker_us: float  # processor time of the worker's processes per transaction, microseconds


def policy(port: int) -> dict[str, object]:
    """A grant, a rule that each statement is compared with, and everything recorded."""
    return {
        "version": 1,
        "subjects": [{"name": "bench", "kind": "agent", "key_env": "BENCH_KEY"}],
        "connections": [
            {"name": "bench", "host": "127.0.0.1", "port": port, "dbname": "postgres", "user": "postgres",
             "password_env": "TARGET_PASSWORD", "tls": {"mode": "disable"}, "default": "deny"},
        ],
        "grants": [{"to": {"subjects": ["bench"]}, "connections": ["bench"], "actions": ["select", "prepare", "transaction", "set"]}],
        "rules": [{"name": "no ddl", "when": {"actions": ["drop", "truncate", "alter"]}, "then": "deny"}],
    }  # fmt: skip


def measure(dsn: str, workers: list[psutil.Process]) -> Result:
    before = processor_time(workers)
    command = [str(engines.client("pgbench")), "-n", "-S", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS), dsn]
    result = psutil.Popen(command, stdout=-1, stderr=-1, text=True)
    output, errors = result.communicate()
    if result.returncode != 0:
        sys.exit(f"pgbench failed: {errors}")
    used = processor_time(workers) - before
    transactions = int(found(r"actually processed: (\d+)", output))
    return Result(found(r"tps = ([\d.]+)", output), found(r"latency average = ([\d.]+)", output), used / transactions * 1e6)


def found(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    if match is None:
        sys.exit(f"pgbench's answer has no {pattern}: {text}")
    return float(match[1])


def processor_time(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def step(text: str) -> None:
    print(f"==> {text}", flush=True)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        step("starting a target and filling it")
        target = Postgres(directory / "target", name="target", durable=False)
        target.start()
        stack = Stack(directory, policy(target.port), {"BENCH_KEY": KEY, "TARGET_PASSWORD": target.password}, processes=1)
        try:
            psutil.Popen([str(engines.client("pgbench")), "-i", "-q", "-s", "1", target.dsn()], stdout=-3, stderr=-3).wait()
            step("starting the stack")
            stack.start()
            worker = stack.child("worker")
            processes = [worker, *worker.children(recursive=True)]
            step(f"{SECONDS} s directly")
            direct = measure(target.dsn(), [])
            step(f"{SECONDS} s through one worker process")
            through = measure(Agent(stack, "bench", KEY, "bench").dsn(sslmode="disable"), processes)
        finally:
            stack.stop()
            target.stop()
    print(f"\n{'':24}{'directly':>12}{'through':>12}")
    print(f"{'transactions per second':24}{direct.tps:12.0f}{through.tps:12.0f}")
    print(f"{'latency, ms':24}{direct.latency_ms:12.3f}{through.latency_ms:12.3f}")
    print(f"{'worker processor, µs':24}{'':>12}{through.worker_us:12.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
