"""Log lines for machines: one JSON object per event."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request", "server_time", "exc_info"}
_PRIVATE = {"data"}  # Celery adds a task's arguments under this name: for a held statement that is its SQL and parameters
_LEFT_OUT = _STANDARD | _PRIVATE
# An approver's link is as good as the approver's word, and Django names the path of whatever went wrong.
_LINK = re.compile(r"(/approvals/r/)[^\s/\"'?]+")


class JsonLines(logging.Formatter):
    """Time, level, logger, message, and what was given as ``extra``.

    Bound parameters and request bodies are never part of a record: who logs passes names and ids only.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update({name: _plain(value) for name, value in vars(record).items() if name not in _LEFT_OUT and not name.startswith("_")})
        if record.exc_info and record.exc_info[0]:
            line["exception"] = self.formatException(record.exc_info)
        return _LINK.sub(r"\1…", json.dumps(line, ensure_ascii=False, separators=(",", ":")))


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
