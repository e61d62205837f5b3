"""Under a policy that allows everything a client cannot tell the gateway from the server: random conversations, byte for byte.

Each conversation is a random sequence of protocol messages, sent at once, to a session of the server's own and to one
through a real worker. Everything that comes back is compared, but for numbers that no two sessions share (process ids,
``pg_temp_3``, oids of temporary tables). Run more of them with ``TIDEGATE_CONVERSATIONS=20000``; a failure names its seed.
"""

import os
import random
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from proxy.sql.catalog import FIRST_USER_OID
from proxy.wire import frontend, scram
from proxy.wire.backend import RowDescription
from proxy.wire.codec import message
from proxy.wire.frontend import Bind, Close, Describe, Execute, Parse, Query
from tests.conftest import Target
from tests.worker.control_plane import ControlPlane
from tests.worker.gateway import KEY, Gateway, bundle, secrets

CONVERSATIONS = int(os.environ.get("TIDEGATE_CONVERSATIONS", "150"))
BASE = int(os.environ.get("TIDEGATE_SEED", "0"))
SETUP = "CREATE TEMP TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT n, 'b' || n FROM generate_series(1, 5) n"
STATEMENTS = [
    b"SELECT a, b FROM t ORDER BY a", b"SELECT 1", b"", b"SELECT $1::int + 1", b"SELECT $1::text, $2::int", b"BEGIN", b"COMMIT",
    b"ROLLBACK", b"SAVEPOINT s", b"ROLLBACK TO s", b"RELEASE s", b"SELECT 1/0", b"nonsense", b"SELECT * FROM missing",
    b"INSERT INTO t VALUES (1, 'twice')", b"INSERT INTO t SELECT max(a) + 1, 'new' FROM t RETURNING a, b",
    b"UPDATE t SET b = b || 'x' WHERE a < 3", b"DELETE FROM t WHERE a = $1", b"COPY t TO STDOUT", b"COPY t FROM STDIN",
    b"COPY t (b) TO STDOUT (FORMAT binary)", b"COPY (SELECT a FROM t) TO STDOUT (FORMAT csv, HEADER)",
    b"DECLARE c CURSOR FOR SELECT a FROM t ORDER BY a", b"FETCH 2 FROM c", b"MOVE 1 IN c", b"CLOSE c", b"CLOSE ALL",
    b"DECLARE h CURSOR WITH HOLD FOR SELECT b FROM t ORDER BY a", b"FETCH ALL FROM h", b"PREPARE p AS SELECT a FROM t WHERE a = $1",
    b"EXECUTE p(2)", b"DEALLOCATE p", b"DEALLOCATE ALL", b"DEALLOCATE s1", b"PREPARE s1 AS SELECT 'by sql'", b"EXECUTE s1",
    b"DISCARD ALL", b"LISTEN x", b"NOTIFY x, 'hello'", b"UNLISTEN *", b"SET search_path = pg_catalog", b"RESET ALL",
    b"SET application_name = 'other'", b"SET client_min_messages = warning", b"SET TimeZone = 'Asia/Tokyo'", b"SHOW search_path",
    b"SET client_encoding = 'LATIN1'", b"SET standard_conforming_strings = off", b"SELECT 'a\\'",
    b"DO $$ BEGIN RAISE NOTICE 'seen %', 1; END $$", b"EXPLAIN (COSTS off) SELECT a FROM t",
    b"DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'ZZ001', HINT = 'none', DETAIL = 'some'; END $$", b"VALUES (1, 'x'), (2, NULL)",
    b"SELECT 1; SELECT 2", b"BEGIN; SELECT 1/0; SELECT 3", b"SELECT 1; nonsense; SELECT 2", b"COPY t FROM STDIN; SELECT 5", b"  ;; ",
    b"SELECT generate_series(1, 100)", b"CREATE TEMP TABLE u AS SELECT * FROM t", b"DROP TABLE IF EXISTS u", b"LOCK TABLE t",
    b"SELECT '\xc3\xa9'", b"SELECT '\xff'", b"SET LOCAL statement_timeout = 5000", b"COMMIT AND CHAIN", b"ROLLBACK AND CHAIN",
    b"BEGIN READ ONLY", b"SELECT repeat('x', 70000)", b"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    b"ANALYZE t", b"SELECT FROM t", b"SELECT 'x' WHERE false",
]  # fmt: skip
NAMES = [b"", b"", b"", b"s1", b"s2", b"p"]
PORTALS = [b"", b"", b"", b"p1", b"c", b"h"]
END = b"endmarker"
_SESSIONS_OWN = re.compile(rb"(?<=pg_temp_)\d+")


def _comparable(answer: bytes) -> bytes:
    """A message without the length, and without numbers that no two sessions have in common."""
    kind, body = answer[:1], answer[5:]
    if kind == b"A":
        return kind + body[4:]
    if kind == b"T":
        columns = RowDescription.decode(body).columns
        return RowDescription(tuple(replace(column, table=min(column.table, FIRST_USER_OID)) for column in columns)).encode()
    return kind + _SESSIONS_OWN.sub(b"", body)


