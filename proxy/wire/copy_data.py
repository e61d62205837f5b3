"""Rewriting fields of what COPY … TO STDOUT sends (manual, COPY: "File Formats"; 55.2.7: each CopyData of a server is one row).

Beside rows there are the line of names (HEADER), which looks like a row, and in the binary format a beginning, in the same
message as the first row, and an end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from proxy.wire.codec import MalformedError, int32
from proxy.wire.rows import rewrite_rows

Rewrite = Callable[[int, bytes], bytes]

BINARY_END = b"d\0\0\0\x06\xff\xff"  # a message of its own
_BINARY_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_LETTERS = {b"\b": b"b", b"\f": b"f", b"\n": b"n", b"\r": b"r", b"\t": b"t", b"\v": b"v"}
_CONTROLS = {letter: control for control, letter in _LETTERS.items()}
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CopyFormat:
    """How a row is written; the single bytes and ``null`` are ASCII, and no byte of a longer character is."""

    name: str = "text"  # text | csv | binary
    delimiter: bytes = b"\t"
    null: bytes = b"\\N"
    quote: bytes = b'"'  # csv
    escape: bytes = b'"'  # csv

    @property
    def marks(self) -> bytes:
        """The characters that stand in a row without being part of a value."""
        return {"text": self.delimiter + b"\\", "csv": self.delimiter + self.quote + self.escape}.get(self.name, b"")


def rewrite_copy(buffer: bytes, start: int, stop: int, form: CopyFormat, count: int, columns: tuple[int, ...], rewrite: Rewrite) -> bytes:
    """The complete CopyData messages ``buffer[start:stop]`` with the values of ``columns`` replaced; a row has ``count`` fields.

    ``columns`` are column numbers from 0 in ascending order; ``rewrite(k, value)`` gives the new value of the one in
    ``columns[k]``. NULL stays NULL, and what stays the same stays as it was written.

    Raises:
        MalformedError: a message is not one row of that form.
    """
    parts = []
    while start < stop:
        end = start + 1 + int.from_bytes(buffer[start + 1 : start + 5], "big")
        body = buffer[start + 5 : end]
        if form.name == "binary":
            new = _binary(body, columns, rewrite)
        elif body[-1:] != b"\n":
            raise MalformedError("CopyData is no line")
        else:
            fields = _text_fields(body[:-1], form) if form.name == "text" else _csv_fields(body[:-1], form)
            if len(fields) != count:
                raise MalformedError("CopyData has another number of fields than CopyOutResponse said")
            for k, column in enumerate(columns):
                fields[column] = _field(fields[column], form, k, rewrite)
            new = form.delimiter.join(fields) + b"\n"
        parts += [b"d", int32(4 + len(new)), new]
        start = end
    return b"".join(parts)


def _field(raw: bytes, form: CopyFormat, k: int, rewrite: Rewrite) -> bytes:
    if raw == form.null:
        return raw
    if form.name == "text":
        value = _ESCAPED.sub(lambda found: _CONTROLS.get(found[1], found[1]), raw) if b"\\" in raw else raw
        new = rewrite(k, value)
        return raw if new == value else _text_field(new, form)
    quoted = raw[:1] == form.quote
    value = _unquoted(raw[1:-1], form) if quoted else raw
    new = rewrite(k, value)
    return raw if new == value else _csv_field(new, form, quoted)


# -- text


def _text_fields(line: bytes, form: CopyFormat) -> list[bytes]:
    pieces = line.split(form.delimiter)
    if b"\\" not in line:
        return pieces
    fields, held = [], []
    for piece in pieces:
        held.append(piece)
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 0:  # else the delimiter behind it is escaped
            fields.append(form.delimiter.join(held))
            held = []
    if held:
        raise MalformedError("CopyData ends within an escape")
    return fields


def _text_field(value: bytes, form: CopyFormat) -> bytes:
    value = value.replace(b"\\", b"\\\\")
    for control, letter in _LETTERS.items():
        value = value.replace(control, b"\\" + letter)
    return value if form.delimiter in _LETTERS else value.replace(form.delimiter, b"\\" + form.delimiter)


# -- CSV


def _csv_fields(line: bytes, form: CopyFormat) -> list[bytes]:
    if form.quote not in line:
        return line.split(form.delimiter)
    fields, position, quoted = [], 0, _quoted(form)
    while True:
        if line.startswith(form.quote, position):
            match = quoted.match(line, position)
            end = match.end() if match else -1
        else:
            end = line.find(form.delimiter, position)
            end = len(line) if end < 0 else end
        if end < 0 or line[end : end + 1] not in (b"", form.delimiter):
            raise MalformedError("CopyData is not quoted as CSV is")
        fields.append(line[position:end])
        if end == len(line):
            return fields
        position = end + 1


def _quoted(form: CopyFormat) -> re.Pattern[bytes]:
    """A quoted field. What has been matched is never looked at again: a field may take a gigabyte."""
    quote, escape = re.escape(form.quote), re.escape(form.escape)
    if form.quote == form.escape:
        return re.compile(rb"%b(?:[^%b]++|%b%b)*+%b" % (quote, quote, quote, quote, quote))
    return re.compile(rb"%b(?:[^%b%b]++|%b[%b%b])*+%b" % (quote, quote, escape, escape, quote, escape, quote))


def _unquoted(inner: bytes, form: CopyFormat) -> bytes:
    if form.escape not in inner:
        return inner
    if form.quote == form.escape:
        return inner.replace(form.quote * 2, form.quote)
    return re.sub(re.escape(form.escape) + rb"(.)", lambda found: found[1], inner, flags=re.DOTALL)


def _csv_field(value: bytes, form: CopyFormat, quoted: bool) -> bytes:
    if not quoted and value != form.null and not any(mark in value for mark in (form.delimiter, form.quote, b"\n", b"\r")):
        return value
    value = value.replace(form.escape, form.escape * 2)
    if form.quote != form.escape:
        value = value.replace(form.quote, form.escape + form.quote)
    return form.quote + value + form.quote


# -- binary


def _binary(body: bytes, columns: tuple[int, ...], rewrite: Rewrite) -> bytes:
    begins = 0
    if body.startswith(_BINARY_SIGNATURE):
        begins = 19 + int.from_bytes(body[15:19], "big")  # flags, then the length of what a later version may add
    row = body[begins:]
    if row in (b"", BINARY_END[5:]):
        return body
    # A tuple is written like the body of a DataRow.
    new, _ = rewrite_rows(b"D" + int32(4 + len(row)) + row, 0, 5 + len(row), columns, rewrite)
    return body[:begins] + new[5:]
