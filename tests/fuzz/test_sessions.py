"""What must hold whatever a client, a server or a text says; finds of the fuzzers, and what real programs said, are kept in ``corpus/``.

Profiles: ``fast`` (the default: the same examples every time) and ``deep`` (``HYPOTHESIS_PROFILE=deep``). ``make fuzz`` goes on
from here, guided by coverage.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy import events as ev
from tests.fuzz.driver import POLICIES, Driver
from tests.fuzz.script import DIALOGUE, TARGETS, answer, read, start, talk

CORPUS = Path(__file__).parent / "corpus"
CALM = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("fast", max_examples=150, deadline=None, derandomize=True, suppress_health_check=CALM)
settings.register_profile("deep", max_examples=20_000, deadline=None, suppress_health_check=CALM)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@PROFILE
@given(st.binary(min_size=20, max_size=300))
def test_no_client_breaks_a_session(data: bytes) -> None:
    talk(data)


@PROFILE
@given(st.binary(min_size=20, max_size=200), st.integers(1, 9))
def test_a_cut_changes_nothing(data: bytes, size: int) -> None:
    whole, cut = talk(data), talk(data, size)
    assert (whole.to_client, whole.to_server, whole.reason) == (cut.to_client, cut.to_server, cut.reason)


@PROFILE
@given(st.binary(min_size=20, max_size=300))
def test_no_server_breaks_a_session(data: bytes) -> None:
    answer(data)


@PROFILE
@given(st.binary(min_size=4, max_size=300), st.integers(0, 9))
def test_nothing_before_the_first_statement_breaks_a_session(data: bytes, size: int) -> None:
    start(data, size)


@PROFILE
@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
@example(b"\xff\xed\xa0\x80")
def test_the_analysis_never_raises(data: bytes) -> None:
    read(data)


@pytest.mark.parametrize("policy", range(len(POLICIES)))
def test_a_dialogue_that_breaks_off_anywhere(policy: int) -> None:
    for cut in range(len(DIALOGUE) + 1):
        driver = Driver(POLICIES[policy])
        driver.client(DIALOGUE[:cut])
        driver.end()


@pytest.mark.parametrize("policy", range(len(POLICIES)))
def test_answers_that_break_off_anywhere(policy: int) -> None:
    cut = 0
    while True:
        driver, left = Driver(POLICIES[policy], trusted=False), cut
        driver.client(DIALOGUE)
        while not driver.closed and driver.unanswered and left > 0:
            data = b"".join(driver.answers())
            driver.give(ev.ServerData(data[:left]))
            left -= len(data)
        driver.give(ev.ServerGone())
        driver.end()
        if left > 0:
            return
        cut += 3


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_finds_stay_fixed_and_real_conversations_go_through(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())
