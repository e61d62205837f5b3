"""What scan masking alone gets wrong: each of these once leaked, or broke a harmless statement, in a prototype."""

import struct
from collections.abc import Callable

import psycopg
import pytest
from psycopg.pq import DiagnosticField as Field

from proxy.wire.backend import DataRow, ErrorFields
from proxy.wire.frontend import Bind, Close, Describe, Execute, Parse
from tests.conftest import Target
from tests.leak.conftest import PASSWORD, ROLE, Vault
from tests.leak.raw import RawClient, sqlstates
from tests.leak.test_leaks import found, see_changes

Connect = Callable[[], RawClient]


def rows(messages: list[bytes]) -> list[tuple[bytes | None, ...]]:
    return [tuple(DataRow.decode(message[5:]).values) for message in messages if message[:1] == b"D"]


def errors(messages: list[bytes], kind: bytes = b"E") -> list[dict[str, bytes]]:
    return [dict(ErrorFields.decode(message[5:]).fields) for message in messages if message[:1] == kind]


@pytest.fixture
def session(client: Connect, vaults: tuple[Vault, Vault]) -> RawClient:
    if vaults[0].mend():
        see_changes(client())
    return client()


def test_generated_columns_computed_from_masked_ones(session: RawClient) -> None:
    assert rows(session.query("SELECT id, loud FROM vault.people WHERE id < 3 ORDER BY id")) == [(b"1", b"***"), (b"2", b"***")]
    assert rows(session.query("SELECT found FROM open.cached")) == [(b"***",)]  # through a function that reads them
    assert found(session.heard, "") == []


def test_columns_of_a_view_are_masked_one_by_one(session: RawClient) -> None:
    answer = session.query("SELECT id, name, hidden FROM vault.plain WHERE id = 1")
    assert rows(answer) == [(b"1", b"Person 1", b"***")]
    assert rows(session.query("SELECT max(name) FROM vault.guarded WHERE name LIKE 'Person%'")) == [(b"Person 4",)]
    assert found(session.heard, "") == []


def test_what_a_trigger_copies_elsewhere_and_the_notices_it_raises(session: RawClient) -> None:
    answer = session.query("UPDATE vault.people SET name = name WHERE id = 1")
    assert [notice["M"] for notice in errors(answer, b"N")] == [b"successful completion"]
    assert all(what == b"***" for what, in rows(session.query("SELECT what FROM vault.log")))
    assert rows(session.query("SELECT about, seen, item FROM open.orders WHERE id = 1")) == [(b"***", b"1", b"thing 1")]
    assert found(session.heard, "") == []


def test_errors_of_changes_of_masked_tables_quote_no_row(session: RawClient) -> None:
    for table in ("vault.people", "vault.names", "vault.few_names"):
        (error,) = errors(session.query(f"UPDATE {table} SET name = NULL WHERE id = 1"))
        assert (error["C"], error["t"], error["c"], "D" in error) == (b"23502", b"people", b"name", False)
    assert found(session.heard, "") == []


def test_on_conflict_tells_nothing_about_masked_columns(session: RawClient) -> None:
    insert = "INSERT INTO vault.people (id, name, secret, phone) VALUES (1, 'x', 'x', 'x') ON CONFLICT"
    assert sqlstates(session.query(f"{insert} (phone) DO NOTHING")) == ["TG003"]
    assert sqlstates(session.query(f"{insert} DO NOTHING")) == ["TG003"]
    assert session.query(f"{insert} (id) DO UPDATE SET name = excluded.name RETURNING name")[-2][5:] == b"INSERT 0 1\0"


def test_copy_of_a_bare_table(session: RawClient) -> None:
    answer = session.query("COPY vault.base TO STDOUT")
    assert [message[5:] for message in answer if message[:1] == b"d"] == [b"1\t***\n"]


MASKED, PLAIN = b"***", b"nothing 1"
READ = b"SELECT secret FROM people WHERE id = 1"
DERIVED = b"SELECT secret || '' FROM people WHERE id = 1"


