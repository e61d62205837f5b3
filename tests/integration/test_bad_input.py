"""Malformed and hostile input gets a clear answer, no secret reaches a log, and other sessions are undisturbed."""

import contextlib
import socket
import struct
from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.harness import Agent, Stack, eventually
from tests.integration.world import KEYS

PROTOCOL_3_0 = struct.pack("!I", 196608)


@contextlib.contextmanager
def raw(stack: Stack) -> Iterator[socket.socket]:
    with socket.create_connection((stack.ready["proxy_host"], stack.ready["proxy_port"]), timeout=10) as peer:
        yield peer


def all_of(peer: socket.socket) -> bytes:
    """What comes until the other side closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := peer.recv(65536):
            received += piece
    return received


def startup(**parameters: str) -> bytes:
    body = PROTOCOL_3_0 + b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="http"),
        pytest.param(b"\x00" * 64, id="zeros"),
        pytest.param(b"\xff" * 64, id="ones"),
        pytest.param(struct.pack("!I", 3), id="length below its own size"),
        pytest.param(struct.pack("!I", 2**31 - 1) + PROTOCOL_3_0, id="oversized startup packet"),
        pytest.param(struct.pack("!II", 8, 2 << 16), id="protocol 2"),
        pytest.param(struct.pack("!I", 12) + PROTOCOL_3_0 + b"user", id="unterminated"),
        pytest.param(startup(), id="no user"),
        pytest.param(startup(user="reader\x01", database="crm15"), id="control character"),
    ],
)
def test_a_malformed_start_is_refused_and_closed(stack: Stack, sent: bytes) -> None:
    with raw(stack) as peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        answer = all_of(peer)
    assert answer == b"" or answer[:1] in (b"E", b"N", b"v", b"R"), answer


def test_others_are_undisturbed_by_garbage_in_an_open_session(stack: Stack, reader: Agent) -> None:
    with reader.connect() as witness, reader.connect(sslmode="disable") as victim:
        peer = socket.socket(fileno=victim.fileno())
        peer.sendall(b"\x00\xff\xff\xff\xff garbage")
        with pytest.raises(psycopg.Error):
            victim.execute("SELECT 1")
        peer.detach()
        assert witness.execute("SELECT 1").fetchone() == (1,)


def test_an_oversized_message_ends_the_session_with_a_reason(stack: Stack, free: Agent) -> None:
    with free.connect(sslmode="disable") as connection:
        peer = socket.socket(fileno=connection.fileno())
        peer.sendall(b"Q" + struct.pack("!i", 2**31 - 1))
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT 1")
        peer.detach()
    assert free.rows("SELECT 1") == [(1,)]


def refused(agent: Agent, **options: str) -> psycopg.OperationalError:
    with pytest.raises(psycopg.OperationalError) as caught:
        agent.connect(**options)
    return caught.value


def test_a_wrong_key_a_wrong_user_and_a_wrong_connection(stack: Stack, reader: Agent) -> None:
    """28P01/28000 and 3D000 as a server would say; the same words for a user who does not exist as for a wrong key."""
    wrong_key = str(refused(reader, password="tgk_wrong_0123456789abcdef0123456789abcdef"))
    wrong_user = str(refused(reader, user="nobody-here"))
    assert "reader" in wrong_key or "authentication" in wrong_key
    assert wrong_key.rsplit("FATAL", 1)[1].replace("reader", "X") == wrong_user.rsplit("FATAL", 1)[1].replace("nobody-here", "X")
    assert "no-such-connection" in str(refused(reader, dbname="no-such-connection"))


def test_refused_sign_ins_are_in_the_audit_and_no_key_is_in_any_log(stack: Stack, reader: Agent) -> None:
    guess = "tgk_guess_0123456789abcdef0123456789abcdef"
    refused(reader, password=guess, application_name="guesser")
    eventually(lambda: stack.entries("session.refused"), "the refusal is recorded")
    for name in ("worker", "web", "celery"):
        text = stack.log(name)
        assert guess not in text
        assert not [key for key in KEYS.values() if key in text]
        assert stack.environment["TARGET_PASSWORD"] not in text


def test_a_policy_file_with_a_typo_changes_nothing(stack: Stack) -> None:
    typo = stack.directory / "typo.yaml"
    typo.write_text(stack.policy_file.read_text().replace("grants:", "grans:"))
    before = stack.sql("SELECT max(serial) FROM controlplane_bundleversion")
    result = stack.manage("apply", "-f", str(typo), check=False)
    assert result.returncode != 0
    assert "grants" in result.stderr + result.stdout, "the nearest known name is given"
    assert "typo.yaml" in result.stderr + result.stdout
    assert stack.sql("SELECT max(serial) FROM controlplane_bundleversion") == before


def test_applying_the_same_policy_again_changes_nothing(stack: Stack) -> None:
    before = stack.sql("SELECT max(serial) FROM controlplane_bundleversion")
    stack.manage("apply", "-f", str(stack.policy_file))
    assert stack.sql("SELECT max(serial) FROM controlplane_bundleversion") == before
