"""From arbitrary bytes to a conversation: what a fuzzer changes a byte of becomes another message, another order, another cut.

Every byte string is a valid script, so that mutations are never wasted on a parser of scripts.
"""

from __future__ import annotations

from proxy import effects as fx
from proxy import events as ev
from proxy.policy.engine import masks_for
from proxy.sql.analysis import analyse
from proxy.sql.facts import Analysis, AnalysisRequest
from proxy.wire.codec import message
from proxy.wire.frontend import Bind, Close, Describe, Execute, Parse, Query, StartupMessage
from tests.fuzz.driver import POLICIES, Driver, pieces
from tests.proxy.session.example import CATALOG, NOW
from tests.proxy.session.playbook import Playbook, error, prove

SQL = (
    b"SELECT 1",
    b"",
    b"BEGIN",
    b"COMMIT",
    b"ROLLBACK",
    b"SELECT * FROM crm.customers",
    b"SELECT ssn || 'x' FROM crm.customers",
    b"DELETE FROM t",
    b"DROP TABLE t",
    b"INSERT INTO t VALUES ($1, $2)",
    b"SELECT fail",
    b"COPY t FROM STDIN",
    b"COPY crm.customers TO STDOUT",
    b"SET x = 1",
    b"SELECT 1; SELECT * FROM crm.customers; COPY t FROM STDIN",
    b"SET search_path TO crm; SELECT * FROM customers",
    b"nonsense",
    b"NOTIFY news",
    b"PREPARE p AS SELECT ssn FROM crm.customers",
    b"EXECUTE p",
    b"DECLARE c CURSOR FOR SELECT * FROM crm.customers",
    b"FETCH c",
    b"SET client_encoding TO 'LATIN1'",
    b"\xff\xfe",
    b"SELECT '\xc3\xa4' /*run='r-1'*/",
    b"DO $$ BEGIN NULL; END $$",
    b"SELECT f(1)",
    b"UPDATE crm.customers SET name = ssn",
    b"ALTER TABLE crm.customers ADD x int",
    b"SELECT * FROM unknown_table",
    b"BEGIN; DELETE FROM t; COMMIT",
)
WORDS = tuple(
    """SELECT * , ssn FROM crm.customers c WHERE id = 1 AND ( ) ; UNION ALL JOIN ON LEFT LATERAL AS x WITH t INSERT INTO VALUES
    UPDATE SET name DELETE USING RETURNING GROUP BY ORDER LIMIT DISTINCT CASE WHEN THEN END NULL IS NOT IN EXISTS ARRAY [ ] :: text ROW
    COPY TO STDOUT STDIN PREPARE EXECUTE DECLARE CURSOR FOR FETCH CREATE TABLE VIEW FUNCTION DO $$BEGIN$$ EXPLAIN ANALYZE f . || 'a' $1 -
    count MERGE MATCHED DROP ALTER ADD COLUMN TABLESAMPLE bernoulli OVER PARTITION WINDOW search_path public MATERIALIZED RECURSIVE --
    /* */ BEGIN COMMIT ROLLBACK SAVEPOINT xmlelement json_object ONLY CONFLICT excluded customers""".split()
)
NAMES = (b"", b"s1", b"s2", b"tidegate-", b"\xff")
VALUES = (b"", b"7", None, b"\xff\xfe", b"\0\0\0\x01", b"x" * 700, b"\0\x01\x7f\xff\0\0\0\0\0\x01")
OUTCOMES = ("open", "consumed", "rejected", "expired", "cancelled", "no_approver", "unavailable", "nonsense")


class Bytes:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def one(self, of: tuple[object, ...]) -> object:
        return of[self.byte() % len(of)]


def client_message(script: Bytes, op: int) -> bytes:
    """One message of a client, of the kind that ``op`` says."""
    name, sql = NAMES[script.byte() % len(NAMES)], SQL
    if op == 0:
        return Query(sql[script.byte() % len(sql)]).encode()
    if op == 1:
        return Parse(name, sql[script.byte() % len(sql)], (1700, 25)[: script.byte() % 3]).encode()
    if op == 2:
        values = tuple(VALUES[script.byte() % len(VALUES)] for _ in range(script.byte() % 3))
        return Bind(name, NAMES[script.byte() % len(NAMES)], (1,) * (script.byte() % 2), values, (0,) * (script.byte() % 2)).encode()
    if op == 3:
        return Describe(b"SP"[script.byte() % 2 :][:1], name).encode()
    if op == 4:
        return Execute(name, (0, 1, 2, -1)[script.byte() % 4]).encode()
    if op == 5:
        return Close(b"SP"[script.byte() % 2 :][:1], name).encode()
    return message(b"SSSHdcfFXS"[op - 6 :][:1], (b"", b"", b"", b"", script.take(3), b"", b"why\0", b"\0\0\0\x01\0\0", b"", b"")[op - 6])


