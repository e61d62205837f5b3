"""Never more than so many connections that have not signed in; the oldest goes, and nobody else."""

import resource

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from worker.half_open import HalfOpen, bounds
from worker.metrics import Metrics


class Silent:
    def __init__(self) -> None:
        self.dropped = False

    def abort(self) -> None:
        self.dropped = True


def test_the_oldest_of_a_network_goes_for_the_newest_of_it() -> None:
    registry = CollectorRegistry()
    half_open = HalfOpen(Metrics(registry), limit=100, limit_per_network=3)
    other, many = Silent(), [Silent() for _ in range(5)]
    half_open.add(other, "10.0.0.9")
    for number, one in enumerate(many):
        half_open.add(one, f"2001:db8::{number}")
    assert [one.dropped for one in many] == [True, True, False, False, False]
    assert not other.dropped
    assert len(half_open) == 4
    assert "tidegate_half_open_dropped_total 2.0" in generate_latest(registry).decode()


def test_the_oldest_of_all_goes_for_the_newest() -> None:
    half_open = HalfOpen(Metrics(CollectorRegistry()), limit=3, limit_per_network=2)
    many = [Silent() for _ in range(6)]
    for number, one in enumerate(many):
        half_open.add(one, f"10.0.0.{number}")
    assert [one.dropped for one in many] == [True, True, True, False, False, False]


def test_who_signed_in_or_left_makes_room() -> None:
    half_open = HalfOpen(Metrics(CollectorRegistry()), limit=2, limit_per_network=2)
    many = [Silent() for _ in range(10)]
    for one in many:
        half_open.add(one, "10.0.0.1")
        half_open.discard(one)
        half_open.discard(one)
    assert not any(one.dropped for one in many)
    assert len(half_open) == 0


@pytest.mark.parametrize(("hard", "expected"), [(1024, (512, 256)), (1 << 20, (4096, 2048)), (resource.RLIM_INFINITY, (4096, 2048))])
def test_the_bounds_leave_descriptors_for_who_has_signed_in(
    monkeypatch: pytest.MonkeyPatch, hard: int, expected: tuple[int, int]
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda what, value: asked.append(value))
    assert bounds() == expected
    assert asked == [(hard, hard)]
