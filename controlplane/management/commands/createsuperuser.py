"""``manage.py createsuperuser``: Django's, with the audit entry that every other way of making an administrator makes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.db import transaction

from controlplane import services
from controlplane.command_line import command_line_actor
from controlplane.models import User


class Command(createsuperuser.Command):
    help = "Make a first administrator of the web pages; asks for what is not given."

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            before = set(User.objects.values_list("pk", flat=True))
            super().handle(*args, **options)
            for user in User.objects.exclude(pk__in=before):
                services.record_change(user, before=None, actor=command_line_actor())
