"""``manage.py policy-schema``."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from policies.policy_file.schema import POLICY


class Command(BaseCommand):
    help = "Write the JSON Schema of policy files to standard output, for editors and checkers."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(POLICY, indent=2))
