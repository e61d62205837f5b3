"""`manage.py stack` on the command line: it needs no settings, and its mistakes are one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def stack(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    given = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "DJANGO_"))}
    command = [sys.executable, str(ROOT / "manage.py"), "stack", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=given | environment, timeout=60)


def test_it_explains_itself_without_any_settings() -> None:
    result = stack("--help")
    assert result.returncode == 0
    for flag in ("--dir", "--policy", "--control-port", "--proxy-port", "--processes", "--ready-file"):
        assert flag in result.stdout


def test_the_directory_is_asked_for() -> None:
    result = stack()
    assert result.returncode == 2
    assert "--dir" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--proxy-port", "99999"), "'99999' is not a whole number from 0 to 65535"),
        (("--control-port", "-1"), "'-1' is not"),
        (("--processes", "0"), "'0' is not a whole number from 1"),
        (("--control-port", "6001", "--proxy-port", "6001"), "port 6001 cannot be both"),
        (("--ready-file", "/nowhere/ready.json"), "/nowhere is no directory"),
        (("--ready-file", "/"), "/: Is a directory"),
        (("--dir", "/proc/nowhere"), "/proc/nowhere: No such file or directory"),
        (("--dir", __file__), f"{__file__}: File exists"),
    ],
)
def test_wrong_arguments_are_one_line_before_anything_starts(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    result = stack("--dir", str(tmp_path), *arguments)
    assert result.returncode != 0
    assert says in result.stderr.splitlines()[-1]
    assert not (tmp_path / "control-database").exists()


@pytest.mark.parametrize("bindir", ["/nowhere", "/usr/share"])
def test_missing_engine_programs_are_one_line(tmp_path: Path, bindir: str) -> None:
    result = stack("--dir", str(tmp_path), TIDEGATE_PG_BINDIR=bindir)
    assert result.returncode == 1
    assert bindir in result.stderr
    assert "Traceback" not in result.stderr


def test_a_database_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    result = stack("--dir", str(tmp_path), TIDEGATE_DATABASE_URL="postgresql://nobody:x@127.0.0.1:1/none")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr, result.stderr
    assert "control database" in result.stderr


def test_an_unusable_policy_file_is_one_line(tmp_path: Path) -> None:
    result = stack("--dir", str(tmp_path / "d"), "--policy", str(tmp_path / "none.yaml"))
    assert result.returncode == 1
    assert "none.yaml" in result.stderr
    assert "Traceback" not in result.stderr
