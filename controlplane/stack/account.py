"""The account that PostgreSQL runs under. The server refuses to run as root, and containers and CI machines are often root.

Three ways, the first that works: the present user if it is not root; root's files seen from a user namespace in which root
is called `nobody` (nothing changes owner, and directories closed to others stay closed); the real `nobody`, which must then be able
to reach the program and the data.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


class AccountError(RuntimeError):
    """No account under which PostgreSQL would run, or one that cannot reach its files; says which and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """`prefix` goes before a command line; `user` and `group` (ids) are given to the process; both may be empty."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def own(self, path: Path) -> None:
        """Give a file or directory to the account."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)

    def require_reach(self, *paths: Path) -> None:
        """Raises AccountError when a directory on the way to a path is closed to the account."""
        if self.user is None:
            return
        for path in paths:
            for directory in path.resolve().parents:
                facts = directory.stat()
                if facts.st_uid != self.user and not facts.st_mode & 0o001:
                    raise AccountError(
                        f"PostgreSQL cannot run as root, and the account it would run as cannot enter {directory} on the way to {path}. "
                        "Run as an ordinary user, or use a directory that others may enter (TIDEGATE_PG_BINDIR for the programs)."
                    )

    def run(self, command: list[str], **options: object) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end under the account. Options are those of `subprocess.run`."""
        if self.user is not None:
            options |= {"user": self.user, "group": self.group, "extra_groups": []}
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [*self.prefix, *command], text=True, capture_output=True, check=False, **options
        )


ROOT_AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--")


def unprivileged() -> Account:
    """The account to use on this machine. Raises AccountError when there is none."""
    if os.geteuid() != 0:
        return Account()
    if shutil.which(ROOT_AS_NOBODY[0]) and subprocess.run([*ROOT_AS_NOBODY, "true"], capture_output=True, check=False).returncode == 0:
        return Account(prefix=ROOT_AS_NOBODY)
    return real_nobody()


def real_nobody() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise AccountError(
            "PostgreSQL cannot run as root; this machine allows no user namespaces and has no account called nobody. "
            "Run as an ordinary user."
        ) from None
    return Account(user=entry.pw_uid, group=entry.pw_gid)
