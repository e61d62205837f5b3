"""Random SQL through a worker: no secret in any byte, and what touches no masked column is answered as by the server itself.

Three databases: one behind the gateway, the same one bare, and a twin behind the gateway whose secrets are others that masks make equal.
What the twin answers must be what the first one answers: a condition or an order that saw a real value would tell them apart.
Changes are rolled back everywhere. Run more with ``TIDEGATE_STATEMENTS=20000``, others with ``TIDEGATE_SEED=7``; hypothesis
shrinks what fails to the shortest statement that does.
"""

import faulthandler
import functools
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, seed, settings

from proxy.wire.backend import ErrorFields, RowDescription
from proxy.wire.frontend import Bind, Describe, Execute, Parse
from tests.conftest import Target
from tests.leak.conftest import PASSWORD, ROLE, SCHEMA, Vault, guard
from tests.leak.generator import Statement, statements
from tests.leak.raw import RawClient
from tests.leak.test_leaks import found
from tests.worker.gateway import KEY

STATEMENTS = int(os.environ.get("TIDEGATE_STATEMENTS", "300"))
BASE = int(os.environ.get("TIDEGATE_SEED", "0"))
BATCH = 250
# The twin's secrets: as long, and equal behind the masks.
_OTHERS = {"q0z1": "k7w2", "1871-03-07": "1871-10-23", "1871-03-09": "1871-10-25", "71307.31": "70904.58", "7130731": "7090458"}
TWIN = functools.reduce(lambda text, pair: text.replace(*pair), _OTHERS.items(), SCHEMA)
_PSEUDONYM = re.compile(rb"\b[A-Z2-7]{24}\b")
_NAME = re.compile(r"\b(?:vault|open)\.\w+(?:\.\w+)?")
# What a view computes from masked values may fail on them, so that texts of errors are the gateway's there, too.
_VIEWS = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in re.findall(r"CREATE VIEW (vault\.\w+)", SCHEMA)))
_OF_ITS_OWN = 16_384  # the first oid that differs between databases


@dataclass
class World:
    """The three ways in, and what was seen on them."""

    ports: dict[str, tuple[int, str, str, str]]  # port, user, password, database
    vaults: tuple[Vault, ...]
    seen: Counter[str] = field(default_factory=Counter)
    sessions: dict[str, RawClient] = field(default_factory=dict)

    def run(self, where: str, statement: Statement) -> list[bytes]:
        """What a statement gets there. A session that is closed over it answers with nothing."""
        if where not in self.sessions:
            port, user, password, database = self.ports[where]
            self.sessions[where] = RawClient("127.0.0.1", port, user, password, database)
        session = self.sessions[where]
        session.heard = b""
        try:
            if statement.changes:
                session.query("BEGIN")
            if statement.binary is None:
                answers = session.query(statement.text)
            else:
                formats = (int(statement.binary),)
                bound = Bind(b"", b"", result_formats=formats).encode()
                parsed, described = Parse(b"", statement.text.encode()).encode(), Describe(b"P", b"").encode()
                answers = session.batch(parsed, bound, described, Execute(b"").encode())
            if statement.changes:
                session.query("ROLLBACK")
        except ConnectionError:
            self.sessions.pop(where).close()
            return []
        return answers


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, target15: Target, vaults: tuple[Vault, Vault], broker: str) -> Iterator[World]:
    target15.sql(f"CREATE DATABASE leak_twin OWNER {ROLE}")
    twin = Vault(target15.dsn("leak_twin", ROLE, PASSWORD), TWIN)
    try:
        with guard(tmp_path_factory.mktemp("random"), target15, broker, ["leak_twin"]) as made:
            ways = {
                "guarded": (made.port, "bot", KEY, "crm"), "twin": (made.port, "bot", KEY, "crm/leak_twin"),
                "bare": (target15.port, ROLE, PASSWORD, "leak_bare"),
            }  # fmt: skip
            yield (found_world := World(ways, (*vaults, twin)))
            for session in found_world.sessions.values():
                session.close()
    finally:
        twin.close()
        target15.sql("DROP DATABASE leak_twin WITH (FORCE)")


def _errors(answers: list[bytes]) -> list[ErrorFields]:
    return [ErrorFields.decode(answer[5:]) for answer in answers if answer[:1] == b"E"]


