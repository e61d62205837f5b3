"""The conversation with control plane and broker about one held statement (docs/contracts.md §4), on a real broker."""

import asyncio
import base64
import json
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import uvloop

from proxy.events import ApprovalAnswered
from tests.worker.control_plane import Call, ControlPlane, Reply, until
from worker import approvals as module
from worker.approvals import CHANNEL, Approvals, Broker
from worker.background import Background
from worker.control import Control
from worker.identity import Identity
from worker.metrics import Metrics

CLAIM = {"binding": "b" * 64, "subject": "bot", "connection": "crm", "workflow": "owners"}
RUN = {"shape": "c" * 64, "sql": "DELETE", "normalised": "DELETE", "parameters": []}
REQUEST = {**CLAIM, **RUN, "reason": "r"}
URL = "http://tidegate/approvals/x"


@pytest.fixture
def me(control_plane: ControlPlane, tmp_path: Path) -> Identity:
    return control_plane.enrol(tmp_path)


@pytest.fixture
def queue(broker: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(broker)
    client.delete("celery")
    yield client
    client.delete("celery")
    client.close()


class Desk:
    """The control plane's side: a request arrives when asked for, its state is what the test sets."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane, self.state, self.arrived = plane, "PENDING", True
        self.extra: dict[str, str] = {}
        self.consumed: list[str] = []
        plane.on("POST", "approvals/claim", Reply(404))
        plane.on("POST", "approvals/*", self._post)
        plane.on("GET", "approvals/*", lambda call: Reply(200, {"state": self.state, "url": URL}) if self.arrived else Reply(404))

    def _post(self, call: Call) -> Reply:
        if call.path.endswith("/cancel"):
            return Reply(200, {})
        assert call.path.endswith("/consume")
        assert call.json == {"binding": REQUEST["binding"]}
        if not self.arrived:
            return Reply(404)
        if self.state == "APPROVED":
            self.consumed.append(call.path)
            return Reply(200, {"state": "CONSUMED"})
        return Reply(409, {"state": self.state, "comment": "", "url": URL, "reason": ""} | self.extra)


def asking(
    plane: ControlPlane, me: Identity, url: str, work: Callable[[Approvals, "asyncio.Queue[ApprovalAnswered]"], Coroutine[None, None, None]]
) -> None:
    async def run() -> None:
        background, control = Background(), Control(plane.url, me)
        found = Approvals(control, Broker(url), me, url, "boot-1", background, Metrics())
        listening = asyncio.create_task(found.listen_forever())
        async with asyncio.timeout(20):
            await work(found, asyncio.Queue())
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await background.stop()
        await found.close()
        await control.close()

    uvloop.run(run())


def published(queue: redis.Redis) -> dict[str, Any]:
    """The payload of the one Celery message in the broker, as a Celery worker would get it."""
    (raw,) = queue.lrange("celery", 0, -1)
    message = json.loads(raw)
    assert message["headers"]["task"] == "approvals.request"
    (envelope,) = json.loads(base64.b64decode(message["body"]))[0]
    header, payload, _ = envelope.split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "EdDSA"
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return content


def test_a_hint_brings_the_approval_at_once(control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis) -> None:
    desk = Desk(control_plane)

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        found.request(REQUEST, 60, answers.put_nowait)
        opened = await answers.get()
        assert (opened.outcome, opened.url) == ("open", URL)
        content = published(queue)
        assert content["id"] == opened.request_id
        assert content["worker"] == me.worker
        assert {name: content[name] for name in REQUEST} == REQUEST
        await asyncio.sleep(0.3)
        desk.state = "APPROVED"
        began = time.monotonic()
        hint = json.dumps({"id": opened.request_id, "state": "APPROVED", "boot": "boot-1"})
        await until(lambda: queue.publish(CHANNEL, hint))  # the subscription is being made
        answer = await answers.get()
        assert answer.outcome == "consumed"
        assert time.monotonic() - began < 2, "well before the next poll"

    asking(control_plane, me, broker, work)
    assert len(desk.consumed) == 1


def test_without_hints_polling_finds_the_answer(
    control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.1)
    desk = Desk(control_plane)

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        found.request(REQUEST, 60, answers.put_nowait)
        assert (await answers.get()).outcome == "open"
        desk.state = "APPROVED"
        assert (await answers.get()).outcome == "consumed"

    asking(control_plane, me, broker, work)


@pytest.mark.parametrize(
    ("state", "extra", "outcome"),
    [
        ("REJECTED", {"comment": "no"}, "rejected"), ("EXPIRED", {}, "expired"), ("CANCELLED", {}, "cancelled"),
        ("REJECTED", {"reason": "no_approver"}, "no_approver"), ("CONSUMED", {}, "cancelled"),
    ],
)  # fmt: skip
def test_every_no_is_told(
    control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis, state: str, extra: dict[str, str], outcome: str
) -> None:
    desk = Desk(control_plane)
    desk.state, desk.extra = state, extra

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        found.request(REQUEST, 60, answers.put_nowait)
        assert (await answers.get()).outcome == "open"
        answer = await answers.get()
        assert (answer.outcome, answer.comment) == (outcome, extra.get("comment", ""))

    asking(control_plane, me, broker, work)


def test_an_approval_given_before_is_claimed_without_asking_anew(
    control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis
) -> None:
    Desk(control_plane)
    control_plane.on("POST", "approvals/claim", Reply(200, {"id": "r1", "state": "CONSUMED", "bound": 5}))

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        found.request(REQUEST, None, answers.put_nowait)
        assert await answers.get() == ApprovalAnswered("r1", "consumed", bound=5)

    asking(control_plane, me, broker, work)
    assert queue.llen("celery") == 0
    assert control_plane.called("approvals/claim")[0].json == {**CLAIM, "run": RUN}


def test_the_no_to_a_ticket_is_told_without_asking_anew(control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis) -> None:
    Desk(control_plane)
    control_plane.on("POST", "approvals/claim", Reply(409, {"id": "r1", "state": "REJECTED", "comment": "not today", "url": URL}))

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        found.request(REQUEST, None, answers.put_nowait)
        assert await answers.get() == ApprovalAnswered("r1", "rejected", "not today", URL)

    asking(control_plane, me, broker, work)
    assert queue.llen("celery") == 0


def test_a_request_that_stands_already_is_followed(control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis) -> None:
    desk = Desk(control_plane)
    desk.state = "APPROVED"
    control_plane.on("POST", "approvals/claim", Reply(409, {"id": "r1", "state": "PENDING", "url": URL}))

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        found.request(REQUEST, 60, answers.put_nowait)
        assert await answers.get() == ApprovalAnswered("r1", "open", url=URL)
        assert (await answers.get()).outcome == "consumed"

    asking(control_plane, me, broker, work)
    assert queue.llen("celery") == 0


def test_a_ticket_is_never_consumed_by_nobody(control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis) -> None:
    desk = Desk(control_plane)
    desk.state = "APPROVED"

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        waiting = found.request(REQUEST, None, answers.put_nowait)
        assert (await answers.get()).outcome == "open"
        await asyncio.sleep(0.2)
        assert waiting.done

    asking(control_plane, me, broker, work)
    assert desk.consumed == []


def test_a_hold_is_not_followed_beyond_its_time(
    control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    desk = Desk(control_plane)

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        waiting = found.request(REQUEST, 2.5, answers.put_nowait)
        assert (await answers.get()).outcome == "open"
        assert waiting.task is not None
        await waiting.task
        desk.state = "APPROVED"
        await asyncio.sleep(0.3)
        assert answers.empty()

    asking(control_plane, me, broker, work)
    assert desk.consumed == []


def test_a_dead_broker_is_unavailable_in_seconds_and_stalls_nobody(control_plane: ControlPlane, me: Identity) -> None:
    Desk(control_plane)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # accepts, and never answers
        url = f"redis://:sesame@127.0.0.1:{silent.getsockname()[1]}/0"

        async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
            began = time.monotonic()
            found.request(REQUEST, 60, answers.put_nowait)
            longest = 0.0
            while answers.empty():
                before = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - before)
            assert (await answers.get()).outcome == "unavailable"
            assert time.monotonic() - began < 6
            assert longest < 1, "the loop went on"

        asking(control_plane, me, url, work)


def test_an_unreachable_control_plane_is_unavailable(control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis) -> None:
    control_plane.on("POST", "approvals/claim", Reply(500))

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        found.request(REQUEST, 60, answers.put_nowait)
        assert (await answers.get()).outcome == "unavailable"

    asking(control_plane, me, broker, work)
    assert queue.llen("celery") == 0


def test_a_withdrawal_is_told_even_before_the_request_arrived(
    control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis
) -> None:
    desk = Desk(control_plane)
    replies = [Reply(404), Reply(200, {})]

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        waiting = found.request(REQUEST, 60, answers.put_nowait)
        opened = await answers.get()
        path = f"approvals/{opened.request_id}/cancel"
        control_plane.answers = {("POST", path): lambda _: replies.pop(0), **control_plane.answers}
        found.withdraw(waiting, opened.request_id, "the client disconnected")
        await until(lambda: not replies)
        assert control_plane.called(path)[0].json == {"reason": "the client disconnected"}
        assert waiting.done
        desk.state = "APPROVED"
        await asyncio.sleep(0.1)

    asking(control_plane, me, broker, work)
    assert desk.consumed == []


def test_a_session_that_ends_leaves_an_open_request_open_and_withdraws_an_unknown_one(
    control_plane: ControlPlane, me: Identity, broker: str, queue: redis.Redis
) -> None:
    desk = Desk(control_plane)

    async def work(found: Approvals, answers: asyncio.Queue[ApprovalAnswered]) -> None:
        known = found.request(REQUEST, 60, answers.put_nowait)
        await answers.get()
        found.abandon(known)
        desk.arrived = False  # the client of this one is not told yet
        unknown = found.request(REQUEST, 60, answers.put_nowait)
        await until(lambda: queue.llen("celery") == 2)
        found.abandon(unknown)
        desk.arrived = True
        await until(lambda: control_plane.called(f"approvals/{unknown.request_id}/cancel"))
        assert not control_plane.called(f"approvals/{known.request_id}/cancel")

    asking(control_plane, me, broker, work)
