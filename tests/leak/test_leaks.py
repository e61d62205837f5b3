"""What attacks on masked columns get: on the bare server every one of them gets a secret, through the gateway none does."""

import base64
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import ExecStatus

from proxy.wire.frontend import Bind, Close, Describe, Execute, Parse
from tests.conftest import Target
from tests.leak.conftest import PASSWORD, ROLE, Vault
from tests.leak.raw import RawClient, sqlstates

LINES = (Path(__file__).parent / "attacks.sql").read_text().splitlines()
ATTACKS = [line for line in LINES if line and not line.startswith("--")]
# The secret in plain, reversed, in capitals, in hexadecimal, in base64 at its three alignments; a date and a number.
NEEDLES = [b"q0z1", b"1z0q", b"Q0Z1", b"1Z0Q", b"71307a31", b"1871-03-07", b"71307.31"]
NEEDLES += [base64.b64encode(b"x" * shift + b"q0z1q0z1")[4:8] for shift in range(3)]

Connect = Callable[[], RawClient]


def found(heard: bytes, sent: str) -> list[bytes]:
    """Secrets in what was heard, but for what the attack itself said."""
    return [needle for needle in NEEDLES if needle in heard.replace(sent.encode(), b"") and needle not in sent.encode()]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_gets_a_secret(attack: str, client: Connect, vaults: tuple[Vault, Vault]) -> None:
    session = client()
    for text in attack.split(" ;; "):
        try:
            session.query(text)
        except ConnectionError:
            session = client()  # closing is an answer, too
    assert found(session.heard, attack) == []
    if vaults[0].mend():
        see_changes(client())


def see_changes(session: RawClient) -> None:
    """A session that makes a table of its own has the gateway read the catalog again."""
    session.query("CREATE TEMP TABLE look ()")
    session.query("SELECT FROM vault.wards")


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_gets_one_from_a_bare_server(attack: str, target15: Target, vaults: tuple[Vault, Vault]) -> None:
    """Or the test above would prove nothing."""
    heard: list[bytes] = []
    with psycopg.connect(target15.dsn("leak_bare", ROLE, PASSWORD), autocommit=True) as bare:
        bare.add_notice_handler(lambda notice: heard.append(str(notice.message_primary).encode()))
        for text in attack.split(" ;; "):
            bare.pgconn.send_query(text.encode())
            while (result := bare.pgconn.get_result()) is not None:
                if result.status == ExecStatus.COPY_OUT:
                    while (data := bare.pgconn.get_copy_data(0))[0] > 0:
                        heard.append(bytes(data[1]))
                rows, columns = range(result.ntuples), range(result.nfields)
                heard += [result.error_message, *(result.get_value(row, column) or b"" for row in rows for column in columns)]
            while (notification := bare.pgconn.notifies()) is not None:
                heard.append(notification.extra)
    vaults[1].mend()
    assert attack.startswith("! ") or any(needle in b"|".join(heard) for needle in NEEDLES)


# -- in the extended protocol: what a name meant at Parse, at Describe, at Bind and at Execute

READ = b"SELECT id, secret FROM people WHERE id < 3"
COUNT = b"SELECT name FROM people WHERE secret LIKE 'q0z%'"


def run(portal: bytes = b"", statement: bytes = b"s") -> tuple[bytes, bytes]:
    return Bind(portal, statement).encode(), Execute(portal).encode()


def test_two_names_that_are_one_to_the_server(client: Connect) -> None:
    """It cuts names off after 63 bytes, so that the second Close and Parse are about the first statement."""
    session = client()
    session.query("SET search_path = vault")
    harmless, secret = b"n" * 63 + b"1", b"n" * 63 + b"2"
    session.batch(Parse(harmless, b"SELECT 1, 'text'::text").encode(), Describe(b"S", harmless).encode())
    session.batch(Close(b"S", secret).encode())
    session.batch(Parse(secret, READ).encode())
    session.batch(*run(statement=harmless))
    assert found(session.heard, "") == []


def test_a_description_does_not_outlive_what_the_names_meant(client: Connect) -> None:
    session = client()
    session.query("SET search_path = open")
    session.batch(Parse(b"s", READ).encode(), Describe(b"S", b"s").encode(), *run())
    assert b"nothing 1" in session.heard
    session.query("SET search_path = vault")
    session.batch(*run())
    assert b"***" in session.heard
    assert found(session.heard, "") == []


def test_a_description_of_later_names_does_not_serve_an_earlier_statement(client: Connect) -> None:
    session = client()
    session.query("SET search_path = vault")
    session.batch(Parse(b"s", READ).encode())
    session.batch(Parse(b"", b"SET search_path = open").encode(), *run(statement=b""), Describe(b"S", b"s").encode())
    session.query("SET search_path = vault")
    session.batch(*run())
    assert found(session.heard, "") == []


