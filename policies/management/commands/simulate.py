"""``manage.py simulate -f FILE [-f FILE …] [--since 7d]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.services import statements
from audit.visible import one_line
from controlplane.command_line import command_line_actor, moment
from controlplane.models import BundleVersion
from policies.policy_file.apply import apply_files
from policies.policy_file.document import PolicyFileError
from policies.simulation import Difference, Group, Simulation, Verdict
from proxy.policy.bundle import Bundle

EVERY = 10_000  # statements from one line of progress to the next


class Command(BaseCommand):
    help = "Show which recorded statements policy files would treat differently than the policy in force; changes nothing."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        argument = parser.add_argument
        argument("-f", "--file", action="append", required=True, type=Path, help="a policy file, as for apply; may be repeated")
        argument("--prune", action="store_true", help="as for apply: also without what the files do not name")
        argument("--since", default="7d", help="statements from this time on: 12h for the last 12 hours, or an ISO 8601 time (default: 7d)")
        argument("--until", help="statements before this time")
        argument("--subject", default="", metavar="NAME", help="only this subject's")
        argument("--connection", default="", metavar="NAME", help="only those on this connection")
        argument("--limit", type=int, default=50, metavar="N", help="groups of equal differences to show, the largest first (default: 50)")
        argument("--json", action="store_true", help="print one JSON object")
        argument("--exit-code", action="store_true", help="exit with 1 where anything would be treated differently")

    def handle(self, *args: Any, **options: Any) -> None:
        since = moment(options["since"], ago=True)
        until = moment(options["until"], ago=True) if options["until"] else None
        simulation = self._simulation(options["file"], options["prune"])
        recorded = statements(since=since, until=until, subject=options["subject"], connection=options["connection"])
        for entry in self._with_progress(recorded, recorded.count()):
            simulation.add(entry)
        report = _as_json if options["json"] else _as_text
        self.stdout.write("\n".join(report(simulation, max(0, options["limit"]))))
        if options["exit_code"] and simulation.changes:
            sys.exit(1)

    def _simulation(self, files: list[Path], prune: bool) -> Simulation:
        now = timezone.now()
        current = BundleVersion.objects.first()
        if current is None:
            raise CommandError("There is no policy in force yet, so nothing to compare with.")
        try:
            outcome = apply_files(files, actor=command_line_actor(), dry_run=True, prune=prune)
        except PolicyFileError as error:
            raise CommandError(str(error)) from None
        for warning in outcome.warnings:
            self.stderr.write(f"warning: {warning}")
        draft = outcome.bundle or current
        if draft.serial == current.serial:
            self.stderr.write("note: the files decide nothing that the policy in force does not")
        first, second = (Bundle.load(version.payload.encode(), {}) for version in (current, draft))
        return Simulation(first, second, now.timestamp())

    def _with_progress(self, entries: Iterable[Any], total: int) -> Iterator[Any]:
        for number, entry in enumerate(entries, 1):
            yield entry
            if number % EVERY == 0:
                self.stderr.write(f"{number} of {total} statements")
                self.stderr.flush()


def _as_text(simulation: Simulation, limit: int) -> Iterator[str]:
    changed = simulation.changes.total()
    yield f"{simulation.examined} statements examined, {changed} would be treated differently."
    if simulation.unreadable:
        yield f"{simulation.unreadable} could not be read."
    for change, count in simulation.changes.most_common():
        yield f"{count:>8}  {change}"
    groups = simulation.groups
    for group in islice(groups, limit):
        first = group.first
        yield f"\n{first.subject} on {first.connection}: {group.count} {first.change}"
        yield from (f"    {column}: {before} → {after}" for column, before, after in first.masks)
        if first.change != "other masks":
            yield f"    now:    {_why(first.before, first)}"
            yield f"    draft:  {_why(first.after, first)}"
        yield f"    e.g.    {one_line(group.example, 200) or '(a statement that could not be analysed)'}"
    if len(groups) > limit:
        yield f"\n… and {len(groups) - limit} smaller groups (--limit {len(groups)} shows all)."


def _why(verdict: Verdict, difference: Difference) -> str:
    if difference.change != "other rules":
        return one_line(verdict.reason, 200)
    return one_line(", ".join([f'rule "{name}"' for name in verdict.rules]) or verdict.reason, 200)


def _as_json(simulation: Simulation, limit: int) -> Iterator[str]:
    yield json.dumps(
        {
            "examined": simulation.examined,
            "unreadable": simulation.unreadable,
            "changed": simulation.changes.total(),
            "changes": dict(simulation.changes),
            "groups": [_group(group) for group in simulation.groups[:limit]],
            "groups_left_out": max(0, len(simulation.groups) - limit),
        },
        indent=2,
        ensure_ascii=False,
    )


def _group(group: Group) -> dict[str, Any]:
    first = group.first
    sides = {
        side: {"decision": verdict.kind, "reason": verdict.reason, "rules": list(verdict.rules), "masks": dict(verdict.masks)}
        for side, verdict in (("now", first.before), ("draft", first.after))
    }
    about = {"subject": first.subject, "connection": first.connection, "change": first.change}
    return {**about, "count": group.count, **sides, "example": group.example}
