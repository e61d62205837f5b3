"""Trials of statements for people: under the policy as it is, and under one with a rule that is not saved yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from controlplane import catalogs
from controlplane.models import CatalogSnapshot, Connection
from policies import compiler, trial_process
from policies.effective import covered
from policies.forms import TrialForm
from policies.models import MaskingRule
from policies.trial import Outcome, Trial


@dataclass(frozen=True)
class Tried:
    """``before`` is the policy as it is; ``after`` with the draft, or None where there is none."""

    before: Outcome
    after: Outcome | None
    catalog: CatalogSnapshot | None
    rule: str = ""
    covered: tuple[str, ...] | None = None  # columns that a masking rule matches; None for other rules, and without a catalog

    @property
    def outcome(self) -> Outcome:
        return self.before if self.after is None else self.after

    @property
    def speaks(self) -> bool:
        """Whether the rule that is tested decides or masks something here."""
        return self.rule in (*self.outcome.rules, *(masked.rule for masked in self.outcome.masked)) or any(
            would.endswith(f": {self.rule}") for would in self.outcome.would
        )

    @property
    def differs(self) -> bool:
        return self.after is not None and _decisive(self.before) != _decisive(self.after)


def _decisive(outcome: Outcome) -> tuple[object, ...]:
    return outcome.kind, outcome.workflow, outcome.rules, outcome.would, outcome.plan, outcome.sent, outcome.masked


def tried(form: TrialForm, draft: Any = None) -> Tried:
    """The outcome for a valid form, with a valid ModelForm of a rule as draft. Raises TrialFailed, ValidationError."""
    now, given = timezone.now(), form.cleaned_data
    policies = [_payload(now)]
    rule = ""
    if draft is not None:
        policies.append(_with_draft(draft, now))
        rule = draft.instance.name
    snapshot = _catalog(given["database"])
    trial = Trial(
        policies=policies,
        subject=given["subject"].name,
        groups=form.names("groups"),
        database=given["database"],
        sql=given["sql"].replace("\r\n", "\n"),
        search_path=_path(form, given["database"]),
        client_ip=given["client_ip"],
        now=now.timestamp(),
        rows=catalogs.rows_of(bytes(snapshot.content)) if snapshot else None,
        rule=rule,
    )
    outcomes = trial_process.ask(trial)
    return Tried(outcomes[0], outcomes[1] if draft is not None else None, snapshot, rule, _covered(draft, snapshot))


def _covered(draft: Any, snapshot: CatalogSnapshot | None) -> tuple[str, ...] | None:
    if draft is None or snapshot is None or not isinstance(draft.instance, MaskingRule):
        return None
    return tuple(covered(draft.instance.columns, catalogs.columns_of(snapshot)))


def _path(form: TrialForm, database: str) -> list[str]:
    role = Connection.objects.filter(name=database.partition("/")[0]).values_list("user", flat=True).first()
    return [role or "" if name == "$user" else name for name in form.names("search_path")]


def _catalog(database: str) -> CatalogSnapshot | None:
    name, _, other = database.partition("/")
    connection = Connection.objects.filter(name=name).first()
    return catalogs.newest(name, other or connection.dbname) if connection else None


def _payload(now: datetime) -> str:
    """The policy as the tables have it, without the verifiers of keys: what reads hostile text has no use for them."""
    content = compiler.compile_content(now)
    problem = compiler.impossible(content)
    if problem:
        raise ValidationError(problem)
    return compiler.canonical({**content, "subjects": [{**subject, "scram": None} for subject in content["subjects"]]}, 1)


def _with_draft(draft: Any, now: datetime) -> str:
    """As :func:`_payload` with the form saved, which is undone."""
    with transaction.atomic():
        draft.save(commit=False).save()
        draft.save_m2m()
        payload = _payload(now)
        transaction.set_rollback(True)
    return payload
