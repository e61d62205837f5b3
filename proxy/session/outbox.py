"""Collects the effects of one event, so that each peer gets one buffer and every record comes before what it vouches for."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.effects import Effect, Record, SendToClient, SendToServer


class Stream:
    """Bytes for one peer. Neighbouring slices of one buffer become one slice, a whole buffer is passed on as it is."""

    __slots__ = ("_buffer", "_parts", "_start", "_stop")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._buffer = b""
        self._start = 0
        self._stop = 0

    def add(self, data: bytes) -> None:
        if self._stop:
            self._close()
        self._parts.append(data)

    def slice(self, buffer: bytes, start: int, stop: int) -> None:
        """``buffer[start:stop]``."""
        if buffer is self._buffer and start == self._stop:
            self._stop = stop
            return
        self._close()
        self._buffer, self._start, self._stop = buffer, start, stop

    def take(self) -> bytes:
        self._close()
        parts = self._parts
        if not parts:
            return b""
        self._parts = []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _close(self) -> None:
        if self._stop > self._start:
            whole = self._start == 0 and self._stop == len(self._buffer)
            self._parts.append(self._buffer if whole else self._buffer[self._start : self._stop])
        self._buffer, self._start, self._stop = b"", 0, 0


class Outbox:
    """Effects in the order in which the worker must perform them.

    Records move to the front: what is in one list happens "at once" for the session, and a statement must be durably
    recorded before its bytes leave. Any other effect keeps its place after the bytes that were sent before it.
    """

    def __init__(self) -> None:
        self.client = Stream()
        self.server = Stream()
        self._records: list[Effect] = []
        self._effects: list[Effect] = []

    def record(self, kind: str, fields: Mapping[str, object]) -> None:
        self._records.append(Record(kind, fields))

    def add(self, effect: Effect) -> None:
        self._flush()
        self._effects.append(effect)

    def take(self) -> list[Effect]:
        self._flush()
        effects = self._records + self._effects
        self._records, self._effects = [], []
        return effects

    def forget_server(self) -> None:
        """Drop what has not left for the server: the session is in doubt and ends."""
        self.server.take()
        self._effects = [effect for effect in self._effects if not isinstance(effect, SendToServer)]

    def forget_records(self) -> None:
        """Records cannot be kept any more: the goodbye must not wait behind one."""
        self._records.clear()

    def _flush(self) -> None:
        if data := self.server.take():
            self._effects.append(SendToServer(data))
        if data := self.client.take():
            self._effects.append(SendToClient(data))
