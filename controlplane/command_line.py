"""Which commands there are, who acts when one is run, and times as people type them."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import MutableMapping, Sequence
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError
from django.db import OperationalError
from django.utils import timezone

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


OURS = frozenset({"controlplane", "policies", "approvals", "audit"})


def only_explains(arguments: Sequence[str]) -> bool:
    """Whether a command line asks how things are used: that needs no deployment."""
    return arguments[:1] in ([], ["help"], ["version"], ["--version"], ["policy-schema"]) or not {"-h", "--help"}.isdisjoint(arguments)


def stand_in(environment: MutableMapping[str, str]) -> None:
    """Let settings be read on a machine where nothing is set up; nothing is connected to."""
    from controlplane.stack import secrets  # its imports are too much for every other command

    for name in [name for name in environment if name.startswith("TIDEGATE_")]:
        del environment[name]
    nowhere = {"DATABASE": "postgresql://localhost/none", "BROKER": "redis://localhost", "PUBLIC": "http://localhost", "EMAIL": "file:///none"}
    environment.update(secrets.generate() | {f"TIDEGATE_{name}_URL": url for name, url in nowhere.items()})


def overview() -> str:
    """Our own commands, one per line with what it does; Django's are named by ``help --commands``."""
    owners = {name: app for name, app in get_commands().items() if isinstance(app, str) and app in OURS}
    lines = [f"  {name:<16}{load_command_class(app, name).help}" for name, app in sorted(owners.items())]
    return "\n".join([
        "Tidegate's commands; 'manage.py COMMAND --help' explains one:", "", *lines, "",
        "Start with 'manage.py stack --dir DIR --policy FILE --ready-file FILE'. The other commands act on the stack that runs in",
        "TIDEGATE_STACK_DIR, or on the deployment that the environment describes (docs/contracts.md, section 7).",
        "Django's own commands: manage.py help --commands",
    ])  # fmt: skip


def mistake(problem: Exception) -> str:
    """What an operator can mend, in one line; empty for a fault of ours, which deserves its traceback."""
    if isinstance(problem, OperationalError):
        stack = os.environ.get("TIDEGATE_STACK_DIR", "")
        running = f" Is the stack in {stack} running?" if stack else ""
        return f"the control database does not answer as it should: {' '.join(str(problem).split())}{running}"
    return str(problem) if isinstance(problem, ImproperlyConfigured) else ""


def command_line_actor() -> str:
    """How the audit names whoever runs a command: by the account of the machine."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        account = "unknown"
    return f"command line ({account})"


def moment(text: str, *, ago: bool = False) -> datetime:
    """``90d``, ``12h`` from now (or ``ago``), or a time such as ``2026-12-31T00:00:00Z``; without a zone it is UTC. Raises CommandError."""
    span = re.fullmatch(r"(\d+)([mhdw])", text)
    try:
        if span:
            return timezone.now() + (-1 if ago else 1) * int(span[1]) * _UNITS[span[2]]
        when = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise CommandError(f"'{text}' is neither a span such as 90d or 12h nor a time such as 2026-12-31T00:00:00Z.") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