class Peer:
    """A session at the protocol's level; ``port`` is the server's or a worker's."""

    def __init__(self, port: int, user: str, database: str, password: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.reader = self.socket.makefile("rb")
        self.socket.sendall(frontend.StartupMessage(3 << 16, {"user": user, "database": database, "client_encoding": "UTF8"}).encode())
        proof = scram.ScramClient(password, os.urandom(18))
        while (answer := self.read())[:1] != b"Z":
            code = struct.unpack("!I", answer[5:9])[0] if answer[:1] == b"R" else -1
            if code == 10:
                self.socket.sendall(frontend.SASLInitialResponse(scram.MECHANISM, proof.first()).encode())
            elif code == 11:
                self.socket.sendall(frontend.SASLResponse(proof.final(answer[9:])).encode())

    def read(self) -> bytes:
        """The next message; nothing at the end."""
        head = self.reader.read(5)
        return head + self.reader.read(struct.unpack("!I", head[1:])[0] - 4) if len(head) == 5 else b""

    def _read_or_give_up(self, found: list[bytes]) -> bytes:
        try:
            return self.read()
        except TimeoutError:
            found.append(b"(nothing for half a minute)")
            return b""

    def talk(self, data: bytes) -> list[bytes]:
        """Send, then an end that answers in every state; what came back before it."""
        self.socket.sendall(data + message(b"f", b"over\0") + frontend.SYNC_MESSAGE + Query(END).encode())
        found: list[bytes] = []
        while answer := self._read_or_give_up(found):
            found.append(_comparable(answer))
            if answer[:1] == b"E" and END in answer:
                break
        return found

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


def conversation(seed: int) -> list[bytes]:
    """Messages that make sense often enough, and wrong ones in between."""
    chance = random.Random(seed)
    made: list[bytes] = []

    def parse() -> bytes:
        return Parse(chance.choice(NAMES), chance.choice(STATEMENTS), chance.choice([(), (), (23,), (25, 23)])).encode()

    def bind() -> bytes:
        values = chance.choice([(), (), (b"3",), (b"x", b"4"), (None,), (b"\0\0\0\x02",)])
        formats = chance.choice([(), (0,), (1,)] if values else [()])
        return Bind(chance.choice(PORTALS), chance.choice(NAMES), formats, values, chance.choice([(), (0,), (1,), (0, 1)])).encode()

    def execute() -> bytes:
        return Execute(chance.choice(PORTALS), chance.choice([0, 0, 0, 1, 2])).encode()

    def describe() -> bytes:
        kind = chance.choice([b"S", b"P"])
        return Describe(kind, chance.choice(NAMES if kind == b"S" else PORTALS)).encode()

    def close() -> bytes:
        kind = chance.choice([b"S", b"P"])
        return Close(kind, chance.choice(NAMES if kind == b"S" else PORTALS)).encode()

    def whole() -> bytes:
        name, portal = chance.choice(NAMES), chance.choice(PORTALS)
        parts = [Parse(name, chance.choice(STATEMENTS)).encode(), Bind(portal, name).encode(), Execute(portal).encode()]
        if chance.random() < 0.5:
            parts.insert(chance.choice([1, 2]), chance.choice([Describe(b"S", name), Describe(b"P", portal)]).encode())
        return b"".join(parts)

    def query() -> bytes:
        return Query(chance.choice(STATEMENTS)).encode()

    def copy_in() -> bytes:
        rows = message(b"d", b"".join(b"%d\tcopied\n" % chance.randrange(100, 999) for _ in range(3)))
        wrong = message(b"d", b"not a number\tx\n")
        ends = [message(b"c"), message(b"f", b"no\0"), b""]
        return chance.choice([rows, wrong, rows + wrong]) + chance.choice(ends)

    def call() -> bytes:  # int4pl(1, 2), or a function that does not exist
        return message(b"F", struct.pack("!IhhhiIiIh", chance.choice([177, 4_000_000]), 1, 1, 2, 4, 1, 4, 2, 1))

    kinds = [whole] * 6 + [query] * 5 + [parse, bind, execute, describe, close] * 2 + [copy_in, copy_in, call]
    for _ in range(chance.randrange(2, 25)):
        made.append(chance.choice(kinds)())
        if chance.random() < 0.3:
            made.append(chance.choice([frontend.SYNC_MESSAGE, frontend.SYNC_MESSAGE, frontend.FLUSH_MESSAGE]))
    return made


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, target15: Target, target18: Target, broker: str) -> Iterator[dict[int, Gateway]]:
    made: dict[int, Gateway] = {}
    planes = []
    try:
        for target in (target15, target18):
            plane = ControlPlane()
            planes.append(plane)
            gateway = made[target.version] = Gateway(plane, tmp_path_factory.mktemp("open") / f"worker{target.version}", broker)
            gateway.start(ready=False)
            gateway.until(lambda plane=plane: plane.called("enrol"))
            plane.publish(bundle(target), secrets(target))
            gateway.until(lambda gateway=gateway: gateway.health()[0] == 200)
        yield made
    finally:
        for gateway in made.values():
            gateway.close()
        for plane in planes:
            plane.close()


def test_random_conversations_are_answered_byte_for_byte(gateways: dict[int, Gateway], target: Target) -> None:
    gateway = gateways[target.version]
    for seed in range(BASE, BASE + CONVERSATIONS):
        messages = conversation(seed)
        answers = []
        for port, user, database, password in (
            (target.port, target.user, "postgres", target.password), (gateway.port, "bot", "crm", KEY),
        ):  # fmt: skip
            peer = Peer(port, user, database, password)
            peer.talk(Query(SETUP.encode()).encode())
            answers.append(peer.talk(b"".join(messages)))
            peer.close()
        if answers[0] != answers[1]:
            at = next((n for n, pair in enumerate(zip(*answers, strict=False)) if pair[0] != pair[1]), min(map(len, answers)))
            sent = "\n".join(map(repr, messages))
            differ = f"{answers[0][at : at + 2]} but through the gateway {answers[1][at : at + 2]}"
            pytest.fail(f"seed {seed}, answer {at}: {differ}\n{sent}\n{gateway.log.read_text()[-500:]}")
