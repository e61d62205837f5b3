"""`pg_dump | psql` and its relatives: what is dumped on one side and restored there is what the server had."""

import subprocess
from pathlib import Path

import psycopg

from tests.conformance.sides import Side, programs
from tests.conformance.suite import FAILED, PASSED, Outcomes, logged, plain_environment

_SOURCE = "conformance_source"
_FORMS = ("plain", "inserts", "custom", "directory", "tar")
_OBJECTS = r"""
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'gone for good');
CREATE DOMAIN shop.email AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE shop.customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mail shop.email, note bytea, tags text[]);
CREATE TABLE shop.orders (id bigserial, customer int REFERENCES shop.customers, state shop.state DEFAULT 'new', total numeric(12, 2),
    made timestamptz NOT NULL, twice numeric GENERATED ALWAYS AS (total * 2) STORED, extra jsonb) PARTITION BY RANGE (made);
CREATE TABLE shop.orders_old PARTITION OF shop.orders FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE shop.orders_new PARTITION OF shop.orders DEFAULT;
INSERT INTO shop.customers (name, mail, note, tags)
    SELECT 'c' || n || E'\t\\ "é" ''' , n || '@example.com', decode(md5(n::text), 'hex'), ARRAY[n::text, NULL, '{x}']
    FROM generate_series(1, 500) n;
INSERT INTO shop.orders (customer, state, total, made, extra)
    SELECT n % 500 + 1, 'paid', n / 3.0, '2019-12-01'::timestamptz + n * interval '1 hour', jsonb_build_object('n', n)
    FROM generate_series(1, 5000) n;
CREATE INDEX ON shop.orders (customer, made DESC) WHERE state = 'paid';
CREATE VIEW shop.totals AS SELECT c.name, sum(o.total) AS total FROM shop.customers c JOIN shop.orders o ON o.customer = c.id GROUP BY c.id;
CREATE MATERIALIZED VIEW shop.top AS SELECT * FROM shop.totals ORDER BY total DESC, name LIMIT 10;
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.name := NEW.name || ' '; RETURN NEW; END$$;
CREATE TRIGGER touch BEFORE UPDATE ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE RULE quiet AS ON DELETE TO shop.customers DO INSTEAD NOTHING;
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customers USING (name = current_user);
COMMENT ON TABLE shop.customers IS E'who pays\nand $$ who does not';
GRANT SELECT ON shop.totals TO PUBLIC;
SELECT lo_from_bytea(70001, decode(repeat('00ff10', 20000), 'hex'));
"""


class Dump:
    name = "dump"
    versions = (15, 18)
    databases = (_SOURCE, *(f"restored_{form}" for form in _FORMS))

    def prepare(self) -> None: ...

    def run(self, side: Side, directory: Path) -> Outcomes:
        for database in self.databases:
            side.server.ensure_database(database)
        with psycopg.connect(side.server.dsn(_SOURCE), autocommit=True) as connection:
            connection.execute(_OBJECTS)
        outcomes: Outcomes = {}
        wanted = self._text(side, side.server.port, _SOURCE)
        outcomes["the text of a dump"] = PASSED if self._text(side, side.port, _SOURCE) == wanted else FAILED
        for form in _FORMS:
            restored = self._round_trip(side, form, directory)
            same = restored and self._text(side, side.server.port, f"restored_{form}") == wanted
            outcomes[f"{form}, restored"] = PASSED if same else FAILED
        return outcomes

    def _round_trip(self, side: Side, form: str, directory: Path) -> bool:
        bindir, file, log = programs(side.version), str(directory / form), directory / f"{form}.log"
        source, restored = (plain_environment() | side.libpq(database) for database in (_SOURCE, f"restored_{form}"))
        options = ["--inserts", "--rows-per-insert=50"] if form == "inserts" else [f"--format={form}"]
        options += ["--jobs=2"] if form == "directory" else []
        dumped = logged([str(bindir / "pg_dump"), "--file", file, *options], log, source)
        if form in ("plain", "inserts"):
            restore = [str(bindir / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file]
        else:
            jobs = [] if form == "tar" else ["--jobs=2"]
            restore = [str(bindir / "pg_restore"), "--exit-on-error", f"--dbname=restored_{form}", *jobs, file]
        return dumped == 0 and logged(restore, log, restored) == 0

    def _text(self, side: Side, port: int, database: str) -> str:
        """A dump as text, without what differs from one to the next."""
        environment = plain_environment() | side.libpq(database) | {"PGPORT": str(port)}
        result = subprocess.run([programs(side.version) / "pg_dump"], env=environment, capture_output=True, text=True, check=False)
        # \restrict and \unrestrict carry a new random key each time.
        return "\n".join(line for line in result.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))