@pytest.mark.parametrize("read", [READ, DERIVED], ids=["plain", "derived"])
class TestNamesBindWhenTheServerBindsThem:
    def test_path_set_earlier_in_the_same_query(self, session: RawClient, read: bytes) -> None:
        session.query("SET search_path = open")
        answer = session.query(f"SET search_path = vault; {read.decode()}")
        assert rows(answer) == [(MASKED,)]

    def test_path_set_earlier_in_the_same_pipeline(self, session: RawClient, read: bytes) -> None:
        session.query("SET search_path = open")
        setting = (Parse(b"", b"SET search_path = vault").encode(), Bind(b"", b"").encode(), Execute(b"").encode())
        answer = session.batch(*setting, Parse(b"", read).encode(), Bind(b"", b"").encode(), Execute(b"").encode())
        assert sqlstates(answer) == ["TG003"]
        assert rows(session.query(read.decode())) != [(b"q0z1-secret-1",)]

    def test_path_given_back_by_rollback(self, session: RawClient, read: bytes) -> None:
        session.query("SET search_path = vault")
        session.query("BEGIN; SET LOCAL search_path = open")
        assert rows(session.query(read.decode())) == [(PLAIN,)]
        session.query("ROLLBACK")
        assert rows(session.query(read.decode())) == [(MASKED,)]

    def test_path_changed_after_parse(self, session: RawClient, read: bytes) -> None:
        session.query("SET search_path = open")
        session.batch(Parse(b"s", read).encode())
        assert rows(session.batch(Bind(b"", b"s").encode(), Execute(b"").encode())) == [(PLAIN,)]
        session.query("SET search_path = vault")
        answer = session.batch(Bind(b"", b"s").encode(), Execute(b"").encode())
        assert rows(answer) == [(MASKED,)] or sqlstates(answer) == ["TG003"]
        assert found(session.heard, "") == []


def test_asking_for_the_path_disturbs_no_pipeline(session: RawClient) -> None:
    """The client hears of its own messages only, and its unnamed statement and portal are still there."""
    session.batch(Parse(b"", b"SELECT id FROM open.notes ORDER BY id LIMIT 2").encode())
    session.query("BEGIN")
    session.batch(Parse(b"", b"SELECT id FROM open.notes ORDER BY id LIMIT 2").encode())
    session.batch(Parse(b"p", b"SET LOCAL search_path = vault").encode(), Bind(b"p", b"p").encode(), Execute(b"p").encode())
    answer = session.batch(Bind(b"", b"").encode(), Execute(b"", 1).encode(), Close(b"P", b"p").encode(), Execute(b"", 1).encode())
    assert b"".join(message[:1] for message in answer) == b"2Ds3DsZ"
    session.query("COMMIT")


def test_function_call_messages(session: RawClient, target15: Target) -> None:
    """A message that names its function by its oid is refused while masks are in force, and the session goes on."""
    ((oid,),) = target15.sql("SELECT 'upper(text)'::regprocedure::oid::int8")
    body = struct.pack("!Ihhi3sh", oid, 0, 1, 3, b"abc", 0)
    answer = session.exchange(b"F" + struct.pack("!I", 4 + len(body)) + body)
    assert sqlstates(answer) == ["TG003"]
    assert rows(session.query("SELECT upper('abc')")) == [(b"ABC",)]


@pytest.mark.parametrize(
    "text", ["SELEC 1", "SELECT secret FRM vault.people x y", "SELECT 'open", "SELECT * FROM vault.people WHERE (", "SELECT 1 +"],
)
def test_syntax_errors_are_postgresqls_own(session: RawClient, target15: Target, text: str) -> None:
    bare = RawServer(target15)
    ours, theirs = errors(session.query(text))[0], bare.error(text)
    assert {key: ours[key] for key in "SCMP"} == {key: theirs[key] for key in "SCMP"}


def test_system_columns(session: RawClient) -> None:
    answer = session.query("SELECT tableoid::regclass, ctid, xmin::text <> '', secret FROM vault.events ORDER BY id")
    assert [row[:3] for row in rows(answer)] == [(b"vault.events_old", b"(0,1)", b"t"), (b"vault.events_new", b"(0,1)", b"t")]
    answer = session.query("SELECT upper(secret), p.tableoid::regclass FROM vault.people p WHERE id = 1 AND ctid IS NOT NULL")
    assert rows(answer) == [(b"***", b"vault.people")]
    assert found(session.heard, "") == []


class RawServer:
    """The server itself, asked by libpq."""

    def __init__(self, target: Target) -> None:
        self._dsn = target.dsn("leak_bare", ROLE, PASSWORD)

    def error(self, text: str) -> dict[str, bytes]:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            result = connection.pgconn.exec_(text.encode())
            fields = {"S": Field.SEVERITY, "C": Field.SQLSTATE, "M": Field.MESSAGE_PRIMARY, "P": Field.STATEMENT_POSITION}
            return {key: result.error_field(field) or b"" for key, field in fields.items()}


