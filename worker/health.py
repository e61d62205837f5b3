"""``/healthz`` and ``/metrics`` of the whole worker, served by the parent in threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from worker.settings import Address

if TYPE_CHECKING:  # these names exist for type checkers only
    from wsgiref.types import StartResponse, WSGIEnvironment


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:
        """A scrape every few seconds is nothing to log."""


class HealthServer:
    """``counts()`` gives (processes that can serve, processes wanted)."""

    def __init__(self, address: Address, metrics_dir: Path, counts: Callable[[], tuple[int, int]]) -> None:
        """Raises: OSError where the address is taken."""
        self._metrics_dir, self._counts = metrics_dir, counts
        self._server = make_server(address.host, address.port, self._serve, server_class=_Server, handler_class=_Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, request: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = request.get("PATH_INFO")
        if path == "/metrics":
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=str(self._metrics_dir))  # type: ignore[no-untyped-call]
            return _answer(start, HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
        if path == "/healthz":
            ready, wanted = self._counts()
            status = HTTPStatus.OK if ready == wanted else HTTPStatus.SERVICE_UNAVAILABLE
            body = msgspec.json.encode({"ready": ready, "processes": wanted})
            return _answer(start, status, "application/json", body)
        return _answer(start, HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")


def _answer(start: StartResponse, status: HTTPStatus, kind: str, body: bytes) -> Iterable[bytes]:
    start(f"{status.value} {status.phrase}", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
