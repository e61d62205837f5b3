from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from controlplane.command_line import command_line_actor, moment, overview
from tests import engines


def test_times() -> None:
    assert abs(moment("90d") - (timezone.now() + timedelta(days=90))) < timedelta(minutes=1)
    assert moment("2026-12-31T00:00:00Z") == datetime(2026, 12, 31, tzinfo=UTC)
    assert moment("2026-12-31") == datetime(2026, 12, 31, tzinfo=UTC)
    assert abs(moment("90d", ago=True) - (timezone.now() - timedelta(days=90))) < timedelta(minutes=1)
    for text in ("soon", "99999999999w"):
        with pytest.raises(CommandError, match="neither a span"):
            moment(text)


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """On a machine where nothing is set up."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "DJANGO_"))}
    program = Path(__file__).parents[2] / "manage.py"
    return subprocess.run(
        [sys.executable, str(program), *arguments], capture_output=True, text=True, check=False, env=given | environment, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        ((), "TIDEGATE_STACK_DIR"), (("--help",), "manage.py stack --dir"), (("--version",), "Tidegate 0."),
        (("help", "apply"), "--dry-run"), (("key", "create", "--help"), "subject"),
    ],
)  # fmt: skip
def test_help_needs_nothing(arguments: tuple[str, ...], holds: str) -> None:
    result = manage(*arguments, TIDEGATE_STACK_DIR="/nowhere")
    assert (result.returncode, result.stderr) == (0, "")
    assert holds in result.stdout


def test_the_schema_needs_nothing() -> None:
    assert json.loads(manage("policy-schema").stdout)["title"]


def test_anything_else_says_in_one_line_what_is_missing(tmp_path: Path) -> None:
    stopped = tmp_path / "stack.env"
    stopped.write_text("\n".join(f"{name}={value}" for name, value in engines.environment().items() if name != "TIDEGATE_DATABASE_URL"))
    nobody = {"TIDEGATE_STACK_DIR": str(tmp_path), "TIDEGATE_DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none"}
    for environment, holds in (
        ({}, "set TIDEGATE_STACK_DIR"), ({"TIDEGATE_STACK_DIR": "/nowhere"}, "/nowhere/stack.env"),
        (nobody, f"Is the stack in {tmp_path} running?"),
    ):  # fmt: skip
        result = manage("key", "list", **environment)
        assert result.returncode != 0
        assert holds in result.stderr
        assert len(result.stderr.splitlines()) == 1


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
