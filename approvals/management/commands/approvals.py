"""``manage.py approvals list|approve|reject|test-webhook``: the inbox for a terminal."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from approvals import notices, presentation, services
from approvals.models import ApprovalRequest, Workflow
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
        webhook = verbs.add_parser("test-webhook", help="send a test notice to a workflow's webhook")
        webhook.add_argument("workflow")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] == "list":
            self._list(options["all"])
        elif options["verb"] == "test-webhook":
            self._try_webhook(options["workflow"])
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
            if request.parameters:
                self.stdout.write(f"    {presentation.parameters_line(request)}")
            if found := presentation.effect(request):
                self.stdout.write(f"    {found}")
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

    def _try_webhook(self, name: str) -> None:
        workflow = Workflow.objects.filter(name=name).first()
        if workflow is None:
            raise CommandError(f"There is no workflow '{name}'.")
        failure = notices.try_webhook(workflow)
        if failure:
            raise CommandError(failure)
        self.stdout.write("The webhook took the test notice.")
