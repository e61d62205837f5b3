"""Functions replaced by their queries mean the same, and then are masked like any other query."""

from collections.abc import Iterator

import psycopg
import pytest

from proxy.sql.catalog import Catalog
from proxy.sql.inline import inline
from proxy.sql.parser import parse
from tests.conftest import Target
from tests.proxy.sql.example import PATH, SCHEMA, analysed, catalog, read_rows

CALLS = [
    "SELECT crm.email_of(1)",
    "SELECT id, crm.email_of(id) FROM crm.customers ORDER BY id",
    "SELECT crm.email_of(crm.customers.id + 0) AS mail, upper(crm.email_of(2)) FROM crm.customers ORDER BY id",
    "SELECT crm.email_of(99), crm.email_of(NULL), crm.email_of(1)",
    "SELECT crm.email_twice(1)",
    "SELECT crm.email_twice((SELECT max(id) FROM crm.customers WHERE id < 3))",
    "SELECT crm.email_atomic(2), crm.email_atomic(n => 3), crm.email_return(1), crm.email_return(NULL)",
    "SELECT city, crm.email_of(min(id)) FROM crm.customers GROUP BY city ORDER BY city",
    "SELECT crm.email_of(id), count(*) FROM crm.customers GROUP BY id ORDER BY id",
    "SELECT id FROM crm.customers WHERE crm.email_of(id) LIKE 'mrk%' ORDER BY crm.email_of(id) DESC",
    "SELECT * FROM crm.emails_in('City 1')",
    "SELECT mails FROM crm.emails_in('City 1') AS mails",
    "SELECT e.m FROM crm.emails_in('City 1') e (m)",
    "SELECT c.id, e FROM crm.customers c, crm.emails_in(c.city) e ORDER BY 1, 2",
    "SELECT c.id, e FROM crm.customers c LEFT JOIN LATERAL crm.emails_in(c.city) e ON true ORDER BY 1, 2",
    "SELECT * FROM crm.contacts('City 1', 1)",
    "SELECT c.mail, c.id FROM crm.contacts(wanted => 'City 1', lowest => 1) c",
    "SELECT count(*) FROM crm.contacts(NULL, 1)",
    "SELECT * FROM crm.everyone() ORDER BY id",
    "SELECT v.id, v.city FROM crm.everyone() AS v WHERE v.id > 1 ORDER BY v.id",
    "SELECT crm.with_mail('a'), crm.with_mail()",
    "WITH f AS (SELECT crm.email_of(1) AS m) SELECT m FROM f UNION ALL SELECT crm.email_of(2)",
    "SELECT /* one */ crm . email_of /* two */ ( /* three */ 1 -- four\n )",
    "SELECT crm.email_of(1), crm.owners_email(1), crm.two_steps(1)",
    "VALUES (crm.email_of(1)), (crm.email_of(2))",
    "SELECT ARRAY[crm.email_of(1)]",
    "SELECT * FROM crm.email_of(2)", "SELECT m, m.m FROM crm.email_of(99) AS m",
    "SELECT crm.emails_in('City 1'), generate_series(1, 3)", "SELECT upper(crm.emails_in('City 1')) AS loud",
    "SELECT e, n FROM crm.emails_in('City 1') WITH ORDINALITY AS x (e, n)", "SELECT * FROM crm.person(1) WITH ORDINALITY",
    "SELECT * FROM crm.person(2)", "SELECT * FROM crm.person(99)", "SELECT p.mail FROM crm.customers c, crm.person(c.id) p ORDER BY 1",
    "SELECT crm.person(1)", "SELECT (crm.person(1)).mail, (crm.person(2)).city AS town", "SELECT (crm.person(3)).*, 1 AS one",
    "SELECT (crm.everyone()).email, (crm.everyone()).id", "SELECT (crm.everyone()).*", "SELECT ((crm.everyone())).email",
    "SELECT length((crm.person(1)).mail)",
    "SELECT id FROM crm.everyone() WHERE (crm.person(id)).mail LIKE 'mrk%' ORDER BY 1",
    "SELECT crm.some_emails(1, 2)", "SELECT * FROM crm.some_emails(VARIADIC ARRAY[3, 1]) AS e ORDER BY 1",
    "SELECT crm.greeting(1), crm.greeting(2, 'Dear '), crm.greeting(1, ending => '.'), crm.greeting(ending := '?', i := 2)",
    "SELECT crm.mail_there(c), crm.mail_there(c.*) FROM crm.cities c ORDER BY 1", "SELECT crm.atomic(1)",
]


