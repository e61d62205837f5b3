"""`make bench-decisions`: how long an agent waits for people's answers, besides for the people.

Through a whole stack: from the statement to the e-mail (with the preview of what it would do), and from the approver's click to
the command's end at the agent. `ROUNDS=n` sets how many statements.
"""

import os
import secrets
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from controlplane.stack.postgres import Postgres  # noqa: E402
from deploy.demo.approver import Approver, link_in  # noqa: E402
from tests import engines  # noqa: E402
from tests.bench.run import step  # noqa: E402
from tests.integration.harness import Agent, Stack  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "40"))
KEY = f"tgk_{secrets.token_urlsafe(32)}"


def policy(port: int) -> dict[str, object]:
    """Every DELETE waits for one approver."""
    return {
        "version": 1,
        "users": [{"username": "dana", "email": "dana@example.com", "roles": ["approver"]}],
        "subjects": [{"name": "bench", "kind": "agent", "key_env": "BENCH_KEY"}],
        "connections": [
            {"name": "bench", "host": "127.0.0.1", "port": port, "dbname": "postgres", "user": "postgres",
             "password_env": "TARGET_PASSWORD", "tls": {"mode": "disable"}, "default": "allow"},
        ],
        "rules": [{"name": "deletes", "when": {"actions": ["delete"]}, "then": {"approve": "owners"}}],
        "workflows": [{"name": "owners", "approvers": {"users": ["dana"]}, "hold": "wait"}],
    }  # fmt: skip


def measure(stack: Stack) -> tuple[list[float], list[float]]:
    """Seconds until the e-mail, and from the click to the agent."""
    agent, asked, answered = Agent(stack, "bench", KEY, "bench"), [], []
    for aid in range(1, ROUNDS + 1):
        mailbox, began = stack.mailbox(), time.perf_counter()
        running = agent.start("DELETE FROM pgbench_accounts WHERE aid = %s", (aid,))
        message = mailbox.next("dana@example.com", f"= {aid}\n")
        asked.append(time.perf_counter() - began)
        with Approver(link_in(message)) as approver:
            fields = approver.form("approve")
            began = time.perf_counter()
            click = threading.Thread(target=approver.send, args=(fields,))  # its page may come later than the agent's answer
            click.start()
            running.result()
            answered.append(time.perf_counter() - began)
            click.join()
    return asked, answered


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        step("starting a target and the stack")
        target = Postgres(directory / "target", name="target", durable=False)
        target.start()
        stack = Stack(directory, policy(target.port), {"BENCH_KEY": KEY, "TARGET_PASSWORD": target.password}, processes=1)
        try:
            psutil.Popen([str(engines.client("pgbench")), "-i", "-q", "-s", "1", target.dsn()], stdout=-3, stderr=-3).wait()
            stack.start()
            step(f"{ROUNDS} statements are held and approved")
            asked, answered = measure(stack)
        finally:
            stack.stop()
            target.stop()
    print(f"\n{'milliseconds':32}{'median':>10}{'slowest':>10}")
    for what, times in (("statement to e-mail", asked), ("click to the agent's answer", answered)):
        print(f"{what:32}{statistics.median(times) * 1000:10.0f}{max(times) * 1000:10.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
