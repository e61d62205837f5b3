"""Record the example's catalog: ``python -m tests.proxy.sql.record DSN`` with an empty database."""

import json
import sys

import psycopg

from tests.proxy.sql.example import RECORDED, SCHEMA, Rows, read_rows

SYSTEM = {"pg_stats", "pg_stat_activity", "pg_class", "pg_attribute", "pg_statistic", "pg_largeobject"}


def trimmed(rows: Rows) -> Rows:
    """Without the system relations that no test names."""
    kept = [row for row in rows["relations"] if row[1] not in ("pg_catalog", "information_schema") or row[2] in SYSTEM]
    oids = {row[0] for row in kept}
    return {**rows, "setup": [], "relations": kept, "columns": [row for row in rows["columns"] if row[0] in oids]}


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        connection.execute(SCHEMA.read_text())
    lines = [f"{json.dumps(name)}: {json.dumps(rows)}" for name, rows in trimmed(read_rows(sys.argv[1])).items()]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