@pytest.fixture(scope="module")
def database(target: Target) -> Iterator[str]:
    target.sql("CREATE DATABASE sql_inline")
    target.sql(SCHEMA.read_text(), dbname="sql_inline")
    yield target.dsn("sql_inline")
    target.sql("DROP DATABASE sql_inline WITH (FORCE)")


@pytest.fixture(scope="module")
def known(database: str) -> Catalog:
    return Catalog.load(read_rows(database))


def inlined(sql: str, known: Catalog) -> str:
    """With every function that can be, replaced."""
    text: str | None = sql
    while text is not None:
        sql = text
        text = inline(sql, parse(sql), known, PATH, frozenset(), lambda outcome: True)
    return sql


def answer(connection: psycopg.Connection, sql: str) -> object:
    cursor = connection.execute(sql)
    return [(column.name, column.type_code) for column in cursor.description or ()], cursor.fetchall()


@pytest.mark.parametrize("sql", CALLS)
def test_it_means_the_same(sql: str, database: str, known: Catalog) -> None:
    with psycopg.connect(database) as connection:
        assert answer(connection, inlined(sql, known)) == answer(connection, sql)


@pytest.mark.parametrize("sql", [sql for sql in CALLS if "two_steps" not in sql])
def test_no_call_is_left_and_what_is_shown_is_masked(sql: str, database: str, known: Catalog) -> None:
    plan = analysed(sql, known=known).plan
    assert plan.kind == "scan", plan.reason
    assert "mrk" not in str(answer_of(database, plan.sql)).replace("'mrk%'", "")


def answer_of(database: str, sql: str) -> object:
    with psycopg.connect(database) as connection:
        return answer(connection, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT crm.owners_email(1)", "SELECT crm.two_steps(1)", "SELECT crm.email_pl(1)", "SELECT crm.email_of(1) OVER ()",
        "SELECT crm.email_of(n => 1)", "SELECT * FROM ROWS FROM (crm.emails_in('a'), crm.emails_in('b'))", "CALL crm.email_of(1)",
    ],
)  # fmt: skip
def test_other_calls_stay_refused(sql: str) -> None:
    assert inline(sql, parse(sql), catalog(), PATH, frozenset(), lambda outcome: True) is None
    assert analysed(sql).plan.kind == "refuse"


def test_functions_that_do_not_matter_stay() -> None:
    sql = "SELECT crm.city_of(1), crm.email_of(1)"
    plan = analysed(sql).plan
    assert plan.kind == "scan"
    assert "crm.city_of(1)" in plan.sql
    assert "crm.email_of" not in plan.sql
    assert plan.masked == ("crm.customers.email",)


def test_masked_columns_may_be_for_plain_output_only() -> None:
    assert analysed("SELECT crm.email_of(1)", derived_use="deny").plan.kind == "refuse"


VIEWS = [
    "SELECT * FROM crm.v_where ORDER BY id", "TABLE crm.v_where",
    "SELECT w.id FROM ONLY crm.v_where AS w (id, town) JOIN crm.v_sum s ON s.city = town",
    "SELECT count(*) FROM crm.v_where, crm.v_where AS other", "SELECT (SELECT max(id) FROM crm.v_where), v_function.e FROM crm.v_function",
    "SELECT id, looped FROM crm.tree ORDER BY 1",
]  # fmt: skip


@pytest.mark.parametrize("sql", VIEWS)
def test_views_that_choose_by_masked_columns_do_so_by_what_is_shown(sql: str, database: str, known: Catalog) -> None:
    text = inline(sql, parse(sql), known, PATH, frozenset(), lambda outcome: True, lambda view: True)
    if "ONLY" not in sql:
        assert text is not None
        assert answer_of(database, text) == answer_of(database, sql)
    plan = analysed(sql, known=known).plan
    assert plan.kind == ("refuse" if "ONLY" in sql else "scan")
    if plan.kind == "scan":
        assert "mrk" not in str(answer_of(database, plan.sql))
