"""Failures are answered late and counted by network; time forgives them, and memory has a bound."""

import pytest

from proxy.session.attempts import FORGIVEN_SECONDS, LIMIT, Attempts, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2.3"), ("::ffff:10.1.2.3", "10.1.2.3"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"), ("unknown", "unknown"), ("", ""),
    ],
)  # fmt: skip
def test_what_counts_as_one_place(address: str, network: str) -> None:
    assert network_of(address) == network


def test_answers_wait_longer_and_longer_but_never_very_long() -> None:
    found = Attempts()
    delays = [found.failed("10.0.0.1", 0) for _ in range(100)]
    assert delays[:3] == [0.05, 0.1, 0.2]
    assert delays == sorted(delays)
    assert max(delays) == 2.0
    assert found.failed("10.0.0.2", 0) == 0.05, "another address starts anew"


def test_too_many_failures_are_not_heard_until_time_has_forgiven_them() -> None:
    found = Attempts()
    for _ in range(LIMIT - 1):
        found.failed("2001:db8::1", 0)
    assert found.wait("2001:db8::1", 0) == 0
    for _ in range(500):  # however many more: not longer
        found.failed("2001:db8::2", 0)
    assert found.wait("2001:db8::ffff", 0) == FORGIVEN_SECONDS
    assert found.wait("2001:db8:0:1::1", 0) == 0
    assert found.wait("2001:db8::1", FORGIVEN_SECONDS) == 0
    found.failed("2001:db8::1", FORGIVEN_SECONDS)
    assert found.wait("2001:db8::1", FORGIVEN_SECONDS) == FORGIVEN_SECONDS, "one more at a time"
    assert found.wait("2001:db8::1", -100) > 0, "a clock set back forgives nothing"
    later = LIMIT * FORGIVEN_SECONDS + 10
    assert found.failed("2001:db8::1", later) == 0.05


def test_memory_has_a_bound() -> None:
    found = Attempts(networks=3)
    for last in (1, 2, 3, 1, 4):
        found.failed(f"10.0.0.{last}", 0)
    assert len(found) == 3
    assert found.failed("10.0.0.1", 0) == 0.2, "it failed lately"
    assert found.failed("10.0.0.2", 0) == 0.05, "it was forgotten"
