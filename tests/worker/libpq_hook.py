"""libpq 18 itself, as psycopg brings it, with a hook that gives it a token: `python -m tests.worker.libpq_hook DSN TOKEN`.

A process of its own, since the hook is global. Prints what libpq asked the hook for, and how the connection went.
"""

import ctypes
import sys
from pathlib import Path

import psycopg

_BEARER_TOKEN = 1  # PQAUTHDATA_OAUTH_BEARER_TOKEN (manual, 32.20)


class Request(ctypes.Structure):
    """PGoauthBearerRequest."""

    _fields_ = [
        ("discovery", ctypes.c_char_p), ("scope", ctypes.c_char_p), ("step", ctypes.c_void_p), ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_char_p), ("user", ctypes.c_void_p),
    ]  # fmt: skip


def loaded() -> ctypes.CDLL:
    """The libpq that psycopg runs on."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    libpq = ctypes.CDLL(next(line.split()[-1] for line in maps if "libpq" in line))
    for name, result, arguments in (
        ("PQconnectdb", ctypes.c_void_p, [ctypes.c_char_p]), ("PQstatus", ctypes.c_int, [ctypes.c_void_p]),
        ("PQerrorMessage", ctypes.c_char_p, [ctypes.c_void_p]), ("PQexec", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
        ("PQgetvalue", ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]), ("PQfinish", None, [ctypes.c_void_p]),
    ):  # fmt: skip
        getattr(libpq, name).restype, getattr(libpq, name).argtypes = result, arguments
    return libpq


def main(dsn: str, token: str) -> None:
    libpq, kept = loaded(), ctypes.c_char_p(token.encode())

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    def hook(kind: int, connection: int, data: int) -> int:
        if kind != _BEARER_TOKEN:
            return 0
        request = ctypes.cast(data, ctypes.POINTER(Request)).contents
        print("asked", request.discovery.decode(), (request.scope or b"").decode())
        request.token = kept
        return 1

    libpq.PQsetAuthDataHook(hook)
    connection = libpq.PQconnectdb(dsn.encode())
    if libpq.PQstatus(connection):
        print("refused", libpq.PQerrorMessage(connection).decode())
    else:
        print("answered", libpq.PQgetvalue(libpq.PQexec(connection, b"SELECT 42"), 0, 0).decode())
    libpq.PQfinish(connection)


if __name__ == "__main__":
    assert psycopg.pq.version() >= 180000
    main(sys.argv[1], sys.argv[2])
