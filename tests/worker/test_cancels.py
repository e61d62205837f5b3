from proxy.events import CancelRequested, Event
from worker.cancels import Cancels, Key


def test_a_key_reaches_its_session_and_an_unknown_one_the_other_processes() -> None:
    passed: list[Key] = []
    told: list[Event] = []
    cancels = Cancels(passed.append)
    cancels.register((1, b"abcd"), told.append)
    cancels.route((1, b"abcd"))
    assert (told, passed) == ([CancelRequested()], [])
    cancels.route((1, b"abce"))
    assert (len(told), passed) == (1, [(1, b"abce")])
    cancels.forget((1, b"abcd"))
    assert not cancels.deliver((1, b"abcd"))
    assert len(told) == 1