# -- what was shown masked does not take the place of the real value


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE vault.people SET secret = '***' WHERE id = 1",
        "UPDATE vault.people SET token = 'ABCDEFGHIJKLMNOPQRSTUVWX' WHERE id = 1",
        "UPDATE vault.people SET (name, phone) = ('x', '+4*******1') WHERE id = 1",
        "INSERT INTO vault.people TABLE vault.people ON CONFLICT (id) DO UPDATE SET secret = excluded.secret",
        "INSERT INTO vault.people (id, name, secret) VALUES (100, 'x', '***')",
        "UPDATE vault.plain SET hidden = '***'",
    ],
)
def test_masked_values_are_not_written_back(session: RawClient, text: str) -> None:
    assert sqlstates(session.query(text)) == ["TG003"]


def test_a_new_row_made_of_a_masked_one_holds_what_the_mask_shows(session: RawClient, target15: Target) -> None:
    copy = "INSERT INTO vault.people (id, name, secret) SELECT 100 + id, name, secret FROM vault.people WHERE id = 1"
    assert sqlstates(session.query(copy)) == []
    assert target15.sql("SELECT secret FROM vault.people WHERE id = 101", dbname="leak_guarded") == [("***",)]


@pytest.mark.parametrize(("value", "answer"), [(b"***", ["TG003"]), (b"another", [])])
def test_masked_values_are_not_written_back_by_a_parameter(session: RawClient, value: bytes, answer: list[str]) -> None:
    update = Parse(b"", b"UPDATE vault.people SET secret = $2 WHERE id = $1").encode()
    assert sqlstates(session.batch(update, Bind(b"", b"", (), (b"1", value)).encode(), Execute(b"").encode())) == answer


# -- what SQL and code reach by the names of the extended protocol

PEOPLE = b"SELECT id, secret FROM vault.people ORDER BY id"


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE open.kept AS EXECUTE s ;; SELECT secret FROM open.kept",
        "CREATE TEMP TABLE kept AS EXECUTE s ;; SELECT secret || '' FROM kept",
        "EXPLAIN ANALYZE CREATE TABLE open.kept AS EXECUTE s ;; SELECT secret FROM open.kept",
        "EXPLAIN ANALYZE EXECUTE s",
        "EXECUTE s",
    ],
)
def test_a_parsed_statement_that_sql_runs(session: RawClient, text: str) -> None:
    session.batch(Parse(b"s", PEOPLE).encode(), Describe(b"S", b"s").encode())
    answers = [session.query(part) for part in text.split(" ;; ")]
    assert rows(answers[0])[:1] == ([(b"1", b"***")] if text == "EXECUTE s" else [])
    assert found(session.heard, "") == []


FETCH = "DECLARE c refcursor := '{}'; r record; BEGIN FETCH c INTO r; INSERT INTO open.guesses VALUES (1, r.secret); END"


@pytest.mark.parametrize("portal", [b"", b"p"], ids=["unnamed", "named"])
def test_a_portal_that_code_fetches_from(session: RawClient, portal: bytes) -> None:
    session.query("BEGIN")
    session.batch(Parse(b"d", f"DO $$ {FETCH.format(portal.decode())} $$".encode()).encode(), Parse(b"s", PEOPLE).encode())
    session.batch(Bind(portal, b"s").encode(), Bind(b"d", b"d").encode(), Execute(b"d").encode())
    session.query("COMMIT")
    session.query("SELECT s FROM open.guesses")
    assert found(session.heard, "") == []


def test_a_portal_that_a_trigger_fetches_from(session: RawClient) -> None:
    code = "DECLARE c refcursor := 'p'; r record; BEGIN FETCH c INTO r; NEW.body := r.secret; RETURN NEW; END"
    session.query(f"CREATE FUNCTION open.fetching() RETURNS trigger LANGUAGE plpgsql AS $$ {code} $$")
    session.query("CREATE TRIGGER t BEFORE INSERT ON open.notes FOR EACH ROW EXECUTE FUNCTION open.fetching()")
    session.query("BEGIN")
    session.batch(Parse(b"s", PEOPLE).encode(), Bind(b"p", b"s").encode())
    session.query("INSERT INTO open.notes VALUES (1) RETURNING body")
    assert found(session.heard, "") == []


def test_a_portal_that_is_read_does_not_stand_in_the_way_of_changes(session: RawClient) -> None:
    session.query("BEGIN")
    session.batch(Parse(b"s", PEOPLE).encode(), Bind(b"p", b"s").encode(), Execute(b"p", 2).encode())
    assert session.query("UPDATE open.notes SET n = 1 WHERE id = 1")[0][5:] == b"UPDATE 1\0"
    assert rows(session.query("FETCH 1 FROM p")) == [(b"3", b"***")]
    session.query("ROLLBACK")
