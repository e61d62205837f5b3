"""``manage.py approvals list|approve|reject``: the inbox for a terminal."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from approvals import services
from approvals.models import ApprovalRequest
from audit.visible import one_line
from controlplane.models import User


class Command(BaseCommand):
    help = "List the statements that wait for an answer, or answer one as one of its approvers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        listing = verbs.add_parser("list", help="what waits for an answer")
        listing.add_argument("--all", action="store_true", help="also what is over, newest first (at most 200)")
        for verb in ("approve", "reject"):
            answer = verbs.add_parser(verb, help=f"{verb} a request")
            answer.add_argument("id", type=uuid.UUID)
            answer.add_argument("--as", dest="user", required=True, metavar="USER", help="the approver who answers")
            answer.add_argument("--comment", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] == "list":
            self._list(options["all"])
        else:
            self._answer(options["id"], options["user"], options["verb"] == "approve", options["comment"])

    def _list(self, everything: bool) -> None:
        requests = ApprovalRequest.objects.all() if everything else ApprovalRequest.objects.waiting(timezone.now())
        rows = list(requests[:200])
        for request in rows:
            self.stdout.write(
                f"{request.pk}  {request.state:<9}  until {request.expires_at:%Y-%m-%d %H:%M:%SZ}  "
                f"{request.subject} on {request.connection} ({request.workflow_name})\n    {one_line(request.sql, 160)}"
            )
            for item in request.parameters:
                value = "NULL" if item.get("text") is None else one_line(item["text"], 80)
                self.stdout.write(f"    ${item.get('n')} = {value}")
        if not rows:
            self.stdout.write("Nothing waits for an answer.")

    def _answer(self, request_id: uuid.UUID, username: str, approve: bool, comment: str) -> None:
        actor = User.objects.filter(username=username).first()
        if actor is None:
            raise CommandError(f"There is no user '{username}'.")
        try:
            request = services.decide(request_id, actor=actor, approve=approve, comment=comment)
        except services.Refused as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"{request.pk} is {request.state}.")
