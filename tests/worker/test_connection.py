"""Effects in order, records first, back-pressure, and the end: with a session whose answers the test scripts.

The real session runs through the same code in test_process.py and in the integration tests.
"""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import structlog
import uvloop

from proxy import effects, events
from proxy.effects import Close, PauseClient, Record, ResumeClient, SendToClient, SendToServer, WakeAt
from proxy.policy.bundle import Bundle
from tests.worker.control_plane import until
from tests.worker.test_bundles import SECRETS, payload
from worker import connection
from worker.background import Background
from worker.cancels import Cancels
from worker.connection import Conversation, Services
from worker.half_open import HalfOpen
from worker.metrics import Metrics
from worker.recorder import Recorder
from worker.spool import Boot
from worker.upstream import Contexts

CLOSED = Record("session.closed", {"session": "s", "statements": 0, "reason": "r"})
Script = Callable[[events.Event], Sequence[effects.Effect]]


class Scripted:
    """Stands where the session stands: keeps the events, answers by the test's function."""

    script: ClassVar[Script]
    made: ClassVar[list["Scripted"]]
    id = "scripted"

    def __init__(self, *given: object) -> None:
        self.events: list[events.Event] = []
        self.made.append(self)

    def receive(self, event: events.Event, now: float) -> list[effects.Effect]:
        self.events.append(event)
        return list(type(self).script(event))


class NoCatalogs:
    async def ensure(self, name: str, database: str) -> None: ...


class World:
    """A listening worker on a loopback port, and a target that keeps what it is sent."""

    def __init__(self, services: Services, boot: Boot, port: int, target_port: int) -> None:
        self.services, self.boot, self.port, self.target_port = services, boot, port, target_port
        self.received = bytearray()
        self.target: asyncio.StreamWriter | None = None

    @property
    def session(self) -> Scripted:
        return Scripted.made[-1]


def conversing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script, work: Callable[[World], Coroutine[None, None, None]]
) -> None:
    Scripted.script, Scripted.made = staticmethod(script), []
    monkeypatch.setattr(connection, "Session", Scripted)

    async def run() -> None:
        metrics, background = Metrics(), Background()
        boot = Boot.create(tmp_path, "22222222-2222-4222-8222-222222222222")
        environment: Any = type("Environment", (), {"bundle": None})()
        idle: Any = None
        services = Services(
            environment=environment, recorder=Recorder(boot, worker="w", limit=1 << 20, metrics=metrics, appended=lambda: None),
            approvals=idle, tokens=idle, catalogs=NoCatalogs(), contexts=Contexts(), analyses=idle, cancels=Cancels(lambda key: None),  # type: ignore[arg-type]
            background=background, metrics=metrics, tls=None,
            half_open=HalfOpen(metrics, 100, 100), open=set(),
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Conversation(services), "127.0.0.1", 0)
        world: World

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            world.target = writer
            while data := await reader.read(1 << 16):
                world.received += data

        target = await asyncio.start_server(serve, "127.0.0.1", 0)
        world = World(services, boot, server.sockets[0].getsockname()[1], target.sockets[0].getsockname()[1])
        content = payload(1)
        content["connections"][0]["port"] = world.target_port
        environment.bundle = Bundle.load(json.dumps(content).encode(), SECRETS)
        async with asyncio.timeout(30):
            await work(world)
            for conversation in list(services.open):  # a scripted session need not end with its client
                conversation.abort()
            await asyncio.sleep(0.01)
        for listening in (server, target):
            listening.close()
        if world.target is not None:
            world.target.close()
        await background.stop()

    uvloop.run(run())


