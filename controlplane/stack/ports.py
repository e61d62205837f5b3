"""Loopback TCP ports for embedded engines."""

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nothing listens on at this moment; the kernel does not hand the same one out again soon."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def choose_port(asked: int, last: int) -> int:
    """The port asked for, else the one of the last start if it is free, else a free one.

    Raises OSError when the port asked for is taken: the worker shares its port with whoever asks (SO_REUSEPORT), so
    without this look two stacks would get each other's sessions.
    """
    if asked:
        if not _is_free(asked):
            raise OSError(f"port {asked} on {LOOPBACK} is already in use")
        return asked
    return last if last and _is_free(last) else free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: connections that just ended do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
