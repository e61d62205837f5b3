# cython: language_level=3, annotation_typing=False
"""Rewriting cells of DataRow messages (manual, 55.7) without an object per row or per column.

Compiled together with :mod:`proxy.wire.framing`; ``rows.pxd`` gives the types.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.wire.codec import MalformedError, int32

Rewrite = Callable[[int, bytes], "bytes | None"]


def rewrite_rows(buffer: bytes, start: int, stop: int, columns: tuple[int, ...], rewrite: Rewrite) -> tuple[bytes, int]:
    """The complete DataRow messages ``buffer[start:stop]`` with the cells of ``columns`` replaced, and how many were.

    ``columns`` are column numbers from 0 in ascending order; ``rewrite(k, value)`` gives the new value of the cell in
    ``columns[k]`` (``None``: NULL). Cells that are NULL stay NULL.

    Raises:
        MalformedError: a row is not what its lengths say, or has fewer columns than are to be replaced.
    """
    parts: list[bytes] = []
    rewritten = 0
    position = start
    while position < stop:
        end = position + 1 + _length(buffer, position + 1, stop)
        if end > stop or position + 7 > end:
            raise MalformedError("DataRow is too short")
        rewritten += _rewrite_row(buffer, position + 5, end, columns, rewrite, parts)
        position = end
    return b"".join(parts), rewritten


def _rewrite_row(buffer: bytes, start: int, end: int, columns: tuple[int, ...], rewrite: Rewrite, parts: list[bytes]) -> int:
    """Append to ``parts`` what the row becomes: joined but once, since a row may take a gigabyte."""
    count = (buffer[start] << 8) | buffer[start + 1]
    wanted = len(columns)
    if wanted and columns[wanted - 1] >= count:
        raise MalformedError("DataRow has fewer columns than RowDescription said")
    head = len(parts)
    parts.append(b"D")
    length = 4 + end - start
    copied = start  # everything before this is in parts
    position = start + 2
    column = 0
    changed = 0
    for k in range(wanted):
        while column < columns[k]:
            position = _skip(buffer, position, end)
            column += 1
        after = _skip(buffer, position, end)
        if buffer[position] < 0x80:  # a negative length is NULL
            parts.append(buffer[copied:position])
            new = rewrite(k, buffer[position + 4 : after])
            cell = b"\xff\xff\xff\xff" if new is None else int32(len(new)) + new
            parts.append(cell)
            length += len(cell) - (after - position)
            copied = after
            changed += 1
        position = after
        column += 1
    parts.append(buffer[copied:end])
    parts[head] = b"D" + int32(length)
    return changed


def _skip(buffer: bytes, position: int, end: int) -> int:
    """The position after the value that begins at ``position`` with its length."""
    if position + 4 > end:
        raise MalformedError("DataRow is too short")
    if buffer[position] >= 0x80:
        return position + 4
    after = position + 4 + _length(buffer, position, end)
    if after > end:
        raise MalformedError("DataRow is too short")
    return after


def _length(buffer: bytes, position: int, end: int) -> int:
    if position + 4 > end:
        raise MalformedError("DataRow is too short")
    high = buffer[position]
    return (high << 24) | (buffer[position + 1] << 16) | (buffer[position + 2] << 8) | buffer[position + 3]
