"""``manage.py key create SUBJECT [--expires WHEN]``, ``key list [SUBJECT]``, ``key revoke KEY_ID``."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from controlplane import services
from controlplane.command_line import command_line_actor, moment
from controlplane.models import ApiKey, Subject


class Command(BaseCommand):
    help = "API keys of subjects: create (prints the key once, alone on standard output), list, revoke."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a key and print it")
        create.add_argument("subject")
        create.add_argument("--expires", help="a span such as 90d, or a time such as 2026-12-31T00:00:00Z; otherwise never")
        listing = verbs.add_parser("list", help="show keys, of one subject or of all")
        listing.add_argument("subject", nargs="?")
        revoke = verbs.add_parser("revoke", help="end a key")
        revoke.add_argument("key_id", help="as 'key list' shows it")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        getattr(self, f"_{verb}")(options)

    def _create(self, options: dict[str, Any]) -> None:
        subject = _subject(options["subject"])
        expires = moment(options["expires"]) if options["expires"] else None
        try:
            key, text = services.create_key(subject, actor=command_line_actor(), expires_at=expires)
        except ValidationError as problem:
            raise CommandError("; ".join(problem.messages)) from None
        self.stdout.write(text)
        self.stderr.write(f"Key {key.key_id} of {subject}. It is not shown again; agents give it as password, with user={subject}.")
        if not subject.enabled:
            self.stderr.write(f"{subject} is switched off: the key works once it is enabled.")

    def _list(self, options: dict[str, Any]) -> None:
        keys = ApiKey.objects.select_related("subject").order_by("subject__name", "created_at")
        if options["subject"]:
            keys = keys.filter(subject=_subject(options["subject"]))
        for key in keys:
            ends = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "no end"
            self.stdout.write(f"{key.key_id}  {key.subject}  {key}  {key.state}  {ends}")

    def _revoke(self, options: dict[str, Any]) -> None:
        key = ApiKey.objects.select_related("subject").filter(key_id=options["key_id"]).first()
        if key is None:
            raise CommandError(f"There is no key {options['key_id']}; 'key list' shows them.")
        services.revoke_key(key, actor=command_line_actor())
        self.stdout.write(f"Key {key.key_id} of {key.subject} is revoked.")


def _subject(name: str) -> Subject:
    found = Subject.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no subject '{name}'.")
    return found
