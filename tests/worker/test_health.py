import urllib.error
import urllib.request
from pathlib import Path

import pytest

from controlplane.stack.ports import free_port
from worker.health import HealthServer
from worker.settings import Address


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_health_counts_processes_and_metrics_answer(tmp_path: Path) -> None:
    counts = [1, 2]
    port = free_port()
    server = HealthServer(Address("127.0.0.1", port), tmp_path, lambda: (counts[0], counts[1]))
    try:
        url = f"http://127.0.0.1:{port}"
        assert get(f"{url}/healthz") == (503, b'{"ready":1,"processes":2}')
        counts[0] = 2
        assert get(f"{url}/healthz") == (200, b'{"ready":2,"processes":2}')
        assert get(f"{url}/metrics")[0] == 200
        assert get(f"{url}/elsewhere")[0] == 404
        with pytest.raises(OSError, match="in use"):
            HealthServer(Address("127.0.0.1", port), tmp_path, lambda: (0, 0))
    finally:
        server.close()
