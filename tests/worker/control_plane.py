"""The control plane's side of the wire for worker tests: a real HTTP server whose answers a test decides."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from proxy.policy.sealing import seal
from proxy.policy.signature import sign_bundle
from worker import identity
from worker.identity import Identity

PREFIX = "/api/v1/worker/"


@dataclass
class Call:
    method: str
    path: str  # below PREFIX, without the query
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[Call], Reply]


class ControlPlane:
    """Answers by (method, path); a path may end in ``*``. Everything else is 404."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: dict[tuple[str, str], Answer] = {}
        self.signing_key = Ed25519PrivateKey.generate()
        plane = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None: ...

            def _serve(self) -> None:
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                call = Call(self.command, path.removeprefix(PREFIX), query, dict(self.headers), body)
                plane.calls.append(call)
                reply = plane.answer(call)
                content = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _serve

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def on(self, method: str, path: str, answer: Answer | Reply) -> None:
        self.answers[method, path] = answer if callable(answer) else lambda _: answer

    def answer(self, call: Call) -> Reply:
        for (method, path), answer in list(self.answers.items()):
            if method == call.method and (path == call.path or (path.endswith("*") and call.path.startswith(path[:-1]))):
                return answer(call)
        return Reply(404, {"detail": "nothing here"})

    def called(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    # -- what a real control plane does at these places -----------------------------------------------------------

    def accept_enrolment(self, worker: str = "11111111-1111-4111-8111-111111111111") -> None:
        public = base64.b64encode(self.signing_key.public_key().public_bytes_raw()).decode()
        self.on("POST", "enrol", Reply(201, {"worker": worker, "bundle_keys": [{"key_id": "k1", "public_key": public}]}))

    def enrol(self, directory: Path) -> Identity:
        self.accept_enrolment()
        return identity.enrol(directory, self.url, "token", "test")

    def publish(self, payload: dict[str, Any], secrets: dict[str, Any]) -> None:
        """Serve this bundle, sealed to whichever worker enrolled."""
        text = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
        signed = sign_bundle(text, "k1", self.signing_key)
        recipient = base64.b64decode(self.called("enrol")[-1].json["sealing_key"])
        sealed = seal(json.dumps(secrets).encode(), recipient, X25519PrivateKey.generate())
        etag = f'"{signed["digest"]}"'

        def answer(call: Call) -> Reply:
            if call.headers.get("If-None-Match") == etag:
                return Reply(304, headers={"ETag": etag})
            return Reply(200, {**signed, "secrets": sealed}, {"ETag": etag})

        self.on("GET", "bundle", answer)


async def until(condition: Callable[[], object]) -> None:
    """Wait for it, for ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not happen")
