"""Rows by COPY: three times as fast as INSERT, and workers ship an entry or more per statement of every agent."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, models


def insert(rows: Sequence[models.Model]) -> None:
    """Insert rows of one model, whose primary keys are set; what the database generates itself is left to it."""
    if not rows:
        return
    meta = rows[0]._meta
    fields = [field for field in meta.concrete_fields if not field.generated]
    names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    with connection.cursor() as cursor, cursor.copy(f"COPY {meta.db_table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([getattr(row, field.attname) for field in fields])


def number(rows: Sequence[models.Model]) -> None:
    """Give rows that are not stored yet the next primary keys of their table, in their order."""
    if not rows:
        return
    meta = rows[0]._meta
    with connection.cursor() as cursor:
        taken = "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)"
        cursor.execute(taken, [meta.db_table, meta.pk.column, len(rows)])
        for row, (pk,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = pk
