"""The example database of these tests: its masks, its recorded catalog, and how to ask for an analysis."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import psycopg
from psycopg.pq import ExecStatus

from proxy.policy.masks import Mask, fitted, sql_expression
from proxy.sql.analysis import analyse
from proxy.sql.catalog import QUERIES, Catalog
from proxy.sql.facts import Analysis, AnalysisRequest

HERE = Path(__file__).parent
SCHEMA = HERE / "schema.sql"
RECORDED = HERE / "catalog_rows.json"
PATH = ("pg_catalog", "public")

Rows = dict[str, list[list[str | None]]]

RULES = {
    "crm.customers.email": Mask("email", rule="e-mail"),
    "crm.customers.ssn": Mask("redact", rule="ssn"),
    "crm.customers.phone": Mask("hash", rule="phone"),
    "crm.customers.born": Mask("nullify", rule="born"),
    "crm.customers.notes": Mask("redact", rule="notes"),
    "crm.orders.card": Mask("partial", (0, 2), rule="card"),
    "crm.orders.remark": Mask("redact", rule="remark"),
    "crm.visits.report": Mask("redact", rule="report"),
    "crm.people.ssn": Mask("redact", rule="ssn"),
    "crm.odd.mail": Mask("redact", rule="mail"),
    "crm.odd.tags": Mask("redact", rule="tags"),
    "crm.odd.pair": Mask("redact", rule="pair"),
    "crm.odd.Odd Name": Mask("redact", rule="odd"),
    "crm.odd.code": Mask("redact", rule="code"),
}


def read_rows(dsn: str) -> Rows:
    """What QUERIES return there, as the worker gets it."""
    rows: Rows = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, query in QUERIES.items():
            result = connection.pgconn.exec_(query.encode())
            assert result.status == ExecStatus.TUPLES_OK, (name, result.error_message)
            rows[name] = [
                [None if (cell := result.get_value(i, j)) is None else cell.decode() for j in range(result.nfields)]
                for i in range(result.ntuples)
            ]
    return rows


@functools.cache
def catalog() -> Catalog:
    """The recorded catalog: `python -m tests.proxy.sql.record DSN` makes it anew."""
    return Catalog.load(json.loads(RECORDED.read_text()))


def masks_of(known: Catalog, rules: dict[str, Mask] = RULES) -> dict[tuple[int, int], Mask]:
    found = {}
    for name, mask in rules.items():
        schema, relation_name, column_name = name.split(".")
        relation = known.resolve((schema, relation_name), ())
        assert relation is not None
        column = relation.column(column_name)
        assert column is not None
        found[relation.oid, column.attnum] = fitted(mask, column)
    return found


def analysed(
    sql: str,
    *,
    known: Catalog | None = None,
    rules: dict[str, Mask] = RULES,
    path: tuple[str, ...] = PATH,
    trusted: frozenset[str] = frozenset(),
    derived_use: str = "scan",
) -> Analysis:
    """The analysis of a text under the example's masks."""
    known = known or catalog()
    digest = repr(sorted(rules.items()))
    return analyse(AnalysisRequest(sql, known.digest, path, masks_of(known, rules), digest, trusted, derived_use), known)


@functools.cache
def _expressions() -> list[tuple[str, str]]:
    masks = {*RULES.values(), Mask("redact")}
    found = []
    for relation in catalog().relations.values():
        for column in relation.columns if relation.schema != "pg_catalog" or relation.name == "pg_stat_activity" else ():
            reference = f"_.{column.name}" if re.fullmatch("[a-z_]+", column.name) else f'_."{column.name}"'
            label = reference.removeprefix("_.")
            found += [(f"{sql_expression(mask, column, reference)} AS {label}", f"⟨{column.name}⟩ AS {label}") for mask in masks]
    return sorted(set(found), key=lambda pair: -len(pair[0]))


def readable(sql: str) -> str:
    """A masked text with ⟨column⟩ in place of each mask's expression."""
    for expression, name in _expressions():
        sql = sql.replace(expression, name)
    return " ".join(sql.split())


def fixtures(name: str) -> list[tuple[str, str]]:
    """(statement, expectation) pairs of ``fixtures/NAME.sql``: the expectation follows ``-->`` on the line after the statement."""
    found: list[tuple[str, str]] = []
    statement: list[str] = []
    for line in (HERE / "fixtures" / f"{name}.sql").read_text().splitlines():
        if line.startswith("-->"):
            found.append(("\n".join(statement), line.removeprefix("-->").strip()))
            statement = []
        elif line.strip() and not line.startswith("-- "):
            statement.append(line)
    assert not statement, f"{name}.sql: the last statement has no expectation"
    return found
