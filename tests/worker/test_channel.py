import asyncio
import socket

from worker.channel import Cancel, Channel, Message, Others, Status


def test_messages_cross_in_both_directions_and_an_end_is_noticed() -> None:
    sessions = {"crm": 20_000} | {f"crm/{number:064}": 1 for number in range(20_000)}  # of as many subjects

    async def talk() -> tuple[list[Message], list[Message]]:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        up: asyncio.Queue[Message] = asyncio.Queue()
        down: asyncio.Queue[Message] = asyncio.Queue()
        lost = asyncio.Event()
        parent, child = Channel(up.put_nowait, lambda: None), Channel(down.put_nowait, lost.set)
        transport, _ = await loop.create_unix_connection(lambda: parent, sock=ours)
        await loop.create_unix_connection(lambda: child, sock=theirs)
        child.send(Status(True, sessions))
        child.send(Cancel(7, b"\x00\xff"))
        parent.send(Others({"crm": 1}))
        async with asyncio.timeout(5):
            received = [await up.get(), await up.get()], [await down.get()]
        transport.close()
        await asyncio.wait_for(lost.wait(), 2)
        child.send(Cancel(1, b""))  # into the void, without an exception
        return received

    up, down = asyncio.run(talk())
    assert up == [Status(True, sessions), Cancel(7, b"\x00\xff")]
    assert down == [Others({"crm": 1})]
