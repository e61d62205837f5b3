from __future__ import annotations

import pytest

from policies.policy_file import normal


@pytest.mark.parametrize(("text", "ms"), [("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("4h", 14_400_000), ("400d", 34_560_000_000)])
def test_durations(text: str, ms: int) -> None:
    assert normal.milliseconds(text) == ms
    assert normal.duration(ms) == text


def test_less_than_a_second_is_one() -> None:
    assert normal.seconds("1ms") == 1
    assert normal.seconds("2w") == 1_209_600


@pytest.mark.parametrize(
    "text", ["2026-12-31T22:00:00Z", "2026-12-31t22:00:00z", "2026-12-31 22:00:00 Z", "2027-01-01T00:00:00+02:00", "2026-12-31T22:00:00.5Z"]
)
def test_times_are_utc(text: str) -> None:
    assert normal.moment(text) == "2026-12-31T22:00:00Z"


def test_a_time_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="day"):
        normal.moment("2027-02-30T00:00:00Z")


def test_order_and_repetition_do_not_matter() -> None:
    assert normal.subject({"name": "b", "groups": ["y", "x", "y"]}) == normal.subject({"name": "b", "groups": ["x", "y"]})


def test_methods_as_the_bundle_spells_them() -> None:
    assert normal.method("redact") == {"name": "redact"}
    assert normal.method({"partial": {"last": 4}}) == {"name": "partial", "first": 0, "last": 4}
    assert normal.method({"round": 1000}) == {"name": "round", "to": 1000}
    assert normal.method({"fixed": True}) == {"name": "fixed", "text": "true"}


def test_waiting_is_never_longer_than_the_request_lives() -> None:
    assert normal.workflow({"name": "w", "approvers": {}, "expires": "1m"})["max_wait"] == 60
    assert normal.workflow({"name": "w", "approvers": {}})["max_wait"] == 600
