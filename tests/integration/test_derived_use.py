"""What typical uses of a masked column return under either setting of `derived_use`: the table in `docs/derived-use.md`.

Each statement runs on a real server through a real worker. The document is compared with what came back; ``TIDEGATE_WRITE_DOCS=1``
writes it anew.
"""

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import ExecStatus

from proxy.policy.masks import Mask, fitted
from proxy.sql.analysis import analyse
from proxy.sql.catalog import Catalog
from proxy.sql.facts import AnalysisRequest
from tests.conftest import Target
from tests.proxy.sql.example import read_rows
from tests.worker.control_plane import ControlPlane
from tests.worker.gateway import Gateway, bundle

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "derived-use.md"
SCHEMA = """
    CREATE SCHEMA crm;
    CREATE TABLE crm.customers (
        id int PRIMARY KEY, name text, ssn text, email text, card text, phone text, born date, salary numeric(10, 2), tags text[], note jsonb
    );
    INSERT INTO crm.customers VALUES
        (1, 'Ada', '900-55-0001', 'ada@post.example', '4000 1234 5678 9010', '+49 30 1234', '1984-05-17', 51234.50, '{vip}', '{"plan": "gold"}'),
        (2, 'Ben', '900-55-0002', 'ben@post.example', '4000 1234 5678 9020', '+49 30 5678', '1990-11-02', 48900.00, '{new}', '{"plan": "tin"}');
    CREATE TABLE crm.orders (id int, customer_id int, ssn text);
    INSERT INTO crm.orders VALUES (10, 1, '900-55-0001'), (20, 2, '900-55-0002');
    CREATE TABLE crm.copies (value text);
    CREATE VIEW crm.contacts AS SELECT id, name, ssn AS number FROM crm.customers;
    CREATE VIEW crm.chosen AS SELECT id FROM crm.customers WHERE ssn LIKE '900%';
    CREATE FUNCTION crm.ssn_of(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM crm.customers WHERE id = $1';
"""  # noqa: E501
MASKS = {  # column: (method as in the bundle, mask, lookups)
    "ssn": ({"name": "redact"}, Mask("redact", rule="ssn"), "deny"),
    "email": ({"name": "email"}, Mask("email", rule="email", lookups=True), "allow"),
    "card": ({"name": "card"}, Mask("card", rule="card"), "deny"),
    "phone": ({"name": "hash"}, Mask("hash", rule="phone"), "deny"),
    "born": ({"name": "year"}, Mask("year", rule="born"), "deny"),
    "salary": ({"name": "round", "to": 1000}, Mask("round", (1000,), rule="salary"), "deny"),
    "tags": ({"name": "redact"}, Mask("redact", rule="tags"), "deny"),
    "note": ({"name": "redact"}, Mask("redact", rule="note"), "deny"),
}
USES = {
    "As it is": [
        "SELECT id, ssn FROM crm.customers",
        "SELECT c.ssn AS harmless FROM crm.customers c WHERE c.id = 1",
        "SELECT * FROM crm.customers WHERE id = 1",
        "SELECT phone FROM crm.customers WHERE id = 1",
        "SELECT o.id, c.card FROM crm.orders o JOIN crm.customers c ON c.id = o.customer_id",
        "SELECT number FROM crm.contacts WHERE id = 1",
        "SELECT x.s FROM (SELECT ssn AS s FROM crm.customers) x",
        "WITH c AS (SELECT ssn FROM crm.customers) SELECT ssn FROM c",
        "SELECT (SELECT ssn FROM crm.customers WHERE id = 1)",
        "SELECT ssn FROM crm.customers UNION ALL SELECT 'x'",
    ],
    "In conditions and orders": [
        "SELECT id FROM crm.customers WHERE ssn = '900-55-0001'",
        "SELECT id, email FROM crm.customers WHERE email = 'ada@post.example'",
        "SELECT id FROM crm.customers WHERE email LIKE 'ada%'",
        "SELECT id FROM crm.customers WHERE ssn IS NOT NULL",
        "SELECT id FROM crm.customers WHERE salary > 50000",
        "SELECT id FROM crm.customers WHERE born BETWEEN '1984-05-01' AND '1984-05-31'",
        "SELECT id FROM crm.customers WHERE ssn IN (SELECT ssn FROM crm.orders)",
        "SELECT c.id, o.id FROM crm.customers c JOIN crm.orders o USING (ssn)",
        "SELECT id, ssn FROM crm.customers ORDER BY ssn DESC, id",
        "SELECT DISTINCT ssn FROM crm.customers",
        "SELECT ssn, count(*) FROM crm.customers GROUP BY ssn",
        "SELECT count(*) FROM crm.customers HAVING min(ssn) LIKE '900%'",
        "SELECT id FROM crm.chosen",
    ],
    "In expressions": [
        "SELECT upper(ssn) FROM crm.customers WHERE id = 1",
        "SELECT substr(ssn, 8) FROM crm.customers WHERE id = 1",
        "SELECT length(ssn) FROM crm.customers WHERE id = 1",
        "SELECT md5(ssn) = md5('900-55-0001') FROM crm.customers WHERE id = 1",
        "SELECT ssn || '' FROM crm.customers WHERE id = 1",
        "SELECT replace(ssn, '-', '')::int FROM crm.customers WHERE id = 1",
        "SELECT CASE WHEN ssn LIKE '900%' THEN 'yes' ELSE 'no' END FROM crm.customers WHERE id = 1",
        "SELECT coalesce(ssn, 'none') FROM crm.customers WHERE id = 1",
        "SELECT split_part(email, '@', 2) FROM crm.customers WHERE id = 1",
        "SELECT right(card, 4) FROM crm.customers WHERE id = 1",
        "SELECT phone || '' FROM crm.customers WHERE id = 1",
        "SELECT extract(month FROM born) FROM crm.customers WHERE id = 1",
        "SELECT salary * 12 FROM crm.customers WHERE id = 1",
        "SELECT tags[1] FROM crm.customers WHERE id = 1",
        "SELECT note ->> 'plan' FROM crm.customers WHERE id = 1",
        "SELECT c::text FROM crm.customers c WHERE id = 1",
        "SELECT to_jsonb(c) ->> 'ssn' FROM crm.customers c WHERE id = 1",
    ],
    "In aggregates and windows": [
        "SELECT count(ssn), count(DISTINCT ssn) FROM crm.customers",
        "SELECT min(ssn), max(ssn) FROM crm.customers",
        "SELECT string_agg(ssn, ',') FROM crm.customers",
        "SELECT avg(salary) FROM crm.customers",
        "SELECT lag(ssn) OVER (ORDER BY id) FROM crm.customers",
    ],
    "In other statements": [
        "COPY (SELECT id, ssn FROM crm.customers) TO STDOUT",
        "EXPLAIN (COSTS off) SELECT id FROM crm.customers WHERE ssn = '900-55-0001'",
        "INSERT INTO crm.copies SELECT ssn FROM crm.customers RETURNING value",
        "UPDATE crm.customers SET ssn = 'new' WHERE id = 1 RETURNING ssn",
        "UPDATE crm.customers SET name = 'x' WHERE ssn = '900-55-0001'",
        "UPDATE crm.customers SET name = ssn WHERE id = 1",
        "DELETE FROM crm.orders o USING crm.customers c WHERE c.ssn = '900-55-0001' AND c.id = o.customer_id",
        "SELECT crm.ssn_of(1)",
    ],
}
PLAIN_ONLY = "is masked and may only be used as a plain output column"
MECHANISMS = {"none": "forwarded", "result": "in the result", "scan": "at the scan", "refuse": "–"}
PSEUDONYM = re.compile(r"\b[a-zA-Z2-7]{24}\b")
HEAD = """# What a masked column gives

How the uses of a masked column end with `derived_use: scan` (the default) and with `derived_use: deny`, each run on PostgreSQL 15 through a
worker. `tests/integration/test_derived_use.py` compares this page with what comes back and writes it with `TIDEGATE_WRITE_DOCS=1`.

`crm.customers` has two rows. Masked are `ssn`, `tags` and `note` (`redact`), `email` (`email`, with `lookups: allow`), `card` (`card`),
`phone` (`hash`), `born` (`year`) and `salary` (`round: 1000`); `crm.orders.ssn` is not. Rows are separated by ` / `, columns by `, `; `␀`
is NULL.

*Mechanism*: *in the result* – the statement runs as it is and the gateway masks the cells; *at the scan* – the table is replaced by a
sub-select of masked values, so that everything computed from them is computed from masks. What is refused gets SQLSTATE TG003; where
no reason is given, it is that the column "is masked and may only be used as a plain output column", which means one of the outermost query.
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, target15: Target, broker: str) -> Iterator[Gateway]:
    """Two connections to one database, which differ in `derived_use`."""
    target15.sql("CREATE DATABASE derived")
    target15.sql(SCHEMA, dbname="derived")
    plane = ControlPlane()
    masking = [
        {"name": name, "connections": None, "columns": [f"crm.customers.{name}"], "method": method, "lookups": lookups, "cleared": []}
        for name, (method, _, lookups) in MASKS.items()
    ]
    published = bundle(target15, masking=masking, connection={"dbname": "derived"})
    [crm] = published["connections"]
    published["connections"] = [{**crm, "name": use, "derived_use": use} for use in ("scan", "deny")]
    published["grants"][0]["connections"] = ["scan", "deny"]
    secret = {"password": target15.password, "hash_key": base64.b64encode(bytes(32)).decode()}
    made = Gateway(plane, tmp_path_factory.mktemp("derived") / "worker", broker)
    try:
        made.start(ready=False)
        made.until(lambda: plane.called("enrol"))
        plane.publish(published, {"connections": {"scan": secret, "deny": secret}})
        made.until(lambda: made.health()[0] == 200)
        yield made
    finally:
        made.close()
        plane.close()
        target15.sql("DROP DATABASE derived WITH (FORCE)")


def _answer(connection: psycopg.Connection[tuple[object, ...]], statement: str) -> str:
    """Rows, or the error; what it changed is rolled back."""
    raw = connection.pgconn
    raw.exec_(b"BEGIN")
    result = raw.exec_(statement.encode())
    if result.status == ExecStatus.COPY_OUT:
        rows = []
        while (data := raw.get_copy_data(0))[0] > 0:
            rows.append(bytes(data[1]).decode().rstrip("\n").replace("\t", ", "))
        while raw.get_result() is not None:
            pass
    elif result.status == ExecStatus.TUPLES_OK:
        cells = [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)]
        rows = [", ".join("␀" if cell is None else cell.decode() or "''" for cell in row) for row in cells]
    elif result.status == ExecStatus.COMMAND_OK:
        rows = [(result.command_status or b"").decode()]
    else:
        sqlstate = (result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"").decode()
        message = (result.error_field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
        rows = ["refused" if message.endswith(PLAIN_ONLY) else f"{'refused' if sqlstate == 'TG003' else f'ERROR {sqlstate}'}: {message}"]
    raw.exec_(b"ROLLBACK")
    return PSEUDONYM.sub("(pseudonym)", " / ".join(rows)) or "(no rows)"


def _mechanism(statement: str, catalog: Catalog) -> str:
    relation = catalog.resolve(["crm", "customers"], ())
    assert relation is not None
    masks = {(relation.oid, column.attnum): fitted(MASKS[column.name][1], column) for column in relation.columns if column.name in MASKS}
    found = analyse(AnalysisRequest(statement, catalog.digest, ("pg_catalog", "public"), masks, "m"), catalog)
    return MECHANISMS[found.plan.kind]


def _cell(text: str) -> str:
    plain = text.startswith(("refused", "ERROR", "(no", "the same"))
    return (text if plain else f"`{text}`").replace("|", "\\|")


def _page(gateway: Gateway, catalog: Catalog) -> str:
    parts = [HEAD]
    ways = [psycopg.connect(gateway.dsn(dbname=use), autocommit=True) for use in ("scan", "deny")]
    with ways[0] as scan, ways[1] as deny:
        for title, uses in USES.items():
            parts.append(f"\n## {title}\n| statement | returns | with `derived_use: deny` | mechanism |\n|---|---|---|---|\n")
            for statement in uses:
                masked, strict = _answer(scan, statement), _answer(deny, statement)
                strict = "the same" if masked == strict else strict
                parts.append(f"| {_cell(statement)} | {_cell(masked)} | {_cell(strict)} | {_mechanism(statement, catalog)} |\n")
    return "".join(parts)


def test_the_page_says_what_comes_back(worker: Gateway, target15: Target) -> None:
    page = _page(worker, Catalog.load(read_rows(target15.dsn("derived"))))
    if os.environ.get("TIDEGATE_WRITE_DOCS"):
        DOCUMENT.write_text(page)
    assert DOCUMENT.read_text() == page


def test_the_page_shows_no_real_value() -> None:
    """But for those that its statements name, and what the masks leave."""
    for line in DOCUMENT.read_text().splitlines():
        statement, _, answers = line.partition("` | ")
        shown = [value for value in ("900-55", "ada@", "5678", "1984-05", "51234", "gold", "vip") if value in answers]
        assert not [value for value in shown if value not in statement]
