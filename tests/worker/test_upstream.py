"""The way to the target up to the first byte of its protocol; the good ways run in test_process.py."""

import asyncio
import gc
import json
import socket
import struct
import weakref
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from proxy.policy.bundle import Bundle
from proxy.policy.payload import Connection, Tls
from proxy.session.environment import Environment
from tests.certificates import issued
from tests.worker.test_bundles import SECRETS, payload
from worker import upstream
from worker.process import Process
from worker.upstream import Contexts, UpstreamError, cancel, connect

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


def connection(port: int, mode: str = "disable") -> Connection:
    return Connection(name="c", host="127.0.0.1", port=port, dbname="d", user="u", credential_version=1, tls=Tls(mode=mode))  # type: ignore[arg-type]


def facing(handler: Handler, work: Callable[[int], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        async with asyncio.timeout(20):
            await work(server.sockets[0].getsockname()[1])
        server.close()

    uvloop.run(run())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"N", "offers no TLS"),
        (b"SX", "offers no TLS"),  # a byte that came before TLS began was put there by somebody in between
        (b"E", "offers no TLS"),
        (b"", "cannot be reached"),
    ],
)
def test_no_connection_without_the_tls_that_is_demanded(answer: bytes, why: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == struct.pack("!II", 8, 80877103)
        writer.write(answer)
        if not answer:
            writer.close()
        await reader.read()
        writer.close()

    async def work(port: int) -> None:
        with pytest.raises(UpstreamError, match=why):
            await connect(Contexts(), connection(port, "require"))

    facing(serve, work)


def test_a_target_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "CONNECT_SECONDS", 0.3)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def work(port: int) -> None:
        with pytest.raises(UpstreamError, match="did not answer within"):
            await connect(Contexts(), connection(port, "require"))

    facing(serve, work)


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(UpstreamError, match="cannot be reached"):
            uvloop.run(connect(Contexts(), connection(unused.getsockname()[1])))


def test_a_context_is_kept_while_the_policy_names_it_or_a_connection_uses_it() -> None:
    own = issued("tidegate")
    words, contexts = ("require", None, own.certificate, own.key), Contexts()
    made = weakref.ref(contexts.get(words))
    assert contexts.get(words) is made(), "it is not made twice"
    in_use = contexts.get(words)
    contexts.forget()
    assert contexts.get(words) is in_use, "a cancel goes the way of its session"
    del in_use
    gc.collect()
    assert made() is None, "neither does that keep it"
    assert not contexts._in_use


def test_a_new_policy_forgets_the_contexts_of_the_old() -> None:
    process: Any = Process.__new__(Process)
    process._contexts = Contexts()
    made = weakref.ref(process._contexts.get(("require", None, None, None)))
    process._environment = Environment(b"m" * 32, Bundle.load(json.dumps(payload(1)).encode(), SECRETS))
    process._catalogs, process._open = SimpleNamespace(use=lambda bundle: None), set()
    process._bundle_changed(process._environment.bundle, 0.0)
    gc.collect()
    assert made() is not None
    process._bundle_changed(Bundle.load(json.dumps(payload(2)).encode(), SECRETS), 0.0)
    gc.collect()
    assert made() is None


def test_a_cancel_request_is_one_packet_on_a_connection_of_its_own() -> None:
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.readexactly(44))
        await asyncio.sleep(0.2)
        received.extend(b"!")
        writer.close()

    async def work(port: int) -> None:
        await cancel(Contexts(), connection(port), 7, b"a-longer-secret-of-32-bytes-v3.2")
        assert received[44:] == b"!", "it is over when the server has closed the connection"

    facing(serve, work)
    assert bytes(received[:44]) == struct.pack("!III", 44, 80877102, 7) + b"a-longer-secret-of-32-bytes-v3.2"
