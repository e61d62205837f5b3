"""A report as a file: CSV for spreadsheets, Parquet for programs, PDF for paper. Times are in UTC."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import IO, Any
from xml.sax.saxutils import escape

from audit.reports import CHUNK, Report, Value
from audit.visible import in_order

PRINTED = 5_000  # lines of a PDF: more is not for paper
_CELL = 300  # characters of a value on paper
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Progress = Callable[[str], None]


class TooLong(Exception):
    """More lines than the format is for; the message says what to do."""


def write(file: IO[bytes], form: str, report: Report, lines: Iterator[list[Value]], *, told: str, progress: Progress) -> int:
    """Write the lines; returns how many. ``told``: what was chosen, in words, for paper. Raises TooLong."""
    return {"csv": _csv, "parquet": _parquet, "pdf": _pdf}[form](file, report, lines, told, progress)


def _csv(file: IO[bytes], report: Report, lines: Iterator[list[Value]], told: str, progress: Progress) -> int:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    writer, count = csv.writer(text), 0
    writer.writerow(report.columns)
    for count, line in enumerate(lines, start=1):
        writer.writerow([_cell(value) for value in line])
        _tell(progress, count)
    text.detach()
    return count


def _cell(value: Value) -> object:
    """A value that a spreadsheet takes for text is kept from being run as a formula: by a ' before it."""
    if isinstance(value, datetime):
        return _iso(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _parquet(file: IO[bytes], report: Report, lines: Iterator[list[Value]], told: str, progress: Progress) -> int:
    import pyarrow  # takes its time, and only what makes files needs it
    from pyarrow import parquet

    types = {**dict.fromkeys(report.times, pyarrow.timestamp("us", tz="UTC")), **dict.fromkeys(report.numbers, pyarrow.int64())}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in report.columns])
    count = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while chunk := list(islice(lines, CHUNK)):
            columns = zip(*chunk, strict=True)
            writer.write_table(pyarrow.table([pyarrow.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema))
            count += len(chunk)
            _tell(progress, count)
    return count


def _pdf(file: IO[bytes], report: Report, lines: Iterator[list[Value]], told: str, progress: Progress) -> int:
    from reportlab.lib import colors, pagesizes
    from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
    from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer

    found = list(islice(lines, PRINTED + 1))
    if len(found) > PRINTED:
        raise TooLong(f"More than {PRINTED} lines are not for paper: choose less, or CSV or Parquet.")
    progress(f"{len(found)} lines, being set")
    styles = getSampleStyleSheet()
    small = ParagraphStyle("small", parent=styles["Normal"], fontSize=6.5, leading=8, wordWrap="CJK")
    head = ParagraphStyle("head", parent=small, fontName="Helvetica-Bold")
    page = pagesizes.landscape(pagesizes.A4)
    document = SimpleDocTemplate(
        file, pagesize=page, leftMargin=28, rightMargin=28, topMargin=32, bottomMargin=32, title=report.title, author="Tidegate"
    )
    rows: list[list[Any]] = [[Paragraph(escape(name), head) for name in report.columns]]
    rows += [[Paragraph(escape(_printed(value)), small) for value in line] for line in found]
    style = [
        ("GRID", (0, 0), (-1, -1), 0.25, colors.lightgrey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    table = LongTable(rows, colWidths=_widths(report, page[0] - 56), repeatRows=1, style=style)
    about = [Paragraph(escape(report.title), styles["Title"]), Paragraph(escape(_printed(told)), styles["Normal"]), Spacer(1, 8)]
    document.build([*about, table], onFirstPage=_number, onLaterPages=_number)
    return len(found)


def _widths(report: Report, whole: float) -> list[float]:
    """Wide columns for what is long."""
    shares = [
        {"statement": 4, "before": 4, "after": 4, "reason": 3, "rows": 0.7, "decision": 0.9, "outcome": 0.9}.get(n, 1.3)
        for n in report.columns
    ]
    return [whole * share / sum(shares) for share in shares]


def _number(canvas: Any, document: Any) -> None:
    canvas.setFont("Helvetica", 7)
    canvas.drawRightString(document.pagesize[0] - 28, 18, f"page {document.page}")


def _printed(value: Value) -> str:
    """For the fonts that every PDF reader has: letters that they lack are spelt out."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    text = "" if value is None else in_order(str(value)).replace("⟦", "[").replace("⟧", "]")
    text = text if len(text) <= _CELL else text[: _CELL - 1] + "…"
    return "".join(one if ord(one) < 256 or one in "…–—‘’“”" else f"[U+{ord(one):04X}]" for one in text)


def _iso(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _tell(progress: Progress, count: int) -> None:
    if count % 10_000 == 0:
        progress(f"{count} lines")
