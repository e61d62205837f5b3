"""Objects for tests that run the real thing: a stack as anybody would start it, and agents as they are.

    with Stack(directory, policy, {"CRM_PASSWORD": …}) as stack:
        agent = Agent(stack, "reader", KEY, "crm")
        agent.rows("SELECT 1")
        agent.psql("\\d crm.customers")
        stack.entries("statement.intended", subject="reader")
"""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import yaml
from psycopg.conninfo import make_conninfo

from controlplane.stack.process import GuardedProcess
from deploy.demo.approver import Mailbox
from tests import engines

ROOT = Path(__file__).resolve().parents[2]


def eventually(condition: Callable[[], Any], what: str, seconds: float = 15) -> Any:
    """What `condition` gives as soon as it gives something; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return found


def processes_of(directory: Path) -> list[psutil.Process]:
    """Every process whose command line or environment names a directory: all that a stack started, and what that started."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _names(process, str(directory))]


def _names(process: psutil.Process, text: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return any(text in word for word in process.cmdline()) or any(text in value for value in process.environ().values())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


class Stack:
    """`manage.py stack` in a directory of its own. `environment` holds the secrets that the policy names.

    With a `control_port` people know it as http://localhost:PORT, a name, which passkeys need.
    """

    def __init__(
        self, directory: Path, policy: dict[str, Any], environment: dict[str, str], processes: int = 2, control_port: int = 0
    ) -> None:
        self.directory = directory
        self.data = directory / "stack"
        self.ready_file = directory / "ready.json"
        self.policy_file = directory / "policy.yaml"
        self.processes = processes
        directory.mkdir(parents=True, exist_ok=True)
        self.write_policy(policy)
        given = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "DJANGO_"))}
        self.environment = given | environment | ({"TIDEGATE_PUBLIC_URL": f"http://localhost:{control_port}"} if control_port else {})
        command = [sys.executable, str(ROOT / "manage.py"), "stack", "--dir", str(self.data), "--policy", str(self.policy_file)]
        command += ["--processes", str(processes), "--ready-file", str(self.ready_file), "--control-port", str(control_port)]
        self.process = GuardedProcess(
            "stack", command, log=directory / "stack.log", environment=self.environment, directory=ROOT, grace=60
        )
        self.ready: dict[str, Any] = {}

    # --- life -----------------------------------------------------------------------------------------------------------

    def start(self) -> "Stack":
        self.ready_file.unlink(missing_ok=True)  # one that was killed left it behind
        self.process.start()
        self.process.wait_ready(self.ready_file.exists, 90)
        self.ready = json.loads(self.ready_file.read_text())
        return self

    def stop(self) -> None:
        self.process.stop()

    def __enter__(self) -> "Stack":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def supervisor(self) -> psutil.Process:
        """The process of `manage.py stack`, below its guard."""
        assert self.process.pid is not None
        [found] = psutil.Process(self.process.pid).children()
        return found

    def child(self, name: str) -> psutil.Process:
        """The process that a child's guard runs: control-database, broker, web, celery, beat or worker."""
        for guard in self.supervisor.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # a guard that ends while it is looked at
                command, running = guard.cmdline(), guard.children()
                if running and "--name" in command and command[command.index("--name") + 1] == name:
                    return running[0]
        raise LookupError(f"the stack has no running child {name}")

    def worker_processes(self) -> list[psutil.Process]:
        """The processes that hold sessions: those that listen on the agents' port."""
        found = []
        for process in self.child("worker").children(recursive=True):
            connections = process.net_connections("tcp")
            if any(one.status == psutil.CONN_LISTEN and one.laddr.port == self.ready["proxy_port"] for one in connections):
                found.append(process)
        return found

    # --- administration -------------------------------------------------------------------------------------------------

    def write_policy(self, policy: dict[str, Any]) -> None:
        self.policy_file.write_text(yaml.safe_dump(policy, sort_keys=False))

    def manage(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a `manage.py` command on this stack."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        environment = self.environment | {"TIDEGATE_STACK_DIR": str(self.data)}
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
        assert not check or result.returncode == 0, f"{arguments}: {result.stdout}{result.stderr}"
        return result

    def sql(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Ask the control database."""
        url = next(line for line in (self.data / "stack.env").read_text().splitlines() if line.startswith("TIDEGATE_DATABASE_URL="))
        with psycopg.connect(url.split("=", 1)[1], autocommit=True) as connection:
            return connection.execute(statement, parameters).fetchall()

    def entries(self, kind: str, **columns: str) -> list[dict[str, Any]]:
        """Entries of the ledger, oldest first: their public fields with what was disclosed."""
        where = " AND ".join(["kind = %s", *(f"{column} = %s" for column in columns)])
        rows = self.sql(f"SELECT canonical, disclosures FROM audit_entry WHERE {where} ORDER BY id", (kind, *columns.values()))
        found = []
        for canonical, disclosures in rows:
            entry = json.loads(canonical)
            disclosed = {name: disclosure["value"] for name, disclosure in json.loads(disclosures).items()}
            found.append(entry["fields"] | disclosed)
        return found

    def eventually_entry(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The newest entry of a kind whose fields have these values, once it has arrived."""
        def matching() -> dict[str, Any] | None:
            found = [entry for entry in self.entries(kind) if all(entry.get(name) == value for name, value in fields.items())]
            return found[-1] if found else None

        entry: dict[str, Any] = eventually(matching, f"{kind} with {fields}")
        return entry

    def log(self, name: str) -> str:
        return (self.data / "logs" / f"{name}.log").read_text(errors="replace")

    @property
    def public_url(self) -> str:
        """Where people's links lead."""
        return self.environment.get("TIDEGATE_PUBLIC_URL") or str(self.ready["control_url"])

    def mailbox(self) -> Mailbox:
        return Mailbox(Path(self.ready["mail_dir"]))


class Agent:
    """An agent with ordinary PostgreSQL clients. Every connection is new unless `connect` is used."""

    def __init__(self, stack: Stack, user: str, password: str, dbname: str) -> None:
        self.stack, self.user, self.password, self.dbname = stack, user, password, dbname

    def dsn(self, **options: Any) -> str:
        address = {"host": self.stack.ready["proxy_host"], "port": self.stack.ready["proxy_port"]}
        given = {"dbname": self.dbname, "user": self.user, "password": self.password, "connect_timeout": 10}
        return make_conninfo(**(address | given | options))

    def connect(self, **options: Any) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self.dsn(**options), autocommit=True)

    def rows(self, statement: str, parameters: tuple[Any, ...] | None = None, *, binary: bool = False) -> list[tuple[Any, ...]]:
        with self.connect() as connection, connection.cursor(binary=binary) as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def refusal(self, statement: str, parameters: tuple[Any, ...] | None = None) -> psycopg.errors.Diagnostic:
        """The error that a statement gets; fails when it gets none."""
        with self.connect() as connection:
            try:
                connection.execute(statement, parameters)
            except psycopg.Error as error:
                return error.diag
        raise AssertionError(f"not refused: {statement}")

    def psql(self, *commands: str) -> "subprocess.CompletedProcess[str]":
        """psql without a start-up file, unaligned, stopping at the first error."""
        arguments = [argument for command in commands for argument in ("-c", command)]
        return self._run("psql", self.dsn(), "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-At", *arguments)

    def pgbench(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self._run("pgbench", *arguments, self.dsn())

    def _run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([str(engines.client(program)), *arguments], capture_output=True, text=True, check=False, timeout=120)

    def start(self, statement: str, parameters: tuple[Any, ...] | None = None) -> "Running":
        """Run a statement in the background: one that will be held."""
        return Running(self, statement, parameters)


class Running:
    """A statement on its way: `result()` waits for the command tag or raises what the client raised."""

    def __init__(self, agent: Agent, statement: str, parameters: tuple[Any, ...] | None) -> None:
        self.connection = agent.connect()
        self.notices: list[str] = []
        self._tag = ""
        self._error: BaseException | None = None
        self.connection.add_notice_handler(lambda notice: self.notices.append(f"{notice.message_primary} {notice.message_hint}"))
        self._thread = threading.Thread(target=self._run, args=(statement, parameters))
        self._thread.start()

    def _run(self, statement: str, parameters: tuple[Any, ...] | None) -> None:
        try:
            self._tag = self.connection.execute(statement, parameters).statusmessage or ""
        except BaseException as error:
            self._error = error
        finally:
            self.connection.close()

    def vanish(self) -> None:
        """The agent is gone, in the middle of its statement.

        Not by ``close()``: the thread still reads from that descriptor, and would read from whoever gets its number next.
        """
        with socket.socket(fileno=os.dup(self.connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)

    def result(self, seconds: float = 30) -> str:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the statement is still waiting"
        if self._error is not None:
            raise self._error
        return self._tag


def kill(process: psutil.Process) -> None:
    """kill -9, and wait until it is gone."""
    process.send_signal(signal.SIGKILL)
    psutil.wait_procs([process], timeout=10)


def cleartext_sign_in(stack: Stack, user: str, database: str, password: str) -> dict[str, str]:
    """The ErrorResponse fields that a password gets; libpq does not tell the SQLSTATE of a failed connection (manual, 55.8)."""
    return _sign_in(stack, user, database, {struct.pack("!I", 3): password.encode() + b"\0"})[0]


def bearer_sign_in(stack: Stack, database: str, token: str) -> tuple[dict[str, str], list[str]]:
    """What the user ``oauth`` gets for a token by OAUTHBEARER (RFC 7628): the fields of an ErrorResponse, if any, and the challenges."""
    response = f"n,,\x01auth={f'Bearer {token}' if token else ''}\x01\x01".encode()
    initial = b"OAUTHBEARER\0" + struct.pack("!I", len(response)) + response
    return _sign_in(stack, "oauth", database, {struct.pack("!I", 10): initial, struct.pack("!I", 11): b"\x01"})


def _sign_in(stack: Stack, user: str, database: str, answers: dict[bytes, bytes]) -> tuple[dict[str, str], list[str]]:
    """Start up and give to each Authentication request the answer to its code, until there is an error or the session is ready."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!I", len(body) + 4) + body

    challenges = []
    with socket.create_connection((stack.ready["proxy_host"], stack.ready["proxy_port"]), timeout=20) as peer:
        reader = peer.makefile("rb")
        peer.sendall(message(b"", struct.pack("!I", 196608) + f"user\0{user}\0database\0{database}\0\0".encode()))
        while kind := reader.read(1):
            body = reader.read(struct.unpack("!I", reader.read(4))[0] - 4)
            if kind == b"R" and body[:4] in answers:
                challenges.append(body[4:].decode())
                peer.sendall(message(b"p", answers[body[:4]]))
            elif kind == b"E":
                return {field[:1].decode(): field[1:].decode() for field in body.split(b"\0") if field}, challenges
            elif kind == b"Z":
                return {}, challenges
    raise AssertionError("closed without a word")
