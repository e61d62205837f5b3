import asyncio
from typing import Any, cast

from worker.inlet import Inlet


class Transport:
    """Only what an inlet asks of one, and as strict: pausing what is paused is an error of the caller."""

    def __init__(self) -> None:
        self.reading = True

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True


def opened() -> tuple[Inlet, Transport]:
    inlet, transport = Inlet(), Transport()
    inlet.open(cast("Any", transport))
    return inlet, transport


def test_it_is_read_from_while_there_is_no_reason_against_it() -> None:
    inlet, transport = opened()
    inlet.hold("a")
    inlet.hold("b")
    inlet.hold("a")
    inlet.release("a")
    assert not transport.reading
    inlet.release("b")
    inlet.release("b")
    assert transport.reading


def test_reasons_outlive_the_transport() -> None:
    inlet, before = opened()
    inlet.hold("a")
    inlet.close()
    inlet.release("a")
    inlet.hold("b")
    after = Transport()
    inlet.open(cast("Any", after))
    assert (before.reading, after.reading) == (False, False)
    inlet.release("b")
    assert after.reading


def test_others_get_their_turn_after_a_full_buffer() -> None:
    async def take() -> list[bool]:
        inlet, transport = opened()
        inlet.took(b"x" * 65_535)
        seen = [transport.reading]
        inlet.took(b"x" * 65_536)
        seen.append(transport.reading)
        await asyncio.sleep(0)
        return [*seen, transport.reading]

    assert asyncio.run(take()) == [True, False, True]
