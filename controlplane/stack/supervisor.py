"""Start the whole product under one directory, keep it running, stop it in order.

Order of start: engines, tables, admin, policy, then the processes that serve, the proxy worker last. Order of stop is the
reverse: the proxy worker first finishes its statements and ships its records to a control plane that still runs; the
control database goes last. Whatever the worker could not ship stays in its spool for the next start.
"""

import fcntl
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from controlplane.stack import children, secrets
from controlplane.stack.children import Layout, Ports
from controlplane.stack.ports import LOOPBACK, choose_port
from controlplane.stack.postgres import Postgres, write_private
from controlplane.stack.process import GuardedProcess, StartError
from controlplane.stack.valkey import Valkey
from controlplane.stack.watch import Watch

DATABASE = "tidegate"
# Loopback only, so a proxy that the environment names has no business here.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StopRequested(BaseException):
    """SIGTERM or Ctrl-C; a BaseException, so that no `except Exception` on the way swallows it."""


@dataclass(frozen=True, slots=True)
class Options:
    directory: Path
    policy: Path | None = None
    control_port: int = 0
    proxy_port: int = 0
    processes: int = 1
    ready_file: Path | None = None


class Supervisor:
    def __init__(self, options: Options, given: dict[str, str], say: Callable[[str], None]) -> None:
        self.options = options
        self.given = given  # the environment this command was started with
        self.directory = options.directory.resolve()
        self.started: list[GuardedProcess] = []  # in order of start
        self._say = say
        self._began = time.monotonic()

    # --- start ----------------------------------------------------------------------------------------------------------

    def start(self) -> dict[str, object]:
        """Start everything; what the ready file says. Raises StartError, or what the policy file's check raises."""
        values = secrets.prepare(self.directory, self.given)
        self.layout = Layout(self.directory, self._choose_ports(), self.options.processes)
        with ThreadPoolExecutor(2) as pool:
            engines = [pool.submit(self._start_database, values), pool.submit(self._start_broker, values)]
            import django  # noqa: F401  the import takes as long as the engines do

            for engine in engines:
                values |= engine.result()
        values |= self._addresses(values)
        secrets.write(self.directory, values, self.given)
        account = self._prepare(values)
        self._serve(values)
        return self._announce(account)

    def _choose_ports(self) -> Ports:
        """Asked for, else those of the last start (links in e-mails go on working), else free ones."""
        file = self.directory / "ports.json"
        last: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        ports = Ports(
            control=choose_port(self.options.control_port, last.get("control", 0)),
            proxy=choose_port(self.options.proxy_port, last.get("proxy", 0)),
            metrics=choose_port(0, last.get("metrics", 0)),
        )
        write_private(file, json.dumps({"control": ports.control, "proxy": ports.proxy, "metrics": ports.metrics}))
        return ports

    def _start_database(self, values: dict[str, str]) -> dict[str, str]:
        if url := self.given.get("TIDEGATE_DATABASE_URL"):
            return {"TIDEGATE_DATABASE_URL": url}
        server = Postgres(self.directory / "control-database", name="control-database")
        self.started.append(server.process)
        server.start()
        server.ensure_database(DATABASE)
        self.say(f"control database: PostgreSQL on {LOOPBACK}:{server.port}")
        return {"TIDEGATE_DATABASE_URL": server.url(DATABASE)}

    def _start_broker(self, values: dict[str, str]) -> dict[str, str]:
        if url := self.given.get("TIDEGATE_BROKER_URL"):
            return {"TIDEGATE_BROKER_URL": url}
        server = Valkey(self.directory / "broker", name="broker", password=values["TIDEGATE_STACK_BROKER_PASSWORD"])
        self.started.append(server.process)
        server.start()
        self.say(f"broker: Valkey on {LOOPBACK}:{server.port}")
        return {"TIDEGATE_BROKER_URL": server.url()}

    def _addresses(self, values: dict[str, str]) -> dict[str, str]:
        self.layout.mail.mkdir(parents=True, exist_ok=True)
        defaults = {
            "TIDEGATE_PUBLIC_URL": self.layout.control_url,
            "TIDEGATE_ALLOWED_HOSTS": f"localhost,{LOOPBACK}",
            "TIDEGATE_EMAIL_URL": f"file://{self.layout.mail}",
            "TIDEGATE_EMAIL_FROM": "tidegate@localhost",
        }
        return {name: self.given.get(name) or value for name, value in defaults.items()}

    def _prepare(self, values: dict[str, str]) -> dict[str, str]:
        self.control_environment = children.control_environment(values)
        os.environ.update(self.control_environment)
        from controlplane.stack import preparation

        preparation.load_django()
        preparation.migrate()
        self.say("tables are up to date")
        account = preparation.ensure_admin(self.directory / "admin.json")
        if self.options.policy is not None:
            preparation.apply_policy(self.options.policy)
            self.say(f"policy applied: {self.options.policy}")
        preparation.publish_first_bundle()
        self._token = preparation.invitation(self.layout)
        preparation.close()
        return account

    def _serve(self, values: dict[str, str]) -> None:
        from controlplane.stack import preparation

        web = children.web(self.layout, self.control_environment)
        queue = children.celery_worker(self.layout, self.control_environment)
        beat = children.celery_beat(self.layout, self.control_environment)
        worker = children.proxy_worker(
            self.layout, broker_url=values["TIDEGATE_BROKER_URL"], enrol_token=self._token, given=self.given
        )
        self._start(web)
        self._start(queue)
        web.wait_ready(lambda: green(f"{self.layout.control_url}/healthz"), 60)
        self.say(f"control plane: {self.layout.control_url}")
        self._start(worker)
        queue.wait_ready(preparation.celery_answers, 60)
        worker.wait_ready(lambda: green(self.layout.worker_health_url), 60)
        self.say(f"proxy worker: {LOOPBACK}:{self.layout.ports.proxy}, {self.layout.processes} process(es)")
        self._start(beat)  # last: nothing is due yet, and it would take the processor from the others
        self.say("queue: Celery worker and beat")

    def _start(self, process: GuardedProcess) -> None:
        self.started.append(process)
        process.start()

    def _announce(self, account: dict[str, str]) -> dict[str, object]:
        ready: dict[str, object] = {
            "control_url": self.layout.control_url,
            "proxy_host": LOOPBACK,
            "proxy_port": self.layout.ports.proxy,
            "metrics_url": self.layout.metrics_url,
            "admin": account,
            "mail_dir": str(self.layout.mail),
        }
        if self.options.ready_file is not None:
            write_private(self.options.ready_file, json.dumps(ready, indent=2) + "\n")
        self.say(f"ready; sign in as {account['username']}, password in {self.directory / 'admin.json'}")
        return ready

    # --- stop -----------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        if self.options.ready_file is not None:
            self.options.ready_file.unlink(missing_ok=True)
        for process in reversed(self.started):
            process.stop()
        if self.started:
            self.say("stopped")

    def say(self, text: str) -> None:
        self._say(f"[{time.monotonic() - self._began:5.1f} s] {text}")


