"""A client that chooses every message and keeps every byte it gets."""

import os
import socket
import struct

from proxy.wire import frontend, scram
from proxy.wire.backend import ErrorFields


class RawClient:
    """A signed-in session. ``heard`` holds everything that came back since the last ``clear``."""

    def __init__(self, host: str, port: int, user: str, key: str, database: str) -> None:
        self._socket = socket.create_connection((host, port), timeout=15)
        self._buffer = b""
        self.heard = b""
        self._send(frontend.StartupMessage(3 << 16, {"user": user, "database": database}).encode())
        proof = scram.ScramClient(key, os.urandom(18))
        while (message := self._next())[:1] != b"Z":
            code = message[5:9]
            if message[:1] == b"E":
                raise AssertionError(ErrorFields.decode(message[5:]))
            if message[:1] == b"R" and code == struct.pack("!I", 10):
                self._send(frontend.SASLInitialResponse(scram.MECHANISM, proof.first()).encode())
            elif message[:1] == b"R" and code == struct.pack("!I", 11):
                self._send(frontend.SASLResponse(proof.final(message[9:])).encode())
        self.heard = b""

    def query(self, text: str) -> list[bytes]:
        """A simple Query; what came back, message by message."""
        return self.exchange(frontend.Query(text.encode()).encode())

    def batch(self, *messages: bytes) -> list[bytes]:
        """A pipeline and its Sync."""
        return self.exchange(*messages, frontend.SYNC_MESSAGE)

    def exchange(self, *messages: bytes) -> list[bytes]:
        self._send(b"".join(messages))
        found = [self._next()]
        while found[-1][:1] != b"Z":
            if found[-1][:1] == b"G":  # CopyInResponse
                self._send(b"f\0\0\0\x05\0")
            found.append(self._next())
        return found

    def close(self) -> None:
        self._socket.close()

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _next(self) -> bytes:
        self._fill(5)
        length = 1 + int(struct.unpack("!I", self._buffer[1:5])[0])
        self._fill(length)
        message, self._buffer = self._buffer[:length], self._buffer[length:]
        self.heard += message
        return message

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the gateway closed the session")
            self._buffer += data


def sqlstates(messages: list[bytes]) -> list[str]:
    return [ErrorFields.decode(message[5:]).sqlstate for message in messages if message[:1] == b"E"]
