"""The embedded broker keeps what it acknowledged, and asks for its password."""

import os
import signal
from pathlib import Path

import pytest
import redis

from controlplane.stack.valkey import Valkey


@pytest.fixture
def broker(tmp_path: Path):
    made = Valkey(tmp_path / 'a "broker" of\\ours', password="a-password")
    made.start()
    yield made
    made.stop()


def test_a_killed_broker_loses_nothing_that_it_acknowledged(broker: Valkey) -> None:
    with redis.Redis.from_url(broker.url()) as client:
        client.lpush("queue", *(f"task {n}" for n in range(50)))
        server = client.info("server")["process_id"]
    os.kill(server, signal.SIGKILL)
    broker.process.wait_ended()
    broker.start()
    with redis.Redis.from_url(broker.url()) as client:
        assert client.llen("queue") == 50


def test_no_password_no_answer(broker: Valkey) -> None:
    with redis.Redis(port=broker.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_the_password_is_not_on_the_command_line(broker: Valkey) -> None:
    with redis.Redis.from_url(broker.url()) as client:
        pid = client.info("server")["process_id"]
    assert b"a-password" not in Path(f"/proc/{pid}/cmdline").read_bytes()
