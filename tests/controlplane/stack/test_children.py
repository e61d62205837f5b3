"""Which environment each child gets: the worker nothing of the control plane's secrets, the control plane nobody else's stack."""

from pathlib import Path

import pytest

from controlplane.stack import children
from controlplane.stack.children import Layout, Ports

LAYOUT = Layout(Path("/nowhere"), Ports(control=8000, proxy=6432, metrics=9187), processes=3)


def environment_of_worker(tmp_path: Path, given: dict[str, str]) -> dict[str, str]:
    layout = Layout(tmp_path, LAYOUT.ports, LAYOUT.processes)
    process = children.proxy_worker(layout, broker_url="redis://broker", enrol_token="once", given=given)
    return process.environment


def test_the_worker_gets_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    given = {"PATH": "/bin", "TIDEGATE_TLS_CLIENT_CA": "/ca.pem", "TIDEGATE_SECRET_KEY": "s", "CRM_PASSWORD": "p", "TIDEGATE_DATABASE_URL": "postgresql://"}
    found = environment_of_worker(tmp_path, given)
    assert found["PATH"] == "/bin"
    assert found["TIDEGATE_TLS_CLIENT_CA"] == "/ca.pem"
    assert found["TIDEGATE_LISTEN"] == "127.0.0.1:6432"
    assert found["TIDEGATE_PROCESSES"] == "3"
    assert not {"s", "p", "postgresql://"} & set(found.values())


def test_the_workers_certificate_is_there(tmp_path: Path) -> None:
    found = environment_of_worker(tmp_path, {})
    assert Path(found["TIDEGATE_TLS_CERT"]).exists()
    assert Path(found["TIDEGATE_TLS_KEY"]).exists()


def test_the_control_plane_is_not_pointed_at_another_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_STACK_DIR", "/some/other/stack")
    found = children.control_environment({"TIDEGATE_SECRET_KEY": "ours"})
    assert "TIDEGATE_STACK_DIR" not in found
    assert found["TIDEGATE_SECRET_KEY"] == "ours"


def test_everything_listens_on_loopback() -> None:
    assert LAYOUT.control_url == "http://127.0.0.1:8000"
    assert LAYOUT.metrics_url == "http://127.0.0.1:9187/metrics"
    web = children.web(LAYOUT, {})
    assert "127.0.0.1:8000" in web.command
