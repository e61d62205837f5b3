from __future__ import annotations

import json
import logging
import sys

from controlplane.log_lines import JsonLines


def line(**extra: object) -> dict:
    record = logging.LogRecord("controlplane", logging.WARNING, __file__, 1, "worker %s", ("host-a",), None)
    for name, value in extra.items():
        setattr(record, name, value)
    return json.loads(JsonLines().format(record))


def test_a_line_is_an_object_with_what_was_given() -> None:
    found = line(worker="w1", sessions=3)
    assert found.pop("time").endswith("+00:00")
    assert found == {"level": "warning", "logger": "controlplane", "event": "worker host-a", "worker": "w1", "sessions": 3}


def test_a_request_is_not_part_of_it() -> None:
    """Django adds it to each record, and it holds paths of signed links, cookies and bodies."""
    assert "request" not in line(request=object())


def test_an_exception_says_where() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    text = JsonLines().format(record)
    assert "\n" not in text
    assert "test_log_lines.py" in json.loads(text)["exception"]


def test_a_tasks_arguments_are_not_part_of_it() -> None:
    """Celery logs them as `data`; those of an approval request hold a statement with its parameters."""
    assert "data" not in line(data={"args": "('…',)"})


def test_an_approvers_link_is_not_part_of_it() -> None:
    """Django names the path of a request that failed; with this one anybody could answer as the approver."""
    record = logging.LogRecord(
        "django.security.csrf", logging.WARNING, __file__, 1, "Forbidden (%s): %s", ("no cookie", "/approvals/r/eyJ.abc:1x:sig_-Z/"), None
    )
    assert json.loads(JsonLines().format(record))["event"] == "Forbidden (no cookie): /approvals/r/…/"
