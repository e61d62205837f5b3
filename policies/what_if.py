"""What a draft would change, asked on a page: checked at once, compared by the queue, kept for a week."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit.services import entry_numbers, statements
from controlplane import crypto
from controlplane.models import BundleVersion, User
from policies.models import WhatIf
from policies.policy_file.apply import Outcome, apply_sources
from policies.policy_file.document import Item, PolicyFileError, Problem, read_text
from policies.policy_file.given import Reader
from policies.simulation import Group, Simulation, Verdict
from proxy.policy.bundle import Bundle

KEPT = timedelta(days=7)
SHOWN = 200  # groups of equal differences
_STEP = 2_000  # statements between two words about progress

log = logging.getLogger(__name__)


@dataclass
class _NothingElse(Reader):
    """A draft from a page reads neither variables nor files of this host: the secrets that it names stay as they are."""

    def _variable(self, where: str, name: str) -> str | None:
        return None

    def file(self, item: Item, where: str, name: str, *, secret: bool = False) -> str | None:
        return None


def check(text: str, *, actor: User, prune: bool) -> Outcome:
    """What applying the draft would do; it is undone. Raises PolicyFileError with lines."""
    return apply_sources([read_text(text, "draft")], actor=actor, dry_run=True, prune=prune, reader=_NothingElse())


def ask(
    text: str, *, actor: User, since: datetime, until: datetime, subject: str = "", connection: str = "", prune: bool = False
) -> WhatIf:
    """Queue a comparison. Raises PolicyFileError. Those of more than a week ago are dropped."""
    check(text, actor=actor, prune=prune)
    if not BundleVersion.objects.exists():
        raise PolicyFileError([Problem("draft", "there is no policy in force yet, so nothing to compare with")])
    with transaction.atomic():
        WhatIf.objects.filter(created__lt=timezone.now() - KEPT).delete()
        asked = WhatIf.objects.create(
            created_by=actor,
            draft=crypto.encrypt(text.encode()),
            prune=prune,
            since=since,
            until=until,
            subject=subject,
            connection=connection,
        )
        transaction.on_commit(partial(_order, str(asked.pk)))
    return asked


def run(pk: uuid.UUID) -> None:
    """Compare, and keep the result. A message that the queue delivers twice does the work twice, with one result."""
    asked = WhatIf.objects.filter(pk=pk, state__in=[WhatIf.State.QUEUED, WhatIf.State.RUNNING]).select_related("created_by").first()
    if asked is None:
        return
    try:
        result = _compared(asked)
    except PolicyFileError as problem:  # the tables changed since it was asked
        _end(pk, WhatIf.State.FAILED, error=str(problem)[:500])
    except Exception as error:
        log.exception("policies.what_if_failed", extra={"what_if": str(pk)})
        _end(pk, WhatIf.State.FAILED, error=f"The comparison failed ({type(error).__name__}); the server's log says more.")
    else:
        _end(pk, WhatIf.State.READY, result=result)


def _compared(asked: WhatIf) -> dict[str, Any]:
    text = crypto.decrypt(bytes(asked.draft)).decode()
    current = BundleVersion.objects.first()
    assert current is not None
    outcome = check(text, actor=asked.created_by, prune=asked.prune)
    first, second = (Bundle.load(version.payload.encode(), {}) for version in (current, outcome.bundle or current))
    simulation = Simulation(first, second, timezone.now().timestamp())
    recorded = statements(since=asked.since, until=asked.until, subject=asked.subject, connection=asked.connection)
    progress = WhatIf.objects.filter(pk=asked.pk)
    progress.update(state=WhatIf.State.RUNNING, total=recorded.count(), done=0)
    for number, entry in enumerate(recorded, 1):
        simulation.add(entry)
        if number % _STEP == 0:
            progress.update(done=number)
    return _result(simulation, outcome)


def _result(simulation: Simulation, outcome: Outcome) -> dict[str, Any]:
    groups = simulation.groups
    numbers = entry_numbers([group.entry for group in groups[:SHOWN]])
    subjects: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    for group in groups:
        subjects[group.first.subject] += group.count
        names = {*group.first.before.rules, *group.first.after.rules} or {"no rule: grants and settings"}
        rules.update(dict.fromkeys(names, group.count))
    return {
        "examined": simulation.examined,
        "unreadable": simulation.unreadable,
        "changed": simulation.changes.total(),
        "changes": [list(pair) for pair in simulation.changes.most_common()],
        "subjects": [list(pair) for pair in subjects.most_common(50)],
        "rules": [list(pair) for pair in rules.most_common(50)],
        "steps": [str(step) for step in outcome.steps[:SHOWN]],
        "warnings": [str(warning) for warning in outcome.not_enforced[:50]],
        "groups": [_group(group, numbers.get(group.entry)) for group in groups[:SHOWN]],
        "left_out": max(0, len(groups) - SHOWN),
    }


def _group(group: Group, entry: int | None) -> dict[str, Any]:
    first = group.first
    return {
        "subject": first.subject,
        "connection": first.connection,
        "change": first.change,
        "count": group.count,
        "now": _said(first.before),
        "draft": _said(first.after),
        "masks": [list(mask) for mask in first.masks],
        "example": group.example[:2_000],
        "entry": entry,
    }


def _said(verdict: Verdict) -> dict[str, Any]:
    return {"decision": verdict.kind, "reason": verdict.reason, "rules": list(verdict.rules)}


def _order(pk: str) -> None:
    from policies.tasks import what_if  # the tasks call this module

    try:
        what_if.apply_async((pk,), retry=False)
    except Exception as error:  # kombu wraps broker errors in several classes
        log.warning("policies.what_if_not_ordered", extra={"what_if": pk, "error": type(error).__name__})
        _end(uuid.UUID(pk), WhatIf.State.FAILED, error="The queue cannot be reached. Try again later.")


def _end(pk: uuid.UUID, state: str, *, error: str = "", result: dict[str, Any] | None = None) -> None:
    done = {"done": result["examined"], "total": result["examined"]} if result else {}
    WhatIf.objects.filter(pk=pk).update(state=state, error=error, result=_storable(result or {}), draft=b"", **done)


def _storable(value: Any) -> Any:
    """Without what text in the database cannot hold: a record is what a worker's key has signed, not what ours would write."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value
