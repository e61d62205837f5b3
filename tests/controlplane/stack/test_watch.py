"""When a child that ended is started again."""

import itertools

from controlplane.stack import watch
from controlplane.stack.watch import Watched


class Child:
    """A child that lives until told otherwise."""

    name, log = "child", "child.log"

    def __init__(self) -> None:
        self.alive, self.starts = True, 0

    def start(self) -> None:
        self.alive, self.starts = True, self.starts + 1


def test_started_again_after_the_pause_and_not_before() -> None:
    child = Child()
    watched = Watched(child, now=0)
    assert watched.look(1) == ""
    child.alive = False
    assert "ended" in watched.look(2)
    assert watched.look(2 + watch.FIRST_PAUSE / 2) == ""
    assert child.starts == 0
    assert "started again" in watched.look(2 + watch.FIRST_PAUSE)
    assert child.starts == 1


def pauses(lifetime: float, count: int) -> list[float]:
    """The pauses that a child gets which always ends `lifetime` after its start."""
    child = Child()
    now, found = 0.0, []
    watched = Watched(child, now)
    for _ in range(count):
        now += lifetime
        child.alive = False
        watched.look(now)
        assert watched.again is not None
        found.append(round(watched.again - now, 6))
        now = watched.again
        watched.look(now)
    return found


def test_the_pause_doubles_up_to_a_limit_while_a_child_keeps_ending() -> None:
    found = pauses(lifetime=0.1, count=9)
    assert found[0] == watch.FIRST_PAUSE
    assert all(later == min(earlier * 2, watch.LONGEST_PAUSE) for earlier, later in itertools.pairwise(found))
    assert found[-1] == watch.LONGEST_PAUSE


def test_a_child_that_ran_well_starts_with_the_first_pause_again() -> None:
    assert pauses(lifetime=watch.STEADY + 1, count=4) == [watch.FIRST_PAUSE] * 4
