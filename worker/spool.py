"""The audit spool on disk: a directory per boot, segment files in it, and a lock that tells the living from the dead.

::

    spool/<boot uuid>/lock                  flock held while the boot's process lives, then by whoever ships the rest
    spool/<boot uuid>/000000000001.seg      named after the sequence number of its first entry

A segment is a row of frames: length (4 bytes, little endian), CRC-32 of the payload (4 bytes), payload. Sequence
numbers have no gaps, so an entry's number is the segment's first plus its place. A payload is one element of the
``entries`` list of docs/contracts.md §5, ready to be sent.

Crash windows: killed between two writes, nothing is lost. Killed inside a write, the last frame is torn: its statement
was never forwarded (the write comes first), and :meth:`Boot.adopt` cuts it off. Killed between acknowledgement and
deletion, the entries are sent again and acknowledged again. Appended frames survive the death of the process at once
and that of the machine after :meth:`Boot.sync`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct("<II")
SEGMENT_BYTES = 4 << 20
LARGEST_FRAME = 256 << 20  # a length beyond this is damage, not an entry


class SpoolError(Exception):
    """The spool cannot take (or give back) entries; one line without their content."""


class SpoolFull(SpoolError):
    """The agreed size is used up: the control plane has not acknowledged for too long."""


@dataclass(slots=True)
class Segment:
    path: Path
    first: int  # sequence number of its first entry
    count: int = 0
    size: int = 0  # bytes of whole frames; what lies behind is the rest of a failed write

    @property
    def last(self) -> int:
        return self.first + self.count - 1


def frame(payload: bytes) -> bytes:
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def frames(data: bytes | memoryview) -> Iterator[bytes]:
    """Payloads of the whole, undamaged frames at the start of ``data``; stops at the first that is neither."""
    view, at = memoryview(data), 0
    while at + _HEAD.size <= len(view):
        length, checksum = _HEAD.unpack_from(view, at)
        payload = view[at + _HEAD.size : at + _HEAD.size + length]
        if not 0 < length <= LARGEST_FRAME or len(payload) != length or zlib.crc32(payload) != checksum:
            return
        yield bytes(payload)
        at += _HEAD.size + length


class Boot:
    """One boot's directory, locked by this process: appended to by its owner, read and emptied by the shipper."""

    def __init__(self, path: Path, lock: int, segments: list[Segment], damage: str = "") -> None:
        self.path, self.name = path, path.name
        self.segments = segments
        self.damage = damage  # why the entries after ``last`` cannot be read; such a boot is never deleted
        self.acknowledged = segments[0].first - 1 if segments else 0
        self._lock = lock
        self._file = -1
        self._dirty = False  # the open segment may hold the rest of a failed write
        self._cursor = (0, 0, 0)  # sequence number read last, first number of its segment, offset behind it

    # -- life -----------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, root: Path, boot: str) -> Boot:
        """A new boot's directory. Raises: OSError."""
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = root / f".{boot}.{uuid.uuid4().hex}"
        temporary.mkdir(mode=0o700)
        lock = os.open(temporary / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Renamed only now: nobody can find a boot that is alive and not yet locked.
        temporary.rename(root / boot)
        return cls(root / boot, lock, [])

    @classmethod
    def adopt(cls, path: Path) -> Boot | None:
        """A dead boot's directory with its torn tail cut off, or None while its process lives. Raises: OSError."""
        try:
            lock = os.open(path / "lock", os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have shipped and removed it between the open and the lock.
            if os.stat(path / "lock").st_ino != os.fstat(lock).st_ino:
                raise FileNotFoundError
        except (BlockingIOError, FileNotFoundError):
            os.close(lock)
            return None
        segments, damage = _recover(path)
        return cls(path, lock, segments, damage)

    def close(self) -> None:
        """Give up the lock; what is left in the directory is for the next process."""
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    def destroy(self) -> None:
        """Remove the directory once everything in it is acknowledged. Raises: SpoolError before that."""
        if self.waiting or self.damage:
            raise SpoolError(f"boot {self.name} still holds entries that were not acknowledged")
        shutil.rmtree(self.path)
        self.close()

    # -- numbers --------------------------------------------------------------------------------------------------

    @property
    def last(self) -> int:
        """Sequence number of the last durable entry; 0 where there is none."""
        return self.segments[-1].last if self.segments else 0

    @property
    def size(self) -> int:
        """Bytes of the segments that hold anything unacknowledged; an open one beyond that is at most one segment more."""
        return sum(segment.size for segment in self.segments if segment.last > self.acknowledged)

    @property
    def waiting(self) -> int:
        """Entries that the control plane has not acknowledged."""
        return self.last - self.acknowledged if self.segments else 0

    # -- writing --------------------------------------------------------------------------------------------------

    def append(self, payloads: Sequence[bytes]) -> None:
        """Make all of ``payloads`` survive this process, or none of them. Raises: SpoolError."""
        data = b"".join(map(frame, payloads))
        try:
            segment = self._open_segment()
            self._clean(segment)
            self._dirty = True
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(f"wrote {written} of {len(data)} bytes")
        except OSError as error:
            raise SpoolError(f"the audit spool cannot be written: {error.strerror or error}") from error
        self._dirty = False
        segment.size += len(data)
        segment.count += len(payloads)

    def sync(self) -> None:
        """Make what was appended survive the machine too; blocks (for a thread). Raises: OSError."""
        if self._file >= 0:
            os.fdatasync(self._file)

    def _open_segment(self) -> Segment:
        if self._file >= 0 and self.segments[-1].size < SEGMENT_BYTES:
            return self.segments[-1]
        first = self.last + 1
        path = self.path / f"{first:012d}.seg"
        # An empty segment of the same name is left where its first write failed: it is used again.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if self._file >= 0:
            os.fdatasync(self._file)
            os.close(self._file)
        self._file = descriptor
        self.segments.append(Segment(path, first))
        return self.segments[-1]

    def _clean(self, segment: Segment) -> None:
        """A failed write may have left half a frame: nothing may be appended behind that."""
        if self._dirty:
            os.ftruncate(self._file, segment.size)

    # -- shipping -------------------------------------------------------------------------------------------------

    def read(self, after: int, entries: int, size: int) -> list[bytes]:
        """Up to ``entries`` payloads behind sequence number ``after``, of about ``size`` bytes. Raises: SpoolError."""
        for segment in self.segments:
            if segment.first <= after + 1 <= segment.last:
                return self._read(segment, after, entries, size)
        return []

    def _read(self, segment: Segment, after: int, entries: int, size: int) -> list[bytes]:
        known, first, offset = self._cursor
        if known != after or first != segment.first:
            skip, offset = after + 1 - segment.first, 0
        else:
            skip = 0
        with segment.path.open("rb") as file:
            file.seek(offset)
            data = file.read(segment.size - offset)
        result: list[bytes] = []
        for payload in frames(data):
            offset += _HEAD.size + len(payload)
            if skip:
                skip -= 1
                continue
            result.append(payload)
            size -= len(payload)
            if len(result) == entries or size <= 0:
                break
        if not result:
            raise SpoolError(f"entry {after + 1} of boot {self.name} is damaged on disk")
        self._cursor = (after + len(result), segment.first, offset)
        return result

    def acknowledge(self, upto: int) -> None:
        """Entries up to ``upto`` are committed elsewhere: delete the segments that hold nothing else."""
        self.acknowledged = max(self.acknowledged, min(upto, self.last))
        while len(self.segments) > 1 and self.segments[0].last <= self.acknowledged:
            self.segments.pop(0).path.unlink(missing_ok=True)

    def rewind(self, expected: int) -> bool:
        """The control plane wants ``expected`` next: go back to it. False where that entry is not here."""
        if not self.segments or not self.segments[0].first <= expected <= self.acknowledged + 1:
            return False
        self.acknowledged = expected - 1
        return True


def boots(root: Path) -> list[Path]:
    """Every boot's directory under ``root``, dead or alive, oldest first."""
    try:
        found = [path for path in root.iterdir() if not path.name.startswith(".") and path.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: path.stat().st_mtime)


def _recover(path: Path) -> tuple[list[Segment], str]:
    """The readable segments of a dead boot, and why reading stops there if more should follow."""
    segments: list[Segment] = []
    files = sorted(path.glob("*.seg"))
    for number, file in enumerate(files):
        segment = Segment(file, int(file.stem))
        if segments and segment.first != segments[-1].last + 1:
            return segments, f"{file.name} does not follow entry {segments[-1].last}"
        data = file.read_bytes()
        for payload in frames(data):
            segment.count += 1
            segment.size += _HEAD.size + len(payload)
        segments.append(segment)
        if segment.size == len(data):
            continue
        if number != len(files) - 1 or not _torn(data[segment.size :]):
            return segments, f"{file.name} is damaged behind entry {segment.last}"
        os.truncate(file, segment.size)
    return segments, ""


def _torn(rest: bytes) -> bool:
    """Whether ``rest`` is one frame cut short, as a kill leaves it; a whole frame with a wrong checksum is damage."""
    if len(rest) < _HEAD.size or not any(rest):
        return True  # a machine that lost power may leave zeros where the file had grown already
    length, _ = _HEAD.unpack_from(rest)
    return bool(length <= LARGEST_FRAME and len(rest) < _HEAD.size + length)
