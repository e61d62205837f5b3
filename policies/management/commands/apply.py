"""``manage.py apply -f FILE [-f FILE …] [--dry-run] [--prune]``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.command_line import command_line_actor
from policies.policy_file.apply import Outcome, apply_files
from policies.policy_file.document import PolicyFileError


class Command(BaseCommand):
    help = "Bring the configuration to what policy files say: prints the plan, changes only what differs, in one transaction."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-f", "--file", action="append", required=True, type=Path, help="a policy file; may be repeated")
        parser.add_argument("--dry-run", action="store_true", help="print the plan and change nothing")
        parser.add_argument("--prune", action="store_true", help="also remove what the files do not name (administrators stay)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = apply_files(options["file"], actor=command_line_actor(), dry_run=options["dry_run"], prune=options["prune"])
        except PolicyFileError as error:
            raise CommandError(f"{error}\nNothing was changed.") from None
        self._print(outcome, options["dry_run"])

    def _print(self, outcome: Outcome, dry_run: bool) -> None:
        for warning in outcome.warnings:
            self.stderr.write(f"warning: {warning}")
        for note in outcome.not_enforced:
            self.stderr.write(f"note: {note}")
        for step in outcome.steps:
            self.stdout.write(str(step))
        if not outcome.steps:
            self.stdout.write("Nothing to change.")
        elif dry_run:
            self.stdout.write(f"{len(outcome.steps)} to change; this was a dry run, nothing was changed.")
        else:
            bundle = f" Policy version {outcome.bundle.serial} is published." if outcome.bundle else ""
            self.stdout.write(f"{len(outcome.steps)} changed.{bundle}")
