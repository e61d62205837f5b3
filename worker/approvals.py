"""Asks humans, and waits for what they say (docs/contracts.md §4).

::

    claim ──200──▶ consumed                      (approved before: this use of it is ours)
      │──409──▶ open, follow that request        (asked before), or rejected (a ticket's no)
      └──404──▶ publish ──fails──▶ unavailable
                   └─▶ open ─▶ hint or 5 s ─▶ consume ─▶ consumed | rejected | expired | cancelled | no_approver

An approval is consumed only while somebody waits for it: a ticket is never followed, and a hold not beyond the
workflow's ``max_wait``, when the core refuses with TG001 and the request stays open for the next attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec
import redis.asyncio as redis
from celery import Celery  # type: ignore[import-untyped]  # ships no types
from redis.exceptions import RedisError

from proxy.events import ApprovalAnswered
from worker.background import Background
from worker.control import Control, ControlError, decode
from worker.identity import Identity
from worker.log import logger
from worker.metrics import Metrics

CHANNEL = "tidegate:approvals"
TASK = "approvals.request"
PUBLISH_SECONDS = 3.0
POLL_SECONDS = 5.0
_HINT_SECONDS = 1.0
_ARRIVAL_SECONDS = 4.0  # how long the notice to the client waits for the request's link; usually a fraction of a second
_MARGIN_SECONDS = 1.0  # following ends this much before the core stops waiting
_OUTCOMES = {"REJECTED": "rejected", "EXPIRED": "expired", "CANCELLED": "cancelled"}

Answer = Callable[[ApprovalAnswered], None]


class _Standing(msgspec.Struct):
    state: str = ""
    id: str = ""
    comment: str = ""
    url: str = ""
    reason: str = ""
    bound: int | None = None


class _Hint(msgspec.Struct):
    id: str


class Broker:
    """Sends the Celery task; what blocks (Celery is not asynchronous) does so in threads of its own."""

    def __init__(self, url: str) -> None:
        options = {"socket_connect_timeout": PUBLISH_SECONDS, "socket_timeout": PUBLISH_SECONDS, "max_retries": 0}
        self._app = Celery("tidegate-worker", broker=url, set_as_current=False)
        self._app.conf.update(
            broker_transport_options=options, broker_connection_timeout=PUBLISH_SECONDS, broker_connection_retry=False,
            task_ignore_result=True, task_publish_retry=False, task_default_queue="celery",
        )  # fmt: skip
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="broker")

    async def publish(self, envelope: str) -> None:
        """Raises: OSError or TimeoutError where the broker did not take it in time."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PUBLISH_SECONDS + 0.5):
            await loop.run_in_executor(self._threads, self._send, envelope)

    def _send(self, envelope: str) -> None:
        try:
            self._app.send_task(TASK, args=[envelope], queue="celery", retry=False, ignore_result=True)
        except Exception as error:
            # kombu wraps broker errors in several classes, with the broker's address (and password) in their text.
            raise OSError(f"the broker did not take the request ({type(error).__name__})") from None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._app.close()


