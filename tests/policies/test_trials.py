"""Drafts are compiled and undone; what reads the statement gets no verifier of a key."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from controlplane import services
from controlplane.models import Connection, Grant, Subject
from policies import trial_process, trials
from policies.forms import TrialForm
from policies.models import MaskingRule
from policies.rule_forms import MaskingRuleForm
from policies.trial import Outcome, Trial
from tests.controlplane.conftest import ACTOR

pytestmark = pytest.mark.django_db
SSN = {"name": "ssn", "columns": "*.*.ssn", "method_name": "redact"}


def form(**fields: str) -> TrialForm:
    given = TrialForm({"sql": "SELECT 1", "subject": "report-bot", "database": "crm", "search_path": '"$user", public', **fields})
    assert given.is_valid(), given.errors
    return given


def test_the_question(grant: Grant, bot: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Trial] = []

    def ask(trial: Trial) -> list[Outcome]:
        asked.append(trial)
        raise trial_process.TrialFailed("enough")

    monkeypatch.setattr(trial_process, "ask", ask)
    services.create_key(bot, actor=ACTOR)
    with pytest.raises(trial_process.TrialFailed):
        trials.tried(form(groups="a, b"))
    [trial] = asked
    assert trial.search_path == ["tidegate_agent", "public"]
    assert trial.groups == ["a", "b"]
    assert "stored_key" not in "".join(trial.policies)


def test_a_draft_leaves_nothing_behind(grant: Grant, bot: Subject) -> None:
    draft = MaskingRuleForm(SSN)
    assert draft.is_valid(), draft.errors
    tried = trials.tried(form(sql="SELECT ssn FROM crm.customers"), draft)
    assert tried.differs
    assert not MaskingRule.objects.exists()


def test_a_policy_that_could_not_be_published_is_told(crm: Connection, bot: Subject) -> None:
    crm.unanalyzable = "allow"
    services.save(crm, actor=ACTOR)
    draft = MaskingRuleForm(SSN)
    assert draft.is_valid()
    with pytest.raises(ValidationError, match="only without masking rules"):
        trials.tried(form(), draft)
    assert not MaskingRule.objects.exists()
