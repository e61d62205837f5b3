"""The files say what the report says, in each format."""

from __future__ import annotations

import csv
import io
import re
import zlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pyarrow import parquet

from audit import report_files
from audit.report_files import TooLong
from audit.reports import REPORTS

REPORT = REPORTS["access"]
WHEN = datetime(2026, 3, 1, 13, 30, tzinfo=timezone(timedelta(hours=1)))
LINE = [WHEN, "bot", "crm", "select", "crm.customers", "", "allow", "", None, 3, "SELECT 'Zoë', \"a\",\n 1"]


def made(form: str, lines, report=REPORT) -> bytes:
    file = io.BytesIO()
    told: list[str] = []
    assert report_files.write(file, form, report, iter(lines), told="subject: bot", progress=told.append) == len(lines)
    return file.getvalue()


def test_csv():
    header, line = list(csv.reader(io.StringIO(made("csv", [LINE]).decode("utf-8-sig"))))
    assert tuple(header) == REPORT.columns
    assert line == ["2026-03-01T12:30:00.000000Z", "bot", "crm", "select", "crm.customers", "", "allow", "", "", "3", LINE[-1]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_spreadsheet_runs_no_formula(text):
    line = [*LINE[:-1], text]
    assert list(csv.reader(io.StringIO(made("csv", [line]).decode("utf-8-sig"), newline="")))[1][-1] == f"'{text}"


def test_parquet():
    table = parquet.read_table(io.BytesIO(made("parquet", [LINE] * (report_files.CHUNK + 1))))
    assert table.num_rows == report_files.CHUNK + 1
    row = table.slice(0, 1).to_pylist()[0]
    assert row == dict(zip(REPORT.columns, [WHEN.astimezone(UTC), *LINE[1:]], strict=True))
    assert str(table.schema.field("rows").type) == "int64"


@pytest.mark.parametrize("form", ["csv", "parquet", "pdf"])
@pytest.mark.parametrize("report", REPORTS.values(), ids=list(REPORTS))
def test_no_line_is_a_file_too(form, report):
    assert made(form, [], report)


def test_pdf_is_paper_with_its_words():
    content = made("pdf", [LINE, [*LINE[:-1], "SELECT '\u202e' FROM сustomers <b>&amp; " + "x" * 9000]])
    assert content.startswith(b"%PDF-")
    assert b"".join(_texts(content)).count(b"page 1") == 1
    words = b" ".join(_texts(content))
    for part in (b"Access by subject", b"subject: bot", b"2026-03-01", b"U+202E", b"U+0441"):
        assert part in words, part


def test_what_is_not_for_paper_is_refused():
    with pytest.raises(TooLong, match="5000 lines"):
        report_files.write(io.BytesIO(), "pdf", REPORT, iter([LINE] * 5001), told="", progress=print)


def test_progress_is_told():
    told: list[str] = []
    report_files.write(io.BytesIO(), "csv", REPORT, iter([LINE] * 20_001), told="", progress=told.append)
    assert told == ["10000 lines", "20000 lines"]


def _texts(content: bytes) -> list[bytes]:
    """What the pages' streams print."""
    import base64

    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
        try:
            plain = zlib.decompress(base64.a85decode(stream.strip().removesuffix(b"~>")))
        except (ValueError, zlib.error):
            continue
        found += re.findall(rb"\(((?:\\.|[^()\\])*)\)", plain)
    return found