async def dial(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", world.port)


def text(event: events.Event) -> bytes:
    return event.data if isinstance(event, events.ClientData) else b""


def test_what_stands_behind_a_record_happens_after_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable: list[int] = []

    def script(event: events.Event) -> Sequence[effects.Effect]:
        if text(event) == b"open":
            return [effects.OpenServer("crm", "crm")]
        return [SendToClient(b"<"), CLOSED, CLOSED, SendToServer(b"statement"), SendToClient(b">")] if text(event) == b"go" else []

    async def work(world: World) -> None:
        real = world.boot.append
        monkeypatch.setattr(world.boot, "append", lambda data: (durable.append(len(world.received)), real(data))[1])
        reader, writer = await dial(world)
        writer.write(b"open")
        await until(lambda: events.ServerOpened(tls=False) in world.session.events)
        writer.write(b"go")
        assert await reader.readexactly(2) == b"<>"
        await until(lambda: bytes(world.received) == b"statement")
        assert durable == [0], "one write for both, before the statement left"
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_a_record_that_fails_drops_what_stands_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        match event:
            case events.ClientData(data=b"open"):
                return [effects.OpenServer("crm", "crm")]
            case events.ClientData():
                return [CLOSED, SendToServer(b"statement"), SendToClient(b"sent")]
            case events.RecordFailed():
                return [SendToClient(b"refused"), Close("records cannot be kept")]
        return []

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        writer.write(b"open")
        await until(lambda: world.target)
        monkeypatch.setattr(os, "write", lambda descriptor, data: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        writer.write(b"go")
        assert await reader.read() == b"refused"
        monkeypatch.undo()
        assert world.received == b""
        writer.close()
        await until(lambda: not world.services.open)

    conversing(tmp_path, monkeypatch, script, work)


def test_a_record_that_the_ledger_refuses_drops_what_stands_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        if isinstance(event, events.RecordFailed):
            return [SendToClient(event.reason.encode()), Close("records cannot be kept")]
        return [CLOSED, Record("session.closed", {"secret": "x"}), SendToClient(b"sent")] if text(event) else []

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        writer.write(b"go")
        assert b"not classified" in await reader.read()
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_events_wait_while_a_record_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        return [CLOSED, SendToClient(text(event))] if text(event) else []

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        (conversation,) = world.services.open
        order: list[str] = []
        real = conversation._session.receive
        monkeypatch.setattr(conversation._session, "receive", lambda event, now: (order.append(type(event).__name__), real(event, now))[1])
        conversation.deliver(events.ClientData(b"a"))
        conversation.deliver(events.CancelRequested())
        assert order == ["ClientData"], "the second waits for the record of the first"
        assert await reader.readexactly(1) == b"a"
        assert order == ["ClientData", "CancelRequested"]
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


@pytest.mark.parametrize("ends", [False, True])
def test_a_cancel_behind_a_record_is_done_when_the_target_has_taken_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    # The CancelRequest's connection was closed as soon as the cancel waited for a record: it then hit the client's next statement.
    def script(event: events.Event) -> Sequence[effects.Effect]:
        match event:
            case events.ClientData(data=b"connect"):
                return [effects.RegisterCancelKey(1, b"key"), SendToClient(b".")]
            case events.ClientData():
                return [CLOSED, Close("end")] if ends else [CLOSED]
            case events.CancelRequested():
                return [effects.CancelServer(2, b"its own")]
        return []

    async def work(world: World) -> None:
        sent, taken = asyncio.Event(), asyncio.Event()

        async def cancel(conversation: Conversation, effect: effects.CancelServer) -> None:
            sent.set()
            await taken.wait()

        monkeypatch.setattr(Conversation, "_cancel", cancel)
        reader, writer = await dial(world)
        writer.write(b"connect")
        assert await reader.readexactly(1) == b"."
        (conversation,) = world.services.open
        conversation.deliver(events.ClientData(b"statement"))
        waiting = world.services.cancels.deliver((1, b"key"))
        assert waiting is not None
        if not ends:
            await sent.wait()
            assert not waiting.done()
            taken.set()
        await waiting
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_nothing_happens_before_a_cancel_that_is_waited_for_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        if text(event) == b"x":
            return [CLOSED, SendToClient(b"1"), effects.CancelServer(2, b"its own", wait=True), SendToClient(b"2")]
        return [SendToClient(text(event)), Close("end")] if text(event) else []

    async def work(world: World) -> None:
        taken = asyncio.Event()

        async def cancel(conversation: Conversation, effect: effects.CancelServer) -> None:
            await taken.wait()

        monkeypatch.setattr(Conversation, "_cancel", cancel)
        reader, writer = await dial(world)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"1"
        writer.write(b"3")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        taken.set()
        assert await reader.read() == b"23"
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_an_exception_ends_this_session_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        if text(event) == b"boom":
            raise ValueError("SELECT secret")
        return [SendToClient(b"echo")] if text(event) else []

    async def work(world: World) -> None:
        good, bad = await dial(world), await dial(world)
        bad[1].write(b"boom")
        assert await bad[0].read() == b""
        good[1].write(b"hello")
        assert await good[0].readexactly(4) == b"echo"
        assert len(world.services.open) == 1
        assert world.services.metrics.internal_errors._value.get() == 1
        for _, writer in (good, bad):
            writer.close()

    with structlog.testing.capture_logs() as lines:
        conversing(tmp_path, monkeypatch, script, work)
    assert "session.internal_error" in {line["event"] for line in lines}


def test_an_effect_that_nobody_performs_ends_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unknown:
        pass

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        writer.write(b"x")
        assert await reader.read() == b""
        writer.close()

    conversing(tmp_path, monkeypatch, lambda event: [Unknown(), SendToClient(b"x")] if text(event) else [], work)  # type: ignore[list-item]


def test_who_does_not_sign_in_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "START_UP_SECONDS", 0.2)

    def script(event: events.Event) -> Sequence[effects.Effect]:
        if isinstance(event, events.ClientGone):
            return [Close("client gone")]
        return [effects.RegisterCancelKey(1, b"key")] if text(event) else []

    async def work(world: World) -> None:
        silent, known = await dial(world), await dial(world)
        known[1].write(b"x")
        assert await silent[0].read() == b""
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(known[0].read(), 0.4)
        for _, writer in (silent, known):
            writer.close()
        await until(lambda: not world.services.open)

    conversing(tmp_path, monkeypatch, script, work)


def test_a_slow_client_slows_the_server_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = 64 << 20

    def script(event: events.Event) -> Sequence[effects.Effect]:
        match event:
            case events.ClientData():
                return [effects.OpenServer("crm", "crm")]
            case events.ServerData(data=data):
                return [SendToClient(data)]
        return []

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        writer.write(b"open")
        await until(lambda: world.target)
        assert world.target is not None
        sent = 0

        async def flood() -> None:
            nonlocal sent
            assert world.target is not None
            while sent < total:
                world.target.write(bytes(1 << 18))
                sent += 1 << 18
                await world.target.drain()

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(1)
        # What sits in kernel buffers and in two write buffers, but never the whole result.
        assert sent < total / 2, "the server was not slowed down"
        left = total
        while left:
            left -= len(await reader.read(1 << 20))
        await flooding
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_a_client_that_sends_much_leaves_others_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """libuv reads up to 32 full buffers from one socket before it looks at the next."""
    order: list[bytes] = []

    def script(event: events.Event) -> Sequence[effects.Effect]:
        if text(event):
            order.append(text(event))
        return []

    async def work(world: World) -> None:
        flooding, other = (socket.create_connection(("127.0.0.1", world.port)) for _ in range(2))
        flooding.setblocking(False)
        await until(lambda: len(world.services.open) == 2)
        # No turn of the loop happens between here and the end of this block: both find their bytes waiting.
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 8 << 20:
                sent += flooding.send(bytes(1 << 20))
        other.sendall(b"small")
        await until(lambda: sum(map(len, order)) == sent + len(b"small"))
        assert sent > 1 << 20
        assert sum(len(data) for data in order[: order.index(b"small")]) <= 1 << 19
        flooding.close()
        other.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_a_client_that_sends_on_while_records_are_written_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        return [CLOSED, SendToClient(b".")] if text(event) else []

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"."
        waiting: list[Callable[[str], None]] = []
        monkeypatch.setattr(world.services.recorder, "after", waiting.append)
        flooding = asyncio.create_task(_flood(writer, 64 << 20))
        (conversation,) = world.services.open
        await until(lambda: len(conversation._events) >= connection._QUEUE)
        await asyncio.sleep(0.3)
        assert len(conversation._events) <= connection._QUEUE + 1, "what is sent meanwhile stays with the client"
        monkeypatch.undo()
        waiting[0]("")
        world.services.recorder.flush()
        await flooding
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


async def _flood(writer: asyncio.StreamWriter, total: int) -> None:
    for _ in range(total >> 18):
        writer.write(bytes(1 << 18))
        await writer.drain()


def test_the_core_can_stop_and_resume_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        match event:
            case events.ClientData(data=b"stop"):
                return [PauseClient(), SendToClient(b"stopped")]
            case events.CancelRequested():
                return [ResumeClient()]
        return []

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        writer.write(b"stop")
        assert await reader.readexactly(7) == b"stopped"
        writer.write(b"more")
        await asyncio.sleep(0.2)
        assert events.ClientData(b"more") not in world.session.events
        (conversation,) = world.services.open
        conversation.deliver(events.CancelRequested())
        await until(lambda: events.ClientData(b"more") in world.session.events)
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_a_later_wake_replaces_an_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        return [WakeAt(time.time() + 0.1), WakeAt(time.time() + 0.3)] if text(event) else []

    async def work(world: World) -> None:
        _, writer = await dial(world)
        writer.write(b"x")
        await asyncio.sleep(0.2)
        assert events.Tick() not in world.session.events
        await until(lambda: events.Tick() in world.session.events)
        await asyncio.sleep(0.2)
        assert world.session.events.count(events.Tick()) == 1
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_the_last_error_arrives_although_the_client_still_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing a socket with unread input resets the connection, and the error message is lost on the way."""

    def script(event: events.Event) -> Sequence[effects.Effect]:
        return [SendToClient(b"too large"), Close("too large")] if text(event) else []

    async def work(world: World) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", world.port))
            await loop.sock_sendall(client, bytes(1 << 20))
            await asyncio.sleep(0.2)
            assert await loop.sock_recv(client, 100) == b"too large"
            assert await loop.sock_recv(client, 100) == b""
        await until(lambda: not world.services.open)

    conversing(tmp_path, monkeypatch, script, work)


def test_a_client_that_goes_is_told_to_the_core_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        return [CLOSED, Close("client gone")] if isinstance(event, events.ClientGone) else []

    async def work(world: World) -> None:
        _, writer = await dial(world)
        await until(lambda: world.services.open)
        writer.close()
        await until(lambda: not world.services.open)
        assert world.boot.last == 1

    conversing(tmp_path, monkeypatch, script, work)


def test_a_client_that_ended_its_side_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SILENCE_SECONDS", 0.5)
    said: list[Conversation] = []

    def script(event: events.Event) -> Sequence[effects.Effect]:
        match event:
            case events.ClientGone():
                return [CLOSED, Close("client gone")]
            case events.Tick():
                return [SendToClient(b"."), *([WakeAt(time.time() + 0.3)] if len(said) < 4 else [])]
            case events.ClientFinished():
                return [SendToClient(b"!"), WakeAt(time.time() + 0.3)]
        return []

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        writer.write(b"x")
        writer.write_eof()
        began = time.monotonic()
        for expected in b"!....":
            assert (await reader.readexactly(1))[0] == expected
            said.extend(world.services.open)
        assert await reader.read() == b""
        assert time.monotonic() - began >= 4 * 0.3 + 0.5, "each byte shows that somebody reads"
        assert [type(event) for event in world.session.events][:2] == [events.ClientData, events.ClientFinished]
        assert [type(event) for event in world.session.events][-1] == events.ClientGone
        await until(lambda: not world.services.open)
        writer.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_a_client_that_ended_its_side_and_reads_no_more_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SILENCE_SECONDS", 20)

    def script(event: events.Event) -> Sequence[effects.Effect]:
        if isinstance(event, events.ClientGone):
            return [CLOSED, Close("client gone")]
        return [SendToClient(b"row"), WakeAt(time.time() + 0.1)] if isinstance(event, events.ClientFinished | events.Tick) else []

    async def work(world: World) -> None:
        _, writer = await dial(world)
        await until(lambda: world.services.open)
        writer.close()  # as a kill does it: what comes after is answered by a reset
        await until(lambda: not world.services.open)

    conversing(tmp_path, monkeypatch, script, work)


def test_a_target_that_nobody_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        match event:
            case events.ClientData(data=name):
                return [effects.OpenServer(name.decode(), "crm")]
            case events.ServerFailed(reason=reason):
                return [SendToClient(reason.encode()), Close("x")]
        return []

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        writer.write(b"gone")
        assert b"not configured" in await reader.read()
        writer.close()
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            crm = world.services.environment.bundle.connections["crm"]
            world.services.environment.bundle.connections["crm"] = msgspec.structs.replace(crm, port=unused.getsockname()[1])  # type: ignore[index]
            reader, writer = await dial(world)
            writer.write(b"crm")
            assert b"cannot be reached" in await reader.read()
            writer.close()

    conversing(tmp_path, monkeypatch, script, work)


def test_what_stands_behind_a_delay_happens_later_and_nothing_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        if text(event) != b"x":
            return [SendToClient(b"too early")] if text(event) else []
        return [CLOSED, SendToClient(b"1"), effects.Delay(0.4), SendToClient(b"2"), Close("refused")]

    async def work(world: World) -> None:
        reader, writer = await dial(world)
        began = time.monotonic()
        writer.write(b"x")
        assert await reader.read(1) == b"1"
        assert time.monotonic() - began < 0.3
        writer.write(b"more")
        assert await reader.read() == b"2"
        assert time.monotonic() - began > 0.35
        writer.close()
        gone = (await dial(world))[1]  # who does not wait for the answer leaves nothing behind
        gone.write(b"x")
        gone.close()
        await until(lambda: not world.services.open)
        assert len(world.services.half_open) == 0

    conversing(tmp_path, monkeypatch, script, work)


def test_a_connection_is_half_open_until_somebody_has_signed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: events.Event) -> Sequence[effects.Effect]:
        if isinstance(event, events.ClientGone):
            return [Close("client gone")]
        return [effects.OpenServer("crm", "crm")] if text(event) else []

    async def work(world: World) -> None:
        silent, known = await dial(world), await dial(world)
        await until(lambda: len(world.services.half_open) == 2)
        known[1].write(b"x")
        await until(lambda: len(world.services.half_open) == 1)
        crowd = [await dial(world) for _ in range(100)]  # as many as may be
        assert await silent[0].read() == b"", "the oldest had to go"
        assert len(world.services.half_open) == 100
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(known[0].read(), 0.2)
        for _, writer in (silent, known, *crowd):
            writer.close()
        await until(lambda: not world.services.open)
        assert len(world.services.half_open) == 0

    conversing(tmp_path, monkeypatch, script, work)
