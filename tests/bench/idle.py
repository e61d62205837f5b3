"""`make bench-idle`: what idle sessions cost one worker process, and what they cost an active session among them.

The target is a stub that speaks the protocol, so that thousands of sessions need no thousands of server processes.
`SESSIONS=n` sets how many.
"""

import asyncio
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from proxy.wire import backend, scram  # noqa: E402
from proxy.wire.backend import Authentication, BackendKeyData, CommandComplete, ParameterStatus, ReadyForQuery  # noqa: E402
from proxy.wire.frontend import Query, SASLInitialResponse, SASLResponse, StartupMessage  # noqa: E402
from tests import engines  # noqa: E402
from tests.worker.control_plane import ControlPlane  # noqa: E402
from tests.worker.gateway import KEY, Gateway, bundle, secrets  # noqa: E402

SESSIONS = int(os.environ.get("SESSIONS", "2000"))
ROUNDS = 5000
READY = ReadyForQuery(b"I").encode()
WELCOME = b"".join([
    Authentication(backend.AUTH_OK).encode(), ParameterStatus("client_encoding", "UTF8").encode(),
    ParameterStatus("standard_conforming_strings", "on").encode(), BackendKeyData(7, b"real").encode(), READY,
])  # fmt: skip
DONE = CommandComplete("SELECT 0").encode() + READY


class Stub(asyncio.Protocol):
    """A server that lets everybody in and has one answer."""

    def connection_made(self, transport: Any) -> None:
        self._transport, self._answer = transport, WELCOME

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer)
        self._answer = DONE


async def message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], await reader.readexactly(int.from_bytes(head[1:], "big") - 4)


async def sign_in(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(StartupMessage(3 << 16, {"user": "bot", "database": "crm"}).encode())
    await message(reader)
    client = scram.ScramClient(KEY, os.urandom(18))
    writer.write(SASLInitialResponse(scram.MECHANISM, client.first()).encode())
    writer.write(SASLResponse(client.final((await message(reader))[1][4:])).encode())
    await ready(reader)
    return reader, writer


async def ready(reader: asyncio.StreamReader) -> None:
    while True:
        kind, body = await message(reader)
        if kind == b"E":
            sys.exit(f"refused: {body!r}")
        if kind == b"Z":
            return


async def p99(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """Of a statement's time, microseconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        writer.write(Query(b"SELECT 1").encode())
        await ready(reader)
        times.append(time.perf_counter() - began)
    return sorted(times)[ROUNDS * 99 // 100] * 1e6


async def measure(gateway: Gateway, plane: ControlPlane) -> None:
    stub = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, backlog=1024)
    target: Any = SimpleNamespace(host="127.0.0.1", port=stub.sockets[0].getsockname()[1], user="postgres", password="x")
    plane.publish(bundle(target), secrets(target))
    await asyncio.to_thread(gateway.until, lambda: gateway.health()[0] == 200)
    (worker,) = gateway.workers()
    active = await sign_in(gateway.port)
    await p99(*active)
    alone, before = await p99(*active), worker.memory_info().rss
    idle = [await sign_in(gateway.port) for _ in range(SESSIONS)]
    await asyncio.sleep(2)
    each = (worker.memory_info().rss - before) / SESSIONS
    among = await p99(*active)
    print(f"{SESSIONS} idle sessions: {each / 1024:.1f} KB each (goal 20)")
    print(f"p99 of an active session: {alone:.0f} µs alone, {among:.0f} µs among them, ratio {among / alone:.2f} (goal 1.5)")
    for _, writer in idle:
        writer.close()


def main() -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    broker, plane = engines.broker(), ControlPlane()
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        if broker is not None:
            broker.start()
        gateway = Gateway(plane, Path(name) / "worker", engines.environment()["TIDEGATE_BROKER_URL"])
        try:
            gateway.start(ready=False)
            gateway.until(lambda: plane.called("enrol"))
            asyncio.run(measure(gateway, plane))
        finally:
            gateway.close()
            plane.close()
            if broker is not None:
                broker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
