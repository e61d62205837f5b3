"""``python -m worker`` as a command: what it says when it cannot start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.stack.ports import free_port
from tests.worker.control_plane import ControlPlane, Reply


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run([sys.executable, "-m", "worker", *arguments], env=environment, capture_output=True, text=True, timeout=60)


def given(plane: ControlPlane, directory: Path) -> dict[str, str]:
    return {
        "TIDEGATE_CONTROL_URL": plane.url, "TIDEGATE_BROKER_URL": "redis://:sesame@127.0.0.1:1/0", "TIDEGATE_WORKER_DIR": str(directory),
        "TIDEGATE_METRICS_LISTEN": f"127.0.0.1:{free_port()}", "TIDEGATE_LISTEN": f"127.0.0.1:{free_port()}",
    }  # fmt: skip


def test_help_names_every_variable() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in ("CONTROL_URL", "BROKER_URL", "WORKER_DIR", "ENROL_TOKEN", "LISTEN", "PROCESSES", "METRICS_LISTEN", "TLS_CERT", "TLS_KEY"):
        assert f"TIDEGATE_{name}" in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"TIDEGATE_CONTROL_URL": ""}, "TIDEGATE_CONTROL_URL"),
        ({"TIDEGATE_PROCESSES": "none"}, "TIDEGATE_PROCESSES"),
        ({}, "set TIDEGATE_ENROL_TOKEN"),
        ({"TIDEGATE_ENROL_TOKEN": "used-up"}, "HTTP 403"),
        ({"TIDEGATE_TLS_CERT": "/nowhere.pem", "TIDEGATE_TLS_KEY": "/nowhere.pem"}, "No such file"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(
    control_plane: ControlPlane, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    control_plane.on("POST", "enrol", Reply(403))
    done = run(**given(control_plane, tmp_path / "worker") | change)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line
    assert "sesame" not in line
    assert "used-up" not in line