def green(url: str) -> bool:
    try:
        with _opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def lock(directory: Path) -> int:
    """Hold the directory for this process; the descriptor. Raises StartError when another stack has it."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(directory / "stack.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StartError(f"another stack is running in {directory}") from None
    return descriptor


def request_stop(number: int, frame: FrameType | None) -> None:
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, signal.SIG_IGN)  # stopping has begun: asking again must not break it off
    raise StopRequested


def run(options: Options, say: Callable[[str], None]) -> int:
    """Run a stack in the foreground until SIGTERM or Ctrl-C; the exit status."""
    if options.policy is not None and not options.policy.is_file():
        raise StartError(f"no policy file {options.policy}")
    if options.control_port and options.control_port == options.proxy_port:
        raise StartError(f"port {options.control_port} cannot be both the control plane's and the agents'")
    held = lock(options.directory)
    watch = Watch()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request_stop)
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)
        if not os.access(options.ready_file.parent, os.W_OK | os.X_OK):
            raise StartError(f"the ready file cannot be written: {options.ready_file.parent} is no directory that can be written to")
    supervisor = Supervisor(options, dict(os.environ), say)
    try:
        supervisor.start()
        watch.forever(supervisor.started, supervisor.say)
    except StopRequested:
        return 0
    finally:
        supervisor.stop()
        os.close(held)
    return 0
