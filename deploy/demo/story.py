"""Printing: what is sent, what comes back, and whether it is what it should be."""

import os
import sys
import time

_COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


class Surprise(Exception):
    """Something came back that should not have; the demo has failed."""


class Story:
    """Numbered steps on standard output."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._number = 0

    def progress(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    def step(self, text: str) -> None:
        self._number += 1
        print(f"\n{self._paint(f'{self._number}. {text}', '1')}", flush=True)

    def sent(self, who: str, text: str) -> None:
        self._lines(f"{who} > ", text, "36")

    def came_back(self, text: str) -> None:
        self._lines("    < ", text, "0")

    def note(self, text: str) -> None:
        self._lines("      ", text, "2")

    def check(self, what: str, true: bool) -> None:
        """Say that something holds. Raises Surprise when it does not."""
        if not true:
            raise Surprise(what)
        print(self._paint(f"    ✓ {what}", "32"), flush=True)

    def _lines(self, prefix: str, text: str, colour: str) -> None:
        for line in text.rstrip().splitlines() or [""]:
            print(self._paint(prefix + line, colour), flush=True)

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if _COLOUR else text


def table(names: list[str], rows: list[tuple[object, ...]]) -> str:
    """Rows under their column names, in columns."""
    cells = [names, *([("NULL" if value is None else str(value)) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