def talk(data: bytes, cut: int = 0) -> Driver:
    """A hostile client and an honest server; ``cut``: into pieces of how many bytes everything is cut."""
    script = Bytes(data)
    driver = Driver(POLICIES[script.byte() % len(POLICIES)])
    said: list[bytes] = []

    def send() -> None:
        driver.client(b"".join(said), cut)
        said.clear()

    while script and not driver.closed:
        op = script.byte() % 64
        if op < 16:
            said.append(client_message(script, op))
        elif op >= 32:
            said.append(
                b"".join(client_message(script, part) for part in (1, 2, 3, 4, 6)[op % 5 :])
                if op < 48
                else client_message(script, op % 3 * 2)
            )
        elif op == 16:
            said.append(script.take(script.byte()))
        elif op == 17 and said:
            changed = bytearray(said[-1])
            changed[script.byte() % len(changed or b"?") if changed else 0 : 1] = b""
            said[-1] = bytes(changed)
        elif op == 18 and said:
            flipped = bytearray(said[-1])
            if flipped:
                flipped[script.byte() % len(flipped)] ^= script.byte() | 1
            said[-1] = bytes(flipped)
        elif op == 19 and said:
            said[-1] = said[-1][: -(script.byte() % 8 + 1)]
        elif op == 20 and said:
            said.append(said[script.byte() % len(said)])
        elif op == 21 and len(said) > 1:
            said[-1], said[-2] = said[-2], said[-1]
        elif op == 22:
            send()
        elif op in (23, 24, 25):
            send()
            driver.turn(cut)
        elif op == 31:
            send()
            driver.part(script.byte(), cut)
        else:
            send()
            happen(driver, script, op)
    send()
    driver.end()
    return driver


def happen(driver: Driver, script: Bytes, op: int) -> None:
    """What neither peer says."""
    if op == 26:
        number, outcome = script.byte() % (len(driver.requests) + 1), OUTCOMES[script.byte() % len(OUTCOMES)]
        driver.give(ev.ApprovalAnswered(f"request-{number}", outcome, "comment", "https://approve"))
    elif op == 27:
        driver.now += script.byte() * 10
        driver.environment.confirmed_at = driver.now - (script.byte() > 250) * 10_000
        driver.give(ev.Tick())
    elif op == 28:
        driver.give(ev.CancelRequested())
    elif op == 29:
        driver.environment.bundle = POLICIES[script.byte() % len(POLICIES)]
    elif op == 30:
        gone = (ev.Drain(), ev.RecordFailed("full"), ev.ServerGone(), ev.ClientGone())
        rare = (*gone, ev.CatalogRefreshed(), ev.Tick(), ev.ClientFinished())
        driver.give(rare[script.byte() % len(rare)])


DIALOGUE = b"".join(
    [
        Query(b"BEGIN").encode(),
        Parse(b"s1", b"SELECT * FROM crm.customers").encode(),
        Bind(b"", b"s1").encode(),
        Describe(b"P", b"").encode(),
        Execute(b"").encode(),
        b"S\0\0\0\x04",
        Query(b"COPY t FROM STDIN").encode(),
        b"d\0\0\0\x06ab",
        b"c\0\0\0\x04",
        Query(b"SELECT 1").encode(),
        Query(b"COPY crm.customers TO STDOUT").encode(),
        Parse(b"", b"INSERT INTO t VALUES ($1, $2)").encode(),
        Bind(b"", b"", (), (b"1", None)).encode(),
        Execute(b"", 1).encode(),
        Close(b"S", b"s1").encode(),
        b"S\0\0\0\x04",
        Query(b"COMMIT").encode(),
    ]
)
STRAY = (
    error("XX000"),
    error("57P01", "bye", "FATAL"),
    b"Z\0\0\0\x05I",
    b"Z\0\0\0\x05T",
    b"C\0\0\0\x0dSELECT 1\0",
    b"D\0\0\0\x0b\0\x01\0\0\0\x01x",
    b"T\0\0\0\x06\0\0",
    b"1\0\0\0\x04",
    b"G\0\0\0\x07\0\0\0",
    b"A\0\0\0\x08\0\0\0\x01",
    b"S\0\0\0\x0aclie\0\0",
    b"N\0\0\0\x05\0",
    b"W\0\0\0\x04",
    b"K\0\0\0\x0c\0\0\0\x01abcd",
    b"R\0\0\0\x08\0\0\0\0",
    b"D\0\0\0\x04",
    b"\xff",
    b"t\0\0\0\x06\xff\xff",
    b"D\0\0\x10\x04\0\x01",
    b"C" + (5004).to_bytes(4, "big") + b"SELECT ".ljust(4999, b"9") + b"\0",
)


