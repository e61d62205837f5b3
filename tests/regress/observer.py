"""Stands between psql and a server, passes everything on as it is, and has each text analysed before the server gets it."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from typing import BinaryIO

from proxy.wire.backend import DataRow, ErrorFields
from proxy.wire.frontend import Query
from tests.regress.analyst import Analyst, Look

_SSL, _GSSENC, _CANCEL = 80877103, 80877104, 80877102
_PATH = b"SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(true))"


class Observer:
    """Listens on ``port``. Sessions of other databases than ``database`` only pass through."""

    def __init__(self, server_port: int, database: str, analyst: Analyst) -> None:
        self.server_port, self.database, self.analyst = server_port, database, analyst
        self.turn = threading.Lock()  # of the analyst
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sessions: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sessions.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._sessions[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.server_port)) as server, contextlib.suppress(OSError, EOFError):
            _Session(self, client, server).run()

    def close(self) -> None:
        """When all clients have gone: what they sent last is analysed then, too."""
        self._listener.close()
        for session in self._sessions:
            session.join(30)


class _Session:
    def __init__(self, observer: Observer, client: socket.socket, server: socket.socket) -> None:
        self.observer, self.client, self.server = observer, client, server
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked, self.answered = client.makefile("rb"), server.makefile("rb")
        self.status = b"I"
        self.watched = False
        self.path: tuple[str, ...] | None = None  # None: a statement may have changed it since it was asked for
        self.parameters: dict[bytes, bytes] = {}

    def run(self) -> None:
        self._start()
        while (message := _message(self.asked))[:1] != b"X":
            look = self._before(message) if message[:1] == b"Q" and self.watched else None
            self.server.sendall(message)
            if message[:1] in b"QSF":
                sqlstate = self._until_ready()
                if look is not None:
                    self._after(look, sqlstate)

    def _start(self) -> None:
        while True:
            head = _exactly(self.asked, 8)
            length, code = struct.unpack("!II", head)
            rest = _exactly(self.asked, length - 8)
            if code not in (_SSL, _GSSENC):
                break
            self.client.sendall(b"N")
        self.server.sendall(head + rest)
        if code == _CANCEL:
            raise EOFError
        words = rest.split(b"\0")
        self.watched = dict(zip(words[::2], words[1::2], strict=False)).get(b"database") == self.observer.database.encode()
        while (answer := self._pass_on())[:1] != b"Z":
            if answer[:1] == b"R" and struct.unpack("!I", answer[5:9])[0] in (3, 5, 10, 11):
                self.server.sendall(_message(self.asked))

    def _before(self, message: bytes) -> Look | None:
        # In a failed transaction nothing runs; what the gateway reads as another text than the server, it refuses beforehand.
        if self.status == b"E" or self.parameters.get(b"standard_conforming_strings") == b"off":
            return None
        try:
            text = message[5:-1].decode()
        except UnicodeDecodeError:
            return None
        # Inside a transaction only where it must be: SET TRANSACTION has to come before any query.
        if self.path is None or self.status == b"I":
            [row] = [answer for answer in self._aside(_PATH) if answer[:1] == b"D"]
            self.path = tuple(json.loads(DataRow.decode(row[5:]).values[0] or b"[]"))
        with self.observer.turn:
            return self.observer.analyst.examine(text, self.path, idle=self.status == b"I")

    def _after(self, look: Look, sqlstate: str) -> None:
        with self.observer.turn:
            self.observer.analyst.conclude(look, sqlstate)
        statements = look.analysis.statements
        if not statements or look.opaque or any(facts.names_change or facts.problem for facts in statements):
            self.path = None
        if look.makes_table:
            return  # it is there now, so that it could not be made again
        if look.kind == "SelectStmt" and not sqlstate and look.analysis.plan.kind == "scan" and self.status == b"I":
            self._aside(b"BEGIN")
            answers = self._aside(b"EXPLAIN " + look.analysis.plan.sql.encode())
            problems = [ErrorFields.decode(answer[5:]) for answer in answers if answer[:1] == b"E"]
            self._aside(b"ROLLBACK")
            if problems:
                with self.observer.turn:
                    self.observer.analyst.broken(look, problems[0].fields["M"].decode())

    def _aside(self, text: bytes) -> list[bytes]:
        """Ask the server something of our own, between two statements of the client."""
        self.server.sendall(Query(text).encode())
        found = [_message(self.answered)]
        while found[-1][:1] != b"Z":
            found.append(_message(self.answered))
        return found

    def _pass_on(self) -> bytes:
        answer = _message(self.answered)
        if answer[:1] == b"S":
            name, value = answer[5:].split(b"\0")[:2]
            self.parameters[name] = value
        self.client.sendall(answer)
        return answer

    def _until_ready(self) -> str:
        """The SQLSTATE of the last error."""
        sqlstate = ""
        while (answer := self._pass_on())[:1] != b"Z":
            if answer[:1] == b"E":
                sqlstate = ErrorFields.decode(answer[5:]).sqlstate
            elif answer[:1] == b"G":
                while (data := _message(self.asked))[:1] == b"d":
                    self.server.sendall(data)
                self.server.sendall(data)
        self.status = answer[5:6]
        return sqlstate


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _message(stream: BinaryIO) -> bytes:
    head = _exactly(stream, 5)
    return head + _exactly(stream, struct.unpack("!I", head[1:])[0] - 4)
