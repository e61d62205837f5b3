# cython: language_level=3, annotation_typing=False
"""One pass over the bytes that arrive: where does each message begin and end?

A :class:`FrameReader` owns what one peer has sent and nobody has handled yet. ``next()`` answers with the type byte of
the next complete message, whose bytes are ``buffer[start:stop]``; "no complete message yet" is the ordinary answer
``INCOMPLETE``, not an exception. ``run()`` widens ``start:stop`` over the messages of the same type that follow, so that
a thousand DataRows are forwarded as one slice without an object for each. A message that is passed on unseen need not be
complete: ``stream()`` hands out what is there, and the next answers are ``CONTINUED`` until it has gone through.

This file is ordinary Python that is also compiled in place (``framing.pxd`` gives the types); both behave the same.
Source: manual, 55.1 and 55.7.
"""

from __future__ import annotations

INCOMPLETE = 0
TOO_LARGE = -1
MALFORMED = -2
CONTINUED = 1  # no message has this type: more bytes of the message that is being streamed

STARTUP_LIMIT = 10_000  # PostgreSQL's own bound for anything that is sent before authentication
MESSAGE_LIMIT = 0x3FFFFFFF  # PostgreSQL's own bound (1 GB) afterwards


class FrameReader:
    """The receive buffer of one peer. ``limit`` bounds the length field of a message, in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.buffer = b""
        self.start = 0
        self.stop = 0
        self.remaining = 0  # bytes still to come of the message that is being streamed
        self._chunks: list[bytes] = []  # received, not yet joined to the buffer
        self._queued = 0  # their length

    def feed(self, data: bytes) -> None:
        """Take what was received. Nothing is copied before a message needs it."""
        self._chunks.append(data)
        self._queued += len(data)

    def waiting(self) -> int:
        """How many received bytes have not been handed out."""
        return len(self.buffer) - self.stop + self._queued

    def next(self) -> int:
        """The type of the next message (its bytes: ``buffer[start:stop]``), or one of the constants above."""
        if self.remaining:
            return self._continue()
        if not self._gather(5):
            return INCOMPLETE
        length = self._length(self.stop + 1)
        if length < 4 or self.buffer[self.stop] <= CONTINUED:
            return MALFORMED  # no message has the types 0 and 1, which would be taken for answers of this function
        if length > self.limit:
            return TOO_LARGE
        if not self._gather(length + 1):
            return INCOMPLETE
        self.start = self.stop
        self.stop += length + 1
        return self.buffer[self.start]

    def next_startup(self) -> int:
        """As ``next`` for the messages that have no type byte; ``CONTINUED`` stands for "here it is"."""
        if not self._gather(4):
            return INCOMPLETE
        length = self._length(self.stop)
        if length < 8:
            return MALFORMED
        if length > self.limit:
            return TOO_LARGE
        if not self._gather(length):
            return INCOMPLETE
        self.start = self.stop
        self.stop += length
        return CONTINUED

    def run(self) -> int:
        """Widen ``start:stop`` over the complete messages of the same type that follow; how many there are now."""
        buffer = self.buffer
        kind = buffer[self.start]
        end = len(buffer)
        position = self.stop
        count = 1
        while position + 5 <= end and buffer[position] == kind:
            high = buffer[position + 1]  # a variable of its own: wide enough for the shift when compiled
            length = (high << 24) | (buffer[position + 2] << 16) | (buffer[position + 3] << 8) | buffer[position + 4]
            if length < 4 or length > self.limit or position + 1 + length > end:
                break  # next() says what is wrong with it
            position += length + 1
            count += 1
        self.stop = position
        return count

    def peek(self) -> int:
        """The type of a message that is not complete yet but whose length is known and in order; else ``INCOMPLETE``."""
        if self.remaining or not self._gather(5):
            return INCOMPLETE
        length = self._length(self.stop + 1)
        if length < 4 or length > self.limit:
            return INCOMPLETE
        return self.buffer[self.stop]

    def size(self) -> int:
        """How long the next message is or will be, in bytes; 0 while that is not known."""
        return self._length(self.stop + 1) + 1 if not self.remaining and self._gather(5) else 0

    def beginning(self) -> bytes:
        """What is there of the body of the incomplete message that ``peek`` spoke of."""
        self._gather(len(self.buffer) - self.stop + self._queued)
        return self.buffer[self.stop + 5 :]

    def stream(self) -> None:
        """Hand out, as ``buffer[start:stop]``, what is there of the incomplete message that ``peek`` spoke of."""
        self.remaining = self._length(self.stop + 1) + 1
        self._continue()

    def _continue(self) -> int:
        self._gather(len(self.buffer) - self.stop + self._queued)
        available = len(self.buffer) - self.stop
        if available == 0:
            return INCOMPLETE
        if available > self.remaining:
            available = self.remaining
        self.start = self.stop
        self.stop += available
        self.remaining -= available
        return CONTINUED

    def _gather(self, needed: int) -> bool:
        """See that ``needed`` bytes follow ``stop`` in the buffer; ``False`` if so many have not arrived."""
        held = len(self.buffer) - self.stop
        if held >= needed and held > 0:
            return True
        if held + self._queued < needed or self._queued == 0:
            return False
        if held:
            self._chunks.insert(0, self.buffer[self.stop :])
        self.buffer = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._queued = 0
        self.start = 0
        self.stop = 0
        return True

    def _length(self, position: int) -> int:
        buffer = self.buffer
        high = buffer[position]
        return (high << 24) | (buffer[position + 1] << 16) | (buffer[position + 2] << 8) | buffer[position + 3]
