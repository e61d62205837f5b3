"""On real servers: what the analysis lets through shows no masked value, and what needs no masking stays as it was.

Every masked value of the example holds "mrk". A statement is run as the session would run it: refused, rewritten, or as
it is with its cells masked by their origin.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import ExecStatus, TransactionStatus

from proxy.policy.masks import mask_cell
from proxy.sql.catalog import Catalog
from tests.conftest import Target
from tests.proxy.sql.example import PATH, SCHEMA, analysed, fixtures, masks_of, read_rows

ATTACKS = [line for line in (Path(__file__).parent / "fixtures" / "attacks.sql").read_text().splitlines() if line and line[:2] != "--"]
STATEMENTS = [sql for name in ("none", "result", "scan", "refuse") for sql, _ in fixtures(name)] + ATTACKS

# In other spellings: reversed, hexadecimal, base64 at each of its three alignments, code points.
NEEDLES = [b"mrk", b"krm", b"6d726b", b"107114109", b"109114107"] + [
    base64.b64encode(b"x" * shift + b"mrkmrk")[4:8].lower() for shift in range(3)
]
# What a rewritten statement must not run into if the original does not: it would not be the same statement any more.
BROKEN = {"42601", "42703", "42P01", "42P02", "42803", "42702", "42712", "42883", "0A000", "42P10", "42804", "42846", "42809"}


@pytest.fixture(scope="module")
def database(target: Target) -> Iterator[str]:
    target.sql("DROP DATABASE IF EXISTS sql_leaks")
    target.sql("CREATE DATABASE sql_leaks")
    target.sql(SCHEMA.read_text(), dbname="sql_leaks")
    yield target.dsn("sql_leaks")
    target.sql("DROP DATABASE sql_leaks WITH (FORCE)")


@pytest.fixture(scope="module")
def known(database: str) -> Catalog:
    return Catalog.load(read_rows(database))


@pytest.fixture(scope="module")
def shared(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True, prepare_threshold=None) as found:
        yield found


@pytest.fixture
def connection(shared: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Inside a transaction that is rolled back, with nothing left of earlier tests."""
    shared.execute("DISCARD ALL")
    shared.execute("SET statement_timeout = '10s'")
    shared.execute("BEGIN")
    yield shared
    if shared.info.transaction_status != TransactionStatus.IDLE:
        shared.execute("ROLLBACK")


def run(connection: psycopg.Connection, sql: str, masks: dict | None = None) -> tuple[str, bytes]:
    """SQLSTATE and all that came back, cells masked by their origin."""
    server, seen = connection.pgconn, bytearray()
    notices: list[bytes] = []
    server.notice_handler = lambda notice: notices.append(notice.error_message)
    result = server.exec_(sql.encode())
    if result.status == ExecStatus.COPY_IN:
        server.put_copy_end()
        result = server.get_result() or result
    if result.status == ExecStatus.COPY_OUT:
        while True:
            length, data = server.get_copy_data(0)
            if length <= 0:
                break
            seen += bytes(data)
        result = server.get_result() or result
    while server.get_result() is not None:
        pass
    for row in range(result.ntuples):
        for column in range(result.nfields):
            cell = result.get_value(row, column)
            mask = (masks or {}).get((result.ftable(column), result.ftablecol(column)))
            if cell is not None and mask is not None:
                cell = mask_cell(mask, result.ftype(column), result.fformat(column), cell, b"k" * 32)
            seen += b"|" + (cell or b"")
    state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b""
    return state.decode(), bytes(seen) + (result.error_message or b"") + b"".join(notices)


def shown(sql: str, seen: bytes) -> list[bytes]:
    """The needles in what was seen; those that the statement itself brought along do not count."""
    lower = seen.lower()
    return [needle for needle in NEEDLES if needle in lower and needle not in sql.lower().encode()]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_no_masked_value_is_shown(sql: str, connection: psycopg.Connection, known: Catalog) -> None:
    analysis = analysed(sql, known=known)
    plan = analysis.plan
    if analysis.syntax or analysis.problem or plan.kind == "refuse":
        return
    if "pg_sleep" in sql or any(facts.opaque_functions for facts in analysis.statements):
        return
    state, seen = run(connection, plan.sql if plan.kind == "scan" else sql, masks_of(known))
    if not plan.sanitise_errors or not state:
        assert not shown(sql, seen), seen[:400]
    if plan.kind == "scan" and state in BROKEN:
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
        assert run(connection, sql)[0] == state, (state, seen[:400], plan.sql)


def test_the_statements_do_show_values_without_masking(database: str) -> None:
    """The corpus has teeth: most of its statements show a value if they are run as they are."""
    shows = 0
    candidates = [sql for sql, _ in (*fixtures("result"), *fixtures("scan"))]
    candidates += [sql for sql in ATTACKS if sql.startswith(("SELECT", "WITH"))]
    for sql in candidates:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("BEGIN")
            shows += bool(shown(sql, run(connection, sql)[1]))
            connection.execute("ROLLBACK")
    assert shows > len(candidates) / 2


def test_a_view_made_through_the_gateway_holds_masked_values(connection: psycopg.Connection, known: Catalog) -> None:
    plan = analysed("CREATE VIEW shop.v AS SELECT id, email, city FROM crm.customers", known=known).plan
    assert run(connection, plan.sql)[0] == ""
    assert not shown("", run(connection, "SELECT * FROM shop.v")[1])


def test_indexes_on_other_columns_are_still_used(connection: psycopg.Connection, known: Catalog) -> None:
    connection.execute("SET enable_seqscan = off")
    plan = analysed("EXPLAIN SELECT upper(email) FROM crm.customers WHERE id = 7", known=known).plan
    assert b"Index Scan using customers_pkey" in run(connection, plan.sql)[1]


def test_masked_relations_do_not_follow_the_search_path(connection: psycopg.Connection, known: Catalog) -> None:
    plan = analysed("SELECT upper(ssn) FROM customers", known=known, path=("pg_catalog", "crm")).plan
    assert plan.kind == "scan"
    connection.execute("SET search_path TO public")
    assert run(connection, plan.sql)[0] == ""
    assert PATH
