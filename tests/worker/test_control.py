import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from tests.worker.control_plane import ControlPlane, Reply
from worker.control import Control, ControlError, Revoked, decode

T = TypeVar("T")


class Answer(msgspec.Struct):
    number: int


def calling(plane: ControlPlane, directory: Path, work: Callable[[Control], Awaitable[T]]) -> T:
    async def run() -> T:
        control = Control(plane.url, plane.enrol(directory))
        try:
            return await work(control)
        finally:
            await control.close()

    return asyncio.run(run())


def test_every_call_has_a_token_of_its_own(control_plane: ControlPlane, tmp_path: Path) -> None:
    control_plane.on("POST", "heartbeat", Reply(200, {"number": 7}))

    async def work(control: Control) -> list[int]:
        return [decode(await control.post("heartbeat", {}), Answer).number for _ in range(2)]

    assert calling(control_plane, tmp_path, work) == [7, 7]
    first, second = (call.headers["Authorization"] for call in control_plane.called("heartbeat"))
    assert first.startswith("Bearer ")
    assert first != second


def test_401_is_a_revocation_and_a_dead_server_is_not(control_plane: ControlPlane, tmp_path: Path) -> None:
    control_plane.on("GET", "bundle", Reply(401))
    with pytest.raises(Revoked):
        calling(control_plane, tmp_path, lambda control: control.get("bundle"))
    me = control_plane.enrol(tmp_path / "again")
    control_plane.close()

    async def unreachable() -> None:
        control = Control(control_plane.url, me)
        try:
            await control.get("bundle")
        finally:
            await control.close()

    with pytest.raises(ControlError) as caught:
        asyncio.run(unreachable())
    assert not isinstance(caught.value, Revoked)


def test_a_body_that_was_not_agreed_is_an_error(control_plane: ControlPlane, tmp_path: Path) -> None:
    control_plane.on("GET", "bundle", Reply(200, {"number": "seven"}))

    async def work(control: Control) -> int:
        return decode(await control.get("bundle"), Answer).number

    with pytest.raises(ControlError, match="not what was agreed"):
        calling(control_plane, tmp_path, work)


def test_the_hosts_proxy_never_sees_a_call(control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    control_plane.on("GET", "bundle", Reply(304))
    assert calling(control_plane, tmp_path, lambda control: control.get("bundle")).status_code == 304
