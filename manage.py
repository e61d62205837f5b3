#!/usr/bin/env python
"""The control plane's commands: ``python manage.py help``."""

import os
import sys

from django.core.management import execute_from_command_line

from controlplane import VERSION, command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    if sys.argv[1:2] == ["stack"]:
        # It makes the secrets that settings cannot be read without.
        from controlplane.stack.command import main

        sys.exit(main(sys.argv[2:]))
    try:
        if command_line.only_explains(sys.argv[1:]):
            command_line.stand_in(os.environ)
        if sys.argv[1:] in (["version"], ["--version"]):
            sys.exit(print(f"Tidegate {VERSION}"))
        if sys.argv[1:] in ([], ["help"], ["--help"], ["-h"]):
            import django

            django.setup()
            sys.exit(print(command_line.overview()))
        execute_from_command_line(sys.argv)
    except Exception as problem:
        text = command_line.mistake(problem)
        if not text:
            raise
        sys.exit(f"tidegate: {text}")