def test_a_portal_keeps_the_meaning_that_it_was_made_with(client: Connect) -> None:
    session = client()
    session.query("SET search_path = open")
    session.batch(Parse(b"s", READ).encode())
    session.query("BEGIN; SET LOCAL search_path = vault")
    session.batch(Bind(b"p", b"s").encode())
    session.query("SET LOCAL search_path = open")
    session.batch(Describe(b"S", b"s").encode(), Execute(b"p").encode())
    assert found(session.heard, "") == []


@pytest.mark.parametrize("text", [READ, COUNT], ids=["output", "predicate"])
@pytest.mark.parametrize("how", ["after", "pipeline", "function", "rollback"])
def test_a_statement_prepared_for_one_schema_is_not_run_on_another(client: Connect, text: bytes, how: str) -> None:
    session = client()
    session.query("SET search_path = open")
    session.batch(Parse(b"s", text).encode(), *run())
    if how == "after":
        session.query("SET search_path = vault")
        session.batch(*run())
    elif how == "rollback":
        session.query("SET search_path = vault")
        session.query("BEGIN; SET LOCAL search_path = open")
        session.batch(Parse(b"t", text).encode(), Parse(b"", b"ROLLBACK").encode(), *run(statement=b""), *run(statement=b"t"))
        session.batch(*run(statement=b"t"))
    else:
        change = b"SET search_path = vault" if how == "pipeline" else b"SELECT set_config('search_path', 'vault', false)"
        session.batch(Parse(b"", change).encode(), *run(statement=b""), *run())
        session.batch(*run())
    assert b"Person" not in session.heard
    assert found(session.heard, "") == []


def test_what_another_session_drops_uncovers_nothing(client: Connect) -> None:
    """The gateway learns of it later: until then an unqualified name must not fall through to the masked table."""
    session, other = client(), client()
    other.query("CREATE SCHEMA gone; CREATE TABLE gone.people (id int, name text, secret text)")
    session.query("SET search_path = gone, vault")
    session.batch(Parse(b"s", COUNT).encode(), *run())
    session.query(COUNT.decode())
    other.query("DROP TABLE gone.people")
    session.batch(*run())
    session.query(COUNT.decode())
    assert b"Person" not in session.heard
    assert found(session.heard, "") == []


def test_a_table_that_was_replaced_behind_the_gateway_is_not_shown_unmasked(client: Connect, vaults: tuple[Vault, Vault]) -> None:
    """Its columns come from a table that no mask is bound to yet: the session ends, and the next one sees it masked."""
    session = client()
    assert b"***" in b"".join(session.query("SELECT id, secret FROM vault.people"))
    vaults[0].build()
    with pytest.raises(ConnectionError):
        session.query("SELECT id, secret FROM vault.people")
    assert b"CTG003" in session.heard
    assert found(session.heard, "") == []

    def again() -> bytes:
        try:
            return b"".join(client().query("SELECT id, secret FROM vault.people"))
        except ConnectionError:
            return b""

    answers = [again() for _ in range(20)]
    assert b"***" in answers[-1]
    assert found(b"".join(answers), "") == []


@pytest.mark.parametrize("formats", [(0,), (1,), (0, 1)], ids=["text", "binary", "mixed"])
def test_cells_are_masked_in_the_format_that_bind_asks_for(client: Connect, formats: tuple[int, ...]) -> None:
    session = client()
    text = b"SELECT id, secret FROM vault.people"
    session.batch(Parse(b"s", text).encode(), Describe(b"S", b"s").encode())
    session.batch(Bind(b"", b"s", result_formats=formats).encode(), Execute(b"", 2).encode(), Execute(b"", 2).encode())
    session.batch(Bind(b"p", b"s", result_formats=formats).encode(), Describe(b"P", b"p").encode(), Execute(b"p").encode())
    assert session.heard.count(b"***") == 4 + 9
    assert found(session.heard, "") == []


def test_an_error_in_the_middle_of_a_pipeline_unmasks_nothing_behind_it(client: Connect) -> None:
    session = client()
    masked = (Parse(b"", b"SELECT secret FROM vault.people").encode(), *run(statement=b""))
    answers = session.batch(Parse(b"", b"SELECT 1 / 0").encode(), *run(statement=b""), *masked)
    assert sqlstates(answers) == ["22012"]
    session.batch(*masked, Parse(b"", b"nonsense").encode(), *masked)
    assert session.heard.count(b"***") == 9
    assert found(session.heard, "") == []
