from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from controlplane.command_line import command_line_actor, moment, overview


def test_times() -> None:
    assert abs(moment("90d") - (timezone.now() + timedelta(days=90))) < timedelta(minutes=1)
    assert moment("2026-12-31T00:00:00Z") == datetime(2026, 12, 31, tzinfo=UTC)
    assert moment("2026-12-31") == datetime(2026, 12, 31, tzinfo=UTC)
    with pytest.raises(CommandError, match="neither a span"):
        moment("soon")


def test_whoever_runs_a_command_is_named() -> None:
    with patch("getpass.getuser", return_value="ops"):
        assert command_line_actor() == "command line (ops)"
    with patch("getpass.getuser", side_effect=OSError):
        assert command_line_actor() == "command line (unknown)"


def test_the_overview_is_of_our_own_commands() -> None:
    lines = overview().splitlines()
    named = [line.split()[0] for line in lines if line.startswith("  ")]
    assert named == sorted(named)
    assert {"apply", "approvals", "audit", "changepassword", "key", "stack", "worker"} <= set(named)
    assert not {"migrate", "shell", "dumpdata"} & set(named)
