"""A trial in its own process: the same answer, and an explained failure where the process dies, stalls or eats memory."""

from __future__ import annotations

import json
import os

import msgspec
import pytest

from policies import trial_process
from policies.trial import Trial, try_out
from tests.policies.test_trial import ROWS
from tests.proxy.policy.example import NOW, payload

TRIAL = Trial([json.dumps(payload())], "bot", [], "crm", "SELECT email FROM crm.customers", ["public"], "10.0.0.1", NOW, ROWS)


def test_it_answers_as_the_function_does() -> None:
    assert trial_process.ask(TRIAL) == try_out(TRIAL)


def test_what_stalls_is_given_up() -> None:
    with pytest.raises(trial_process.TrialFailed, match=r"more than 0\.01 seconds"):
        trial_process.ask(TRIAL, 0.01)


def test_what_kills_it_is_explained() -> None:
    broken = msgspec.structs.replace(TRIAL, policies=["{}"])
    with pytest.raises(trial_process.TrialFailed, match="came to nothing"):
        trial_process.ask(broken)


def test_it_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}

    def run(*arguments: object, env: dict[str, str], **options: object) -> object:
        seen.update(env)
        raise trial_process.subprocess.TimeoutExpired("trial", 1)

    monkeypatch.setattr(trial_process.subprocess, "run", run)
    with pytest.raises(trial_process.TrialFailed):
        trial_process.ask(TRIAL)
    assert "TIDEGATE_SECRET_KEY" in os.environ
    assert not any(name.startswith(("TIDEGATE_", "DJANGO_")) for name in seen)
