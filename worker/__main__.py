"""``python -m worker``: enrol if necessary, then run the worker processes until told to stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

from worker import identity, log, settings
from worker.health import HealthServer
from worker.identity import EnrolmentError
from worker.log import logger
from worker.settings import Settings, SettingsError
from worker.supervisor import Supervisor
from worker.tls import agent_tls


def main() -> int:
    # Read before the environment is changed: a flag reaches the processes under its variable's name.
    os.environ.update(settings.flags_as_environment(sys.argv[1:]))
    log.configure(pid=os.getpid())
    try:
        given = settings.from_mapping(os.environ)
        _prepare(given)
        return asyncio.run(_supervise(given))
    except (SettingsError, EnrolmentError) as error:
        print(f"worker: {error}", file=sys.stderr)
    except OSError as error:
        print(f"worker: {error.strerror or error}: {error.filename or given.listen}", file=sys.stderr)
    return 2


def _prepare(given: Settings) -> None:
    """Everything that can be found out before a process is started. Raises: SettingsError, EnrolmentError, OSError."""
    given.worker_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    agent_tls(given.tls_cert, given.tls_key, given.tls_client_ca)
    if identity.load(given.worker_dir) is None:
        me = identity.enrol(given.worker_dir, given.control_url, given.enrol_token, socket.gethostname()[:63])
        logger().info("enrolled", worker=me.worker)


async def _supervise(given: Settings) -> int:
    metrics_dir = _fresh_directory(given.worker_dir / "metrics")
    # The token is used up and no process needs it.
    environment = {name: value for name, value in os.environ.items() if name != "TIDEGATE_ENROL_TOKEN"}
    supervisor = Supervisor(given.processes, environment, metrics_dir, given.drain_seconds)
    health = HealthServer(given.metrics_listen, metrics_dir, lambda: (supervisor.ready, given.processes))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    try:
        ended_well = await supervisor.run()
    finally:
        health.close()
    return 0 if ended_well else 1


def _fresh_directory(path: Path) -> Path:
    """Counters of processes that are gone would be added up with today's."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    return path


if __name__ == "__main__":
    sys.exit(main())
