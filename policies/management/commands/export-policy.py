"""``manage.py export-policy``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from policies.policy_file.export import policy_text


class Command(BaseCommand):
    help = "Write the configuration as a policy file (YAML, without secrets) to standard output."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(policy_text(), ending="")
