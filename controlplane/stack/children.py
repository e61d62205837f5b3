"""What the stack consists of besides its engines: each child's command line and exactly the environment it may see."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane.stack.ports import LOOPBACK
from controlplane.stack.process import GuardedProcess
from controlplane.stack.tls import self_signed

ROOT = Path(__file__).resolve().parents[2]
DRAIN_SECONDS = 10
# What the proxy worker gets of the environment. Its host holds no secret of the control plane, not even by inheritance.
WORKER_MAY_SEE = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("TIDEGATE_LOG_LEVEL", "TIDEGATE_SPOOL_BYTES", "TIDEGATE_TLS_CLIENT_CA"),
)


@dataclass(frozen=True, slots=True)
class Ports:
    control: int
    proxy: int
    metrics: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one stack is."""

    directory: Path
    ports: Ports
    processes: int

    @property
    def control_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.control}"

    @property
    def metrics_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.metrics}/metrics"

    @property
    def worker_health_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.metrics}/healthz"

    @property
    def mail(self) -> Path:
        return self.directory / "mail"

    @property
    def worker(self) -> Path:
        return self.directory / "worker"

    def log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"


def web(layout: Layout, environment: Mapping[str, str]) -> GuardedProcess:
    """gunicorn with threads: workers hold a request each for as long as the bundle does not change."""
    command = [sys.executable, "-m", "gunicorn", "controlplane.wsgi", "--bind", f"{LOOPBACK}:{layout.ports.control}"]
    command += ["--worker-class", "gthread", "--workers", "2", "--threads", "24", "--timeout", "60", "--graceful-timeout", "5"]
    command += ["--preload", "--no-control-socket", "--log-level", "warning"]  # Django is imported once, then forked
    return GuardedProcess("web", command, log=layout.log("web"), environment=environment, directory=ROOT, grace=10)


def celery_worker(layout: Layout, environment: Mapping[str, str]) -> GuardedProcess:
    command = [*_celery(), "worker", "--pool", "threads", "--concurrency", "4", "--loglevel", "info"]
    command += ["--without-gossip", "--without-mingle"]  # there is one: nobody to talk to
    return GuardedProcess("celery", command, log=layout.log("celery"), environment=environment, directory=ROOT, grace=15)


def celery_beat(layout: Layout, environment: Mapping[str, str]) -> GuardedProcess:
    command = [*_celery(), "beat", "--schedule", str(layout.directory / "beat-schedule"), "--pidfile=", "--loglevel", "warning"]
    return GuardedProcess("beat", command, log=layout.log("beat"), environment=environment, directory=ROOT, grace=5)


def proxy_worker(layout: Layout, *, broker_url: str, enrol_token: str, given: Mapping[str, str]) -> GuardedProcess:
    """`given` is the environment that the stack itself was started with."""
    certificate, key = self_signed(layout.directory / "tls")
    environment = {name: given[name] for name in WORKER_MAY_SEE if name in given} | {
        "TIDEGATE_CONTROL_URL": layout.control_url,
        "TIDEGATE_BROKER_URL": broker_url,
        "TIDEGATE_WORKER_DIR": str(layout.worker),
        "TIDEGATE_ENROL_TOKEN": enrol_token,
        "TIDEGATE_LISTEN": f"{LOOPBACK}:{layout.ports.proxy}",
        "TIDEGATE_PROCESSES": str(layout.processes),
        "TIDEGATE_METRICS_LISTEN": f"{LOOPBACK}:{layout.ports.metrics}",
        "TIDEGATE_TLS_CERT": str(certificate),
        "TIDEGATE_TLS_KEY": str(key),
        "TIDEGATE_DRAIN_SECONDS": str(DRAIN_SECONDS),
    }
    return GuardedProcess(
        "worker",
        [sys.executable, "-m", "worker"],
        log=layout.log("worker"),
        environment=environment,
        directory=ROOT,
        stop_signal=signal.SIGTERM,
        grace=DRAIN_SECONDS + 10,
    )


def control_environment(values: Mapping[str, str]) -> dict[str, str]:
    """The environment of the control plane's processes: everything given, and the stack's own values."""
    inherited = {name: value for name, value in os.environ.items() if name != "TIDEGATE_STACK_DIR"}
    return inherited | dict(values) | {"DJANGO_SETTINGS_MODULE": "controlplane.settings", "PYTHONUNBUFFERED": "1"}


def _celery() -> list[str]:
    return [sys.executable, "-m", "celery", "--app", "controlplane"]
