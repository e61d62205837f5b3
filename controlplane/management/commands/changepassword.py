"""``manage.py changepassword USER``: Django's, with the audit entry that every other way of changing a password makes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.db import transaction

from controlplane import services
from controlplane.command_line import command_line_actor
from controlplane.models import User


class Command(changepassword.Command):
    help = "Give a person who signs in to the web pages a new password; asks for it twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="the name that the person signs in with")
        parser.set_defaults(database="default")

    def handle(self, *args: Any, **options: Any) -> str:
        with transaction.atomic():
            said: str = super().handle(*args, **options)
            user = User.objects.get(username=options["username"])
            services.record_password_change(user, actor=command_line_actor())
        return said
