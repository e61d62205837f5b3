"""An honest server for sessions that are fuzzed: it answers whatever it gets as PostgreSQL would (manual, 55.2).

It understands the protocol and, of SQL, the first word: enough that every answer is one that a server could give.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.wire import backend, frontend
from proxy.wire.backend import CommandComplete, DataRow, ParameterDescription, ParameterStatus, ReadyForQuery, ResultColumn, RowDescription
from proxy.wire.codec import MalformedError
from proxy.wire.framing import MESSAGE_LIMIT, FrameReader
from proxy.wire.frontend import Bind, Close, Describe, Execute, Parse, Query
from tests.proxy.session.example import CUSTOMERS
from tests.proxy.session.playbook import PROBE_ROW, error

PARSED, BOUND, CLOSED, NO_DATA, SUSPENDED, EMPTY = (
    b"1\0\0\0\x04",
    b"2\0\0\0\x04",
    b"3\0\0\0\x04",
    b"n\0\0\0\x04",
    b"s\0\0\0\x04",
    b"I\0\0\0\x04",
)
COPY_IN, COPY_OUT, COPY_DONE = b"G\0\0\0\x07\0\0\0", b"H\0\0\0\x07\0\0\0", b"c\0\0\0\x04"
_ROWS = ("select", "values", "show", "fetch", "execute", "table")


class Failure(Exception):
    """The statement fails: SQLSTATE."""


class Gone(Exception):
    """The server has ended the session."""


@dataclass
class Portal:
    sql: str
    formats: tuple[int, ...] = ()
    left: int = 2  # rows


@dataclass
class Server:
    status: bytes = b"I"
    skipping: bool = False
    copying: str = ""  # simple | extended
    gone: bool = False
    statements: dict[bytes, str] = field(default_factory=dict)
    portals: dict[bytes, Portal] = field(default_factory=dict)
    executed: int = 0  # statements that it was asked to run
    _reader: FrameReader = field(default_factory=lambda: FrameReader(MESSAGE_LIMIT))
    _rest: list[str] = field(default_factory=list)  # of a Query, behind a COPY FROM STDIN

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The answers to what was sent, one message at a time."""
        self._reader.feed(data)
        while not self.gone and (kind := self._reader.next()) > 0:
            reader = self._reader
            try:
                yield from self._message(kind, reader.buffer[reader.start + 5 : reader.stop])
            except (Failure, MalformedError) as failure:
                yield from self._failed(
                    str(failure) if isinstance(failure, Failure) else "08P01", simple=kind in (frontend.QUERY, frontend.FUNCTION_CALL)
                )
            except Gone:
                self.gone = True
                yield error("08P01", "terminating connection", "FATAL")
        if self._reader.next() < 0:
            self.gone = True

    def _failed(self, sqlstate: str, *, simple: bool) -> Iterator[bytes]:
        self.status = b"E" if self.status in (b"T", b"E") else b"I"
        simple = simple or self.copying == "simple"
        self.copying = ""
        yield error(sqlstate)
        if simple:
            yield from self._ready()
        else:
            self.skipping = True

    def _ready(self) -> Iterator[bytes]:
        if self.status == b"I":
            self.portals.clear()
        yield ReadyForQuery(self.status).encode()

    def _message(self, kind: int, body: bytes) -> Iterator[bytes]:
        if kind == frontend.TERMINATE:
            self.gone = True
        elif self.copying:
            yield from self._copying(kind)
        elif kind == frontend.SYNC:
            self.skipping = False
            yield from self._ready()
        elif kind not in frontend.NAMES or kind == frontend.PASSWORD:
            raise Gone
        elif not self.skipping:
            yield from self._command(kind, body)

    def _copying(self, kind: int) -> Iterator[bytes]:
        if kind in (frontend.SYNC, frontend.FLUSH, frontend.COPY_DATA):
            return
        if kind == frontend.COPY_FAIL:
            raise Failure("57014")
        if kind != frontend.COPY_DONE:
            yield from self._failed("08P01", simple=self.copying == "simple")
            raise Gone
        simple, self.copying = self.copying == "simple", ""
        yield CommandComplete("COPY 3").encode()
        if simple:
            yield from self._texts(self._rest)

    def _command(self, kind: int, body: bytes) -> Iterator[bytes]:
        if kind == frontend.QUERY:
            self.executed += 1
            self.statements.pop(b"", None)
            yield from self._texts([text.strip() for text in Query.decode(body).sql.decode("utf-8", "replace").split(";")])
        elif kind == frontend.PARSE:
            parse = Parse.decode(body)
            sql = parse.sql.decode("utf-8", "replace")
            self._check(sql)
            if parse.name and parse.name in self.statements:
                raise Failure("42P05")
            self.statements[parse.name] = sql
            yield PARSED
        elif kind == frontend.BIND:
            yield self._bind(Bind.decode(body))
        elif kind == frontend.DESCRIBE:
            yield from self._describe(Describe.decode(body))
        elif kind == frontend.EXECUTE:
            yield from self._execute(Execute.decode(body))
        elif kind == frontend.CLOSE:
            close = Close.decode(body)
            (self.statements if close.kind == b"S" else self.portals).pop(close.name, None)  # type: ignore[attr-defined]
            yield CLOSED
        elif kind == frontend.FUNCTION_CALL:
            self.executed += 1
            self._check("function")
            yield b"V\0\0\0\x08\0\0\0\0"
            yield from self._ready()

    def _texts(self, texts: list[str]) -> Iterator[bytes]:
        if not any(texts):
            yield EMPTY
        for number, sql in enumerate(texts):
            if not sql:
                continue
            self._check(sql)
            if _word(sql) == "copy" and "stdin" in sql.lower():
                self.copying, self._rest = "simple", [text for text in texts[number + 1 :] if text] or ["set x"]
                yield COPY_IN
                return
            if _word(sql) in _ROWS:
                yield _columns(sql).encode()
                yield from (_row(sql) for _ in range(2))
            yield from self._run(sql)
        yield from self._ready()

    def _bind(self, bind: Bind) -> bytes:
        if bind.statement not in self.statements:
            raise Failure("26000")
        if bind.portal and bind.portal in self.portals:
            raise Failure("42P03")
        sql = self.statements[bind.statement]
        self._check(sql)
        self.portals[bind.portal] = Portal(sql, bind.result_formats)
        return BOUND

    def _describe(self, describe: Describe) -> Iterator[bytes]:
        if describe.kind == b"S":
            if describe.name not in self.statements:
                raise Failure("26000")
            sql = self.statements[describe.name]
            yield ParameterDescription((25,) * sql.count("$")).encode()
        else:
            if describe.name not in self.portals:
                raise Failure("34000")
            sql = self.portals[describe.name].sql
        yield _columns(sql).encode() if _word(sql) in _ROWS else NO_DATA

    def _execute(self, execute: Execute) -> Iterator[bytes]:
        if execute.portal not in self.portals:
            raise Failure("34000")
        portal = self.portals[execute.portal]
        if not portal.sql.startswith("SELECT pg_catalog.array_to_json"):
            self.executed += 1
        self._check(portal.sql)
        if not portal.sql:
            yield EMPTY
        elif _word(portal.sql) in _ROWS:
            count = min(portal.left, execute.limit) if execute.limit > 0 else portal.left
            portal.left -= count
            yield from (_row(portal.sql) for _ in range(count))
            yield SUSPENDED if execute.limit > 0 and count == execute.limit else CommandComplete(f"SELECT {count}").encode()
        elif _word(portal.sql) == "copy" and "stdin" in portal.sql.lower():
            self.copying = "extended"
            yield COPY_IN
        else:
            yield from self._run(portal.sql)

    def _check(self, sql: str) -> None:
        """Raises Failure where the statement fails before anything comes of it."""
        if "fail" in sql:
            raise Failure("22012")
        if self.status == b"E" and _word(sql) not in ("rollback", "commit"):
            raise Failure("25P02")

    def _run(self, sql: str) -> Iterator[bytes]:
        word = _word(sql)
        if word in ("begin", "commit", "rollback"):
            self.status = b"T" if word == "begin" else b"I"
        elif word == "copy":
            yield from (COPY_OUT, b"d\0\0\0\x061\n" * 2, COPY_DONE)
        elif word == "notify":
            yield backend.NotificationResponse(7, b"news", b"123-45-6789").encode()
        elif word == "set":
            yield from (ParameterStatus("application_name", "other").encode(), error("01000", "careful", "WARNING").replace(b"E", b"N", 1))
        yield CommandComplete(f"{word.upper()} 2" if word in _ROWS else word.upper() or "SET").encode()


def _word(sql: str) -> str:
    return sql.split(None, 1)[0].lower() if sql.strip() else ""


def _columns(sql: str) -> RowDescription:
    if sql.startswith("SELECT pg_catalog.array_to_json"):
        return RowDescription((ResultColumn(b"array_to_json", 0, 0, 114, -1, -1, 0), ResultColumn(b"current_user", 0, 0, 19, 64, -1, 0)))
    if "customers" in sql:
        return RowDescription(tuple(ResultColumn(name, CUSTOMERS, n, 25, -1, -1, 0) for n, name in enumerate((b"id", b"name", b"ssn"), 1)))
    return RowDescription((ResultColumn(b"one", 0, 0, 23, 4, -1, 0),))


def _row(sql: str) -> bytes:
    if sql.startswith("SELECT pg_catalog.array_to_json"):
        return PROBE_ROW.encode()
    return DataRow((b"7", None, b"123-45-6789") if "customers" in sql else (b"1",)).encode()