def _refused(answers: list[bytes]) -> bool:
    return any(one.sqlstate.startswith("TG") or one.fields.get("D", b"").startswith(b"Decision ") for one in _errors(answers))


def _comparable(answers: list[bytes], statement: Statement) -> list[bytes]:
    """The answers without what no two databases share; where masks lie on what changes, texts of errors and notices are the gateway's."""
    kept = []
    for answer in answers:
        kind, body = answer[:1], answer[5:]
        if kind == b"T":
            columns = RowDescription.decode(body).columns
            columns = tuple(replace(c, table=0, attribute=0, type_oid=min(c.type_oid, _OF_ITS_OWN)) for c in columns)
            body = RowDescription(columns).encode()
        elif kind == b"E":
            # An invalid name may stand for anything to the analysis: then the text is another one, with other positions.
            error = ErrorFields({name: value for name, value in ErrorFields.decode(body).fields.items() if name != "P"})
            body = error.sqlstate.encode() if statement.guarded or _VIEWS.search(statement.text) else error.encode(b"E")
        if kind != b"N" or not statement.guarded:
            kept.append(kind + body)
    if statement.text.startswith("EXPLAIN"):
        return [part for part in kept if part[:1] != b"D"]  # plans follow the number of pages
    # Nothing that is generated determines the order of all rows.
    return sorted(part for part in kept if part[:1] in (b"D", b"d")) + [part for part in kept if part[:1] not in (b"D", b"d")]


def _order_of_evaluation(one: list[bytes], other: list[bytes]) -> bool:
    """Whether just one of two answers is an error over a value: which rows an expression is computed for, the plan decides."""
    first, second = ([error.sqlstate[:2] for error in _errors(answers)] for answers in (one, other))
    return (first, second) in ((["22"], []), ([], ["22"]))


def _check(world: World, statement: Statement) -> None:
    seen = world.seen
    seen["statements"] += 1
    guarded = world.run("guarded", statement)
    heard = world.sessions["guarded"].heard if guarded else b""
    refused = not guarded or _refused(guarded)
    touches = "touching masked columns" if statement.masked else "touching none"
    outcome = "refused" if refused else "PostgreSQL's own error" if _errors(guarded) else "answered"
    seen[f"{touches}: {outcome}"] += 1
    if refused:
        reason = _errors(guarded)[0].fields["M"].decode() if guarded else "the session was closed"
        seen[f"refused: {_NAME.sub('…', reason)}"] += 1
    # A plan shows what the definitions of views say, with their constants.
    said = "q0z1%1" if statement.text.startswith("EXPLAIN") and "vault.chosen" in statement.text else ""
    assert found(heard, statement.text + said) == [], "a secret came out"
    twin = world.run("twin", statement)
    one, other = ([_PSEUDONYM.sub(b"PSEUDONYM", part) for part in _comparable(answers, statement)] for answers in (guarded, twin))
    if not refused:
        assert one == other, "the answer depends on masked values"
    bare = [] if refused else world.run("bare", statement)
    if statement.masked:
        return
    assert guarded, "the session was closed"
    assert not refused, f"refused although it touches no masked column: {_errors(guarded)[0].fields.get('M')}"
    if _order_of_evaluation(guarded, bare):
        seen["touching none: evaluated in another order"] += 1
        return
    assert _comparable(guarded, statement) == _comparable(bare, statement), "not what the server answers"
    seen["touching none: as the server answers"] += 1


def test_random_sql_shows_no_secret(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    if STATEMENTS > 2_000:
        faulthandler.cancel_dump_traceback_later()  # pytest's limit for a test that hangs
    for number, begun in enumerate(range(0, STATEMENTS, BATCH)):
        @seed(BASE + number)
        @settings(max_examples=min(BATCH, STATEMENTS - begun), deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(statements())
        def batch(statement: Statement) -> None:
            _check(world, statement)

        for vault in world.vaults:
            vault.settle()
        batch()
        if begun % 5_000 == 4_750 or begun + BATCH >= STATEMENTS:
            with capsys.disabled():
                print("", *(f"{count:7}  {what}" for what, count in sorted(world.seen.items())), sep="\n", flush=True)
    assert world.seen["statements"] >= STATEMENTS * 0.9
    assert world.seen["touching masked columns: answered"] > STATEMENTS * 0.2
