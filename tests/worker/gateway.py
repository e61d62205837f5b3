"""A real worker (parent and processes) between a real PostgreSQL and a control plane whose answers a test decides."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from controlplane.stack.ports import free_port
from proxy.wire.scram import derive
from tests.worker.control_plane import Call, ControlPlane, Reply

if TYPE_CHECKING:  # conftest brings Django along, which a process of its own does not need
    from tests.conftest import Target

KEY = "an-api-key-of-thirty-two-characters"
SALT = bytes(range(16))


def bundle(target: Target, serial: int = 1, *, tls: str = "disable", **changes: Any) -> dict[str, Any]:
    """One subject, ``bot``, who may do everything on ``crm`` but what rules and masks of ``changes`` say."""
    key = derive(KEY, SALT, 4096, "k1")
    crm = {
        "name": "crm", "host": target.host, "port": target.port, "dbname": "postgres", "databases": [], "user": target.user,
        "credential_version": 1, "tls": {"mode": tls, "ca": None}, "default": "allow", "unanalyzable": "allow",
        "opaque_functions": "allow", "trusted_functions": [], "derived_use": "scan", "row_evidence": "count", "max_rows": None,
        "statement_timeout_ms": None, "max_sessions": None,
    } | changes.pop("connection", {})  # fmt: skip
    scram_key = {
        "id": "k1", "expires": None, "stored_key": base64.b64encode(key.stored_key).decode(),
        "server_key": base64.b64encode(key.server_key).decode(),
    }  # fmt: skip
    scram = {"salt": base64.b64encode(SALT).decode(), "iterations": 4096, "keys": [scram_key]}
    bot = {"name": "bot", "kind": "agent", "owner": None, "groups": [], "scram": scram, "oidc": None}
    grant = {"subjects": ["bot"], "groups": [], "connections": ["crm"], "actions": ["select"], "from": None, "until": None}
    return {
        "format": "tidegate-bundle/1", "serial": serial, "max_staleness": 3600, "groups": [], "issuers": [], "subjects": [bot],
        "connections": [crm], "grants": [grant], "masking": [], "rules": [], "workflows": [], **changes,
    }  # fmt: skip


def secrets(target: Target) -> dict[str, Any]:
    return {"connections": {"crm": {"password": target.password, "hash_key": base64.b64encode(bytes(32)).decode()}}}


@contextmanager
def cancelling(client: psycopg.Connection[Any], target: Target, relation: str) -> Iterator[None]:
    """What the client runs meanwhile is cancelled as soon as the target has it wait for a lock of the relation."""
    waiting = "SELECT FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
    over = threading.Event()
    with psycopg.connect(target.dsn(), autocommit=True) as watcher:

        def cancel() -> None:
            while not over.wait(0.01):
                if watcher.execute(waiting, [relation]).rowcount:
                    return client.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class Gateway:
    """``python -m worker`` as its own process tree."""

    def __init__(self, plane: ControlPlane, directory: Path, broker: str, *, processes: int = 1, **variables: str) -> None:
        self.plane, self.directory, self.processes = plane, directory, processes
        self.entries: list[dict[str, Any]] = []
        plane.accept_enrolment()
        plane.on("POST", "heartbeat", Reply(204))
        plane.on("POST", "audit", self._audit)
        self.port, self.metrics_port = free_port(), free_port()
        self.log = directory.with_suffix(".log")
        self._environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ} | {
            "TIDEGATE_CONTROL_URL": plane.url, "TIDEGATE_BROKER_URL": broker, "TIDEGATE_WORKER_DIR": str(directory),
            "TIDEGATE_ENROL_TOKEN": "token", "TIDEGATE_LISTEN": f"127.0.0.1:{self.port}", "TIDEGATE_PROCESSES": str(processes),
            "TIDEGATE_METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}", "TIDEGATE_DRAIN_SECONDS": "5", **variables,
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def _audit(self, call: Call) -> Reply:
        for item in call.json["entries"]:
            entry = json.loads(item["entry"])
            entry["values"] = {name: disclosure["value"] for name, disclosure in item["disclosures"].items()}
            if not any((known["boot"], known["seq"]) == (entry["boot"], entry["seq"]) for known in self.entries):
                self.entries.append(entry)
        return Reply(200, {"acknowledged": json.loads(call.json["entries"][-1]["entry"])["seq"]})

    def start(self, ready: bool = True) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "worker"], env=self._environment, stderr=log, stdout=log)
        if ready:
            self.until(lambda: self.health()[0] == 200)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        """Whatever happened: nothing of it may stay."""
        if self.process is None:
            return
        tree = self.tree()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for process in tree:
            if process.is_running():
                process.kill()

    def tree(self) -> list[psutil.Process]:
        """Everything below the parent."""
        assert self.process is not None
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> list[psutil.Process]:
        """The worker processes themselves."""
        return [process for process in self.tree() if "worker.process" in process.cmdline()]

    def health(self) -> tuple[int, bytes]:
        return self._get("/healthz")

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self._get("/metrics")[1].decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def dsn(self, **parameters: object) -> str:
        given = {"host": "127.0.0.1", "port": self.port, "dbname": "crm", "user": "bot", "password": KEY, "sslmode": "disable"}
        return make_conninfo(**given | parameters)  # type: ignore[arg-type]

    def kinds(self, session: str = "") -> list[str]:
        return [entry["kind"] for entry in self.entries if not session or entry["fields"].get("session") == session]

    def statements(self) -> list[str]:
        return [entry["values"]["sql"] for entry in self.entries if entry["kind"] == "statement.intended"]

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"did not happen; log:\n{self.log.read_text()[-5000:]}")
            time.sleep(0.05)

    def _get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=5) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""
