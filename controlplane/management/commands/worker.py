"""``manage.py worker token [--name NAME]``, ``worker list``, ``worker revoke WORKER``."""

from __future__ import annotations

import argparse
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from controlplane import workers
from controlplane.command_line import command_line_actor
from controlplane.models import Worker


class Command(BaseCommand):
    help = "Proxy workers: token (prints a one-time enrolment token, alone on standard output), list, revoke."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        token = verbs.add_parser("token", help="make a one-time enrolment token and print it")
        token.add_argument("--name", default="worker", help="what it is for, e.g. the host's name")
        verbs.add_parser("list", help="show enrolled workers and their processes")
        revoke = verbs.add_parser("revoke", help="shut a worker out at once")
        revoke.add_argument("worker", help="its id, or its name where only one has it")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        getattr(self, f"_{verb}")(options)

    def _token(self, options: dict[str, Any]) -> None:
        try:
            token, text = workers.create_token(name=options["name"], actor=command_line_actor())
        except ValidationError as problem:
            raise CommandError("; ".join(problem.messages)) from None
        self.stdout.write(text)
        self.stderr.write(
            f"Good for one worker until {token.expires_at:%Y-%m-%d %H:%M} UTC: give it as TIDEGATE_ENROL_TOKEN. It is not shown again."
        )

    def _list(self, options: dict[str, Any]) -> None:
        for worker in Worker.objects.prefetch_related("boots"):
            state = f"revoked {worker.revoked_at:%Y-%m-%d %H:%M}" if worker.revoked_at else "active"
            self.stdout.write(f"{worker.pk}  {worker.name}  {state}")
            for boot in worker.boots.all()[:10]:
                seen = f"{boot.seen_at:%Y-%m-%d %H:%M:%S}"
                self.stdout.write(
                    f"    pid {boot.pid}  {boot.version}  {boot.sessions} sessions  {boot.spool_entries} unsent entries  seen {seen}"
                )

    def _revoke(self, options: dict[str, Any]) -> None:
        worker = _worker(options["worker"])
        workers.revoke(worker, actor=command_line_actor())
        self.stdout.write(f"Worker {worker.name} ({worker.pk}) is revoked.")


def _worker(named: str) -> Worker:
    try:
        found = Worker.objects.filter(pk=uuid.UUID(named))
    except ValueError:
        found = Worker.objects.active().filter(name=named)
    if len(found) != 1:
        raise CommandError(f"{len(found)} workers are called '{named}'; 'worker list' shows their ids.")
    return found[0]
