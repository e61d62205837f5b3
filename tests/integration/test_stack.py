"""`manage.py stack`: what other people's scripts rely on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.demo.identity_provider import IdentityProvider
from tests.conftest import Target
from tests.integration import world
from tests.integration.conftest import PASSWORD
from tests.integration.harness import ROOT, Agent, Stack, eventually, processes_of


def test_the_ready_file_says_where_everything_is(stack: Stack) -> None:
    assert set(stack.ready) == {"control_url", "proxy_host", "proxy_port", "metrics_url", "admin", "mail_dir"}
    assert set(stack.ready["admin"]) == {"username", "password"}
    assert stack.ready_file.stat().st_mode & 0o077 == 0, "it holds a password"


def test_secrets_are_for_their_owner_only(stack: Stack) -> None:
    for name in ("stack.env", "admin.json"):
        assert (stack.data / name).stat().st_mode & 0o077 == 0


def test_the_worker_sees_no_secret_of_the_control_plane(stack: Stack) -> None:
    secret = {"TIDEGATE_SECRET_KEY", "TIDEGATE_FERNET_KEYS", "TIDEGATE_SIGNING_KEY", "TIDEGATE_DATABASE_URL", "TARGET_PASSWORD"}
    worker = stack.child("worker")
    for process in (worker, *worker.children(recursive=True)):
        assert not secret & process.environ().keys()


def test_a_second_stack_in_the_same_directory_is_refused(stack: Stack) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "stack", "--dir", str(stack.data)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == 1
    assert "another stack is running" in result.stderr


def test_a_taken_port_is_refused(stack: Stack, tmp_path: Path) -> None:
    port = str(stack.ready["proxy_port"])
    command = [sys.executable, str(ROOT / "manage.py"), "stack", "--dir", str(tmp_path), "--proxy-port", port]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == 1
    assert f"port {port}" in result.stderr


def test_a_wrong_policy_stops_the_start_with_one_clear_message(own_stack: Stack) -> None:
    own_stack.policy_file.write_text("version: 1\nsubjets: []\n")
    with pytest.raises(Exception, match="subjects"):
        own_stack.start()
    assert not processes_of(own_stack.data)


def test_ready_in_20_seconds_and_gone_after_sigterm(own_stack: Stack) -> None:
    idle = os.getloadavg()[0] < 2  # the promise is for two cores that are ours
    began = time.monotonic()
    own_stack.start()
    took = time.monotonic() - began
    assert len(processes_of(own_stack.data)) > 10
    agent = Agent(own_stack, "reader", world.KEYS["reader"], "crm15")
    assert agent.rows("SELECT count(*) FROM crm.customers") == [(100,)]
    own_stack.supervisor.send_signal(signal.SIGTERM)
    own_stack.process.wait_ended()
    assert not processes_of(own_stack.data)
    assert not own_stack.ready_file.exists()
    assert took < 20 or not idle


def test_kill_9_leaves_no_orphans_and_the_next_start_finds_everything(own_stack: Stack) -> None:
    own_stack.start()
    agent = Agent(own_stack, "reader", world.KEYS["reader"], "crm15")
    agent.rows("SELECT 1 FROM crm.orders LIMIT 1")
    before = own_stack.ready
    own_stack.supervisor.send_signal(signal.SIGKILL)
    own_stack.process.wait_ended()
    eventually(lambda: not processes_of(own_stack.data), "everything is gone", 30)
    own_stack.start()
    assert own_stack.ready == before, "ports and passwords stay"
    assert agent.rows("SELECT count(*) FROM crm.customers") == [(100,)]
    own_stack.eventually_entry("statement.intended", subject="reader", sql="SELECT 1 FROM crm.orders LIMIT 1")


def test_policy_changes_reach_the_worker_without_a_restart(own_stack: Stack, provider: IdentityProvider, targets: list[Target]) -> None:
    own_stack.start()
    agent = Agent(own_stack, "reader", world.KEYS["reader"], "crm15")
    with agent.connect() as connection:
        assert connection.execute("SELECT count(*) > 0 FROM crm.orders").fetchone() == (True,)
        stricter = world.policy(targets, provider.issuer)
        stricter["rules"].append({"name": "closed", "when": {"relations": ["crm.orders"]}, "then": "deny"})
        own_stack.write_policy(stricter)
        own_stack.manage("apply", "-f", str(own_stack.policy_file))

        def refused() -> bool:
            try:
                connection.execute("SELECT count(*) FROM crm.orders")
            except Exception as error:
                return "closed" in str(error) or getattr(error, "sqlstate", "") == "42501"
            return False

        eventually(refused, "the open session feels the new rule")


def test_a_revoked_worker_is_shut_out(own_stack: Stack) -> None:
    own_stack.start()
    agent = Agent(own_stack, "reader", world.KEYS["reader"], "crm15")
    assert agent.rows("SELECT 1 FROM crm.orders LIMIT 1") == [(1,)]
    revoke = (
        "from controlplane.models import Worker; from controlplane import workers; "
        "[workers.revoke(worker, actor='test') for worker in Worker.objects.all()]"
    )
    own_stack.manage("shell", "-c", revoke)
    eventually(lambda: "401" in own_stack.log("worker") or "revoked" in own_stack.log("worker"), "the worker is told", 40)

    def shut_out() -> bool:
        try:
            agent.rows("SELECT 1 FROM crm.orders LIMIT 1")
        except Exception:
            return True
        return False

    eventually(shut_out, "agents are refused by a revoked worker", 40)


def test_the_secrets_of_this_file_are_not_in_any_log(stack: Stack) -> None:
    secrets = [stack.ready["admin"]["password"], PASSWORD, *world.KEYS.values()]
    kept = dict(line.split("=", 1) for line in (stack.data / "stack.env").read_text().splitlines() if "=" in line)
    secrets += [value for name, value in kept.items() if name.endswith(("KEY", "KEYS", "PASSWORD"))]
    logs = [*stack.data.rglob("*.log"), stack.directory / "stack.log"]
    assert len(logs) > 5
    found = [(path.name, secret[:6]) for path in logs for secret in secrets if secret in path.read_text(errors="replace")]
    assert not found