def answer(data: bytes, cut: int = 0) -> Driver:
    """A hostile server: an honest dialogue in which answers are lost, doubled, swapped, cut, changed and made up."""
    script = Bytes(data)
    driver = Driver(POLICIES[script.byte() % len(POLICIES)], trusted=False)
    driver.client(DIALOGUE if script.byte() % 2 else client_part(script))
    for _ in range(200):
        if driver.closed or not (driver.unanswered or script):
            break
        out: list[bytes] = []
        for told in driver.answers():
            out += changed_answer(script, told) if script else [told]
        if script and not out:
            out.append(STRAY[script.byte() % len(STRAY)])
        for piece in pieces(b"".join(out), cut):
            driver.give(ev.ServerData(piece))
    driver.end()
    return driver


def client_part(script: Bytes) -> bytes:
    return b"".join(client_message(script, script.byte() % 8) for _ in range(script.byte() % 8)) + b"S\0\0\0\x04"


def changed_answer(script: Bytes, told: bytes) -> list[bytes]:
    op = script.byte() % 24
    if op == 0:
        return []
    if op == 1:
        return [told, told]
    if op == 2:
        return [told[: script.byte() % len(told)]]
    if op == 3:
        flipped = bytearray(told)
        flipped[script.byte() % len(flipped)] ^= script.byte() | 1
        return [bytes(flipped)]
    if op == 4:
        return [STRAY[script.byte() % len(STRAY)], told]
    if op == 5:
        return [STRAY[script.byte() % len(STRAY)]]
    if op == 6:
        return [told, script.take(script.byte())]
    return [told]


def start(data: bytes, cut: int = 0) -> None:
    """Anything before the first statement: raw bytes of a client that has not signed in, or of a server that signs us in."""
    script = Bytes(data)
    book = Playbook(POLICIES[script.byte() % len(POLICIES)], tls_available=bool(script.byte() % 2), is_loopback=True)
    server = script.byte() % 2
    if server:
        book.client(StartupMessage(3 << 16, {"user": "bot", "database": "crm"}))
        prove(book)
        book.give(ev.ServerOpened(tls=False))
    elif script.byte() % 2:
        book.client(StartupMessage(3 << 16, {"user": ("bot", "oidc", "who")[script.byte() % 3]}))
    event = ev.ServerData if server else ev.ClientData
    for piece in pieces(script.take(len(data)), cut):
        book.give(event(piece))
    book.give(ev.ClientGone())
    kinds = [type(effect).__name__ for effect in book.effects]
    assert kinds.count("Close") == 1
    assert kinds[-1] == "Close", "effects behind Close"
    for effect in book.effects:
        assert not (isinstance(effect, fx.Log) and effect.event == "session.failed"), f"internal error: {effect}"


def read(data: bytes, cut: int = 0) -> None:
    """Arbitrary text for the analysis: any answer will do, an exception will not."""
    kind, rest = data[:1] or b"\0", data[1:]
    # Of odd kind, each byte is a word: bytes alone seldom become a statement.
    text = " ".join(WORDS[byte % len(WORDS)] for byte in rest) if kind[0] % 2 else rest.decode("utf-8", "replace")
    masks = masks_for(POLICIES[1], "bot", "crm", CATALOG, NOW).by_column if kind[0] > 127 else {}
    request = AnalysisRequest(text, CATALOG.digest, ("pg_catalog", "crm"), masks, "m", frozenset(), "scan")
    assert isinstance(analyse(request, CATALOG), Analysis)


TARGETS = {"talk": talk, "answer": answer, "start": start, "read": read}
