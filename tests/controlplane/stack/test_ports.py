"""Which port is taken: the one asked for or none, the last one if it is free, else any free one."""

import socket

import pytest

from controlplane.stack.ports import LOOPBACK, choose_port, free_port


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as the worker listens
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_asked_for_must_be_free(taken: int) -> None:
    with pytest.raises(OSError, match=f"port {taken}"):
        choose_port(taken, 0)
    free = free_port()
    assert choose_port(free, taken) == free


def test_the_last_port_is_taken_again_only_if_free(taken: int) -> None:
    last = free_port()
    assert choose_port(0, last) == last
    assert choose_port(0, taken) not in (0, taken)
