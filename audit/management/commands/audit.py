"""``manage.py audit export|verify|key|gaps|reindex``: evidence for a terminal."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit import exporting, gaps, projection
from audit.models import Boot
from audit.sealing import verifier_key
from controlplane.command_line import moment
from proxy.ledger.verify import VerificationError, read_key, verify_export


class Command(BaseCommand):
    help = "Export the ledger, verify an export, print the ledger's public key, list what is missing, or make the search's tables again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        export = verbs.add_parser("export", help="write a signed export")
        export.add_argument("-o", "--output", required=True, metavar="FILE", help="the archive to write")
        export.add_argument("--since", help="entries made at or after this time: ISO 8601, or 7d for the last seven days")
        export.add_argument("--until", help="entries made before this time")
        for name in ("subject", "connection", "session", "statement"):
            export.add_argument(f"--{name}", default="", help=f"only what belongs to this {name}")
        verify = verbs.add_parser("verify", help="check an export; exit code 1 if anything in it does not hold")
        verify.add_argument("file", metavar="FILE")
        verify.add_argument("--key", default="", help="the ledger's public key, or a file with it (default: this ledger's own)")
        verbs.add_parser("key", help="print the ledger's public key, for whoever verifies exports elsewhere")
        verbs.add_parser("gaps", help="list what is missing; exit code 1 if evidence was lost or refused")
        verbs.add_parser("reindex", help="make the tables that searches read again, from the entries alone")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _export(self, options: dict[str, Any]) -> None:
        selection = {name: options[name] for name in exporting.FILTERS if options[name]}
        selection |= {name: moment(selection[name], ago=True) for name in ("since", "until") if name in selection}
        try:
            made = exporting.export_to(options["output"], selection=selection, actor="command line", progress=self._say)
        except exporting.LedgerDamaged as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}") from None
        self.stdout.write(f"{options['output']}: {made.entries} entries, {made.size} bytes, sha256 {made.sha256}")

    def _verify(self, options: dict[str, Any]) -> None:
        if not Path(options["file"]).is_file():
            raise CommandError(f"{options['file']}: no such file")
        text = options["key"] or verifier_key()
        try:
            key = read_key(Path(text).read_text(encoding="utf-8") if Path(text).is_file() else text)
        except (OSError, ValueError, VerificationError) as error:
            raise CommandError(f"--key: {error}") from None
        report = verify_export(options["file"], key)
        self.stdout.write("\n".join(report.lines()))
        if not report.ok:
            sys.exit(1)

    def _key(self, options: dict[str, Any]) -> None:
        self.stdout.write(verifier_key())

    def _gaps(self, options: dict[str, Any]) -> None:
        found = gaps.find(timezone.now())
        for gap in found:
            self.stdout.write(f"{gap.kind:<14}  {gap.where}: {gap.what}")
        if not found:
            self.stdout.write("Nothing is missing.")
        if any(gap.serious for gap in found):
            sys.exit(1)

    def _reindex(self, options: dict[str, Any]) -> None:
        boots, entries = list(Boot.objects.order_by("first_seen").values_list("pk", flat=True)), 0
        for boot in boots:
            entries += projection.rebuild(boot)
            self._say(f"{entries} entries")
        self.stdout.write(f"{entries} entries of {len(boots)} boot{'s' if len(boots) != 1 else ''}")

    def _say(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()
