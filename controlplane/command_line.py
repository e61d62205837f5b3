"""Who acts when a command is run, and times as people type them."""

from __future__ import annotations

import getpass
import re
from datetime import UTC, datetime, timedelta

from django.core.management.base import CommandError
from django.utils import timezone

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def command_line_actor() -> str:
    """How the audit names whoever runs a command: by the account of the machine."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        account = "unknown"
    return f"command line ({account})"


def moment(text: str) -> datetime:
    """``90d``, ``12h`` from now, or a time such as ``2026-12-31T00:00:00Z``. Raises CommandError."""
    span = re.fullmatch(r"(\d+)([mhdw])", text)
    if span:
        return timezone.now() + int(span[1]) * _UNITS[span[2]]
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"'{text}' is neither a span such as 90d or 12h nor a time such as 2026-12-31T00:00:00Z.") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
