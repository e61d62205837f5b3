"""`manage.py stack`, as `manage.py help` shows it. The real entrance is in manage.py, which takes it before settings exist."""

import argparse
from typing import Any

from django.core.management import BaseCommand, CommandError

from controlplane.stack import command


class Command(BaseCommand):
    help = "Run the whole product in the foreground: control plane, queue, proxy worker, and embedded engines where no URL is given."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        status = command.run(argparse.Namespace(**options))
        if status:
            raise CommandError("the stack did not start", returncode=status)