class Waiting:
    """One statement that waits for a human."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.request_id = ""
        self.opened = False  # the client was told: from then on the request outlives this session
        self.published = False
        self.task: asyncio.Task[None] | None = None

    @property
    def done(self) -> bool:
        return self.task is None or self.task.done()


class Approvals:
    """One per process."""

    def __init__(
        self, control: Control, broker: Broker, identity: Identity, broker_url: str, boot: str, background: Background, metrics: Metrics
    ) -> None:
        self._control, self._broker, self._identity, self._boot = control, broker, identity, boot
        self._background, self._metrics = background, metrics
        self._redis = redis.Redis.from_url(broker_url, socket_connect_timeout=PUBLISH_SECONDS, socket_keepalive=True)
        self._hints: dict[str, asyncio.Event] = {}

    async def close(self) -> None:
        await self._redis.aclose()
        self._broker.close()

    def request(self, request: Mapping[str, object], wait_seconds: float | None, answer: Answer) -> Waiting:
        """Claim or open; ``answer`` is called once or twice. ``wait_seconds`` None: a ticket, nobody waits."""
        waiting = Waiting(answer)
        waiting.task = self._background.start(self._run(waiting, request, wait_seconds), "approval")
        return waiting

    def withdraw(self, waiting: Waiting | None, request_id: str, reason: str) -> None:
        """The client gave up: nobody need decide any more."""
        if waiting is not None and waiting.task is not None:
            waiting.task.cancel()
            request_id = request_id or (waiting.request_id if waiting.published else "")
        if request_id:
            self._background.start(self._cancel(request_id, reason), "approval.cancel")

    def abandon(self, waiting: Waiting) -> None:
        """The session ended. A request that the client knows of stays open, any other is withdrawn."""
        if waiting.done or waiting.task is None:
            return
        waiting.task.cancel()
        if waiting.published and not waiting.opened:
            self.withdraw(None, waiting.request_id, "the session ended")

    async def listen_forever(self) -> None:
        """Hints from the broker; without them polling goes on, so a failure here costs only time."""
        task = asyncio.current_task()
        assert task is not None
        pause = 0.5
        # The client library sometimes swallows a cancellation that hits it while it connects: hence looking at the task.
        while not task.cancelling():
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(CHANNEL)
                    while not task.cancelling():
                        message = await channel.get_message(timeout=_HINT_SECONDS)
                        pause = 0.5
                        if message is not None:
                            self._hinted(message["data"])
            except (RedisError, OSError) as error:
                logger().warning("approvals.no_hints", reason=type(error).__name__, retry_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10)

    def _hinted(self, data: object) -> None:
        try:
            hint = msgspec.json.decode(data if isinstance(data, bytes) else b"", type=_Hint)
        except msgspec.MsgspecError:
            return
        event = self._hints.get(hint.id)
        if event is not None:
            event.set()

    async def _run(self, waiting: Waiting, request: Mapping[str, object], wait_seconds: float | None) -> None:
        self._metrics.approvals_waiting.inc()
        deadline = time.monotonic() + (wait_seconds or 0) - _MARGIN_SECONDS
        try:
            standing = await self._open(waiting, request)
            if standing is not None and wait_seconds is not None:
                await self._follow(waiting, str(request["binding"]), deadline)
        except (ControlError, OSError, TimeoutError) as error:
            logger().warning("approvals.unavailable", reason=str(error) or type(error).__name__)
            waiting.answer(ApprovalAnswered(waiting.request_id, "unavailable"))
        except Exception:  # a fault of ours must not keep the client waiting
            logger().exception("approvals.failed")
            waiting.answer(ApprovalAnswered(waiting.request_id, "unavailable"))
        finally:
            self._metrics.approvals_waiting.dec()

    async def _open(self, waiting: Waiting, request: Mapping[str, object]) -> _Standing | None:
        """Answer ``consumed`` or ``rejected`` (then None), or ``open``. Raises: ControlError, OSError, TimeoutError."""
        claimed = await self._claim(request)
        if claimed is None:
            waiting.request_id = str(uuid.uuid4())
            waiting.published = True  # also if it fails on the way: the broker may have it
            body = {**request, "id": waiting.request_id, "worker": self._identity.worker, "boot": self._boot}
            await self._broker.publish(self._identity.sign(msgspec.json.encode(body)))
            claimed = await self._arrival(waiting.request_id)
        else:
            waiting.request_id = claimed.id
        if claimed.state == "CONSUMED":
            waiting.answer(ApprovalAnswered(claimed.id, "consumed", claimed.comment, claimed.url, claimed.bound))
            return None
        if claimed.state == "REJECTED":
            waiting.answer(ApprovalAnswered(claimed.id, "rejected", claimed.comment, claimed.url))
            return None
        waiting.opened = True
        waiting.answer(ApprovalAnswered(waiting.request_id, "open", url=claimed.url))
        return claimed

    async def _claim(self, request: Mapping[str, object]) -> _Standing | None:
        asked = {name: request[name] for name in ("binding", "subject", "connection", "workflow")}
        if request["shape"]:
            asked["run"] = {name: request[name] for name in ("shape", "sql", "normalised", "parameters")}
        response = await self._control.post("approvals/claim", asked)
        match response.status_code:
            case 404:
                return None
            case 200 | 409:
                standing = decode(response, _Standing)
                if standing.id and standing.state in (("CONSUMED",) if response.status_code == 200 else ("PENDING", "REJECTED")):
                    return standing
        raise ControlError(f"HTTP {response.status_code} to a claim")

    async def _arrival(self, request_id: str) -> _Standing:
        """The request as the control plane shows it, or an empty standing where it has not arrived in time.

        Reads only: consuming is for those who wait.
        """
        with contextlib.suppress(TimeoutError, ControlError):
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                while True:
                    response = await self._control.get(f"approvals/{request_id}")
                    if response.status_code == 200:
                        return _Standing(url=decode(response, _Standing).url)
                    await asyncio.sleep(0.15)
        return _Standing()

    async def _follow(self, waiting: Waiting, binding: str, deadline: float) -> None:
        event = self._hints.setdefault(waiting.request_id, asyncio.Event())
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                while (answer := await self._consume(waiting.request_id, binding)) is None:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL_SECONDS):
                            await event.wait()
                    event.clear()
            waiting.answer(answer)
        except TimeoutError:
            pass  # the core refuses with TG001 now; the request stays open
        finally:
            self._hints.pop(waiting.request_id, None)

    async def _consume(self, request_id: str, binding: str) -> ApprovalAnswered | None:
        """The final answer, or None while there is none (or the control plane is away: the next poll asks again)."""
        try:
            response = await self._control.post(f"approvals/{request_id}/consume", {"binding": binding})
            if response.status_code not in (200, 409):
                return None
            standing = decode(response, _Standing)
        except ControlError as error:
            logger().warning("approvals.not_read", reason=str(error))
            return None
        if response.status_code == 200:
            return ApprovalAnswered(request_id, "consumed", standing.comment, standing.url, standing.bound)
        outcome = "no_approver" if standing.reason == "no_approver" else _OUTCOMES.get(standing.state)
        if standing.state == "CONSUMED":
            # Used by somebody else who ran the same statement: this one has no approval.
            outcome = "cancelled"
        return ApprovalAnswered(request_id, outcome, standing.comment, standing.url) if outcome else None

    async def _cancel(self, request_id: str, reason: str) -> None:
        for pause in (0.5, 1, 2, 5, 10):
            with contextlib.suppress(ControlError):
                response = await self._control.post(f"approvals/{request_id}/cancel", {"reason": reason})
                if response.status_code < 500 and response.status_code != 404:
                    return
            await asyncio.sleep(pause)  # 404: the request is still on its way through the broker
        logger().warning("approvals.not_withdrawn", request=request_id)
