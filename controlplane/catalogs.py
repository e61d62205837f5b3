"""What targets contain, as workers tell it: for pages that say what a statement would mean. Workers never read it back.

One snapshot for each database of a connection, the newest. It is kept as it came: compressed JSON of the rows that
:data:`proxy.sql.queries.QUERIES` give, names and code but no values.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from controlplane.models import CatalogSnapshot, Connection, Worker
from proxy.sql.catalog import QUERIES, SYSTEM_SCHEMAS, Catalog

LARGEST = 64 << 20  # bytes of JSON
Rows = dict[str, list[list[str | None]]]


def note(worker: Worker, *, connection: str, database: str, digest: str, content: bytes | None) -> bool:
    """Remember what a worker says a database contains now. True where the content is wanted, since it is not the one kept.

    Raises ValidationError for an unknown connection, and for content that is no catalog or not the one of ``digest``.
    """
    target = Connection.objects.filter(name=connection).first()
    if target is None:
        raise ValidationError({"connection": "There is no such connection."})
    told = {"worker": worker.name, "confirmed_at": timezone.now()}
    if CatalogSnapshot.objects.filter(connection=target, database=database, digest=digest).update(**told):
        return False
    if content is None:
        return True
    if _loaded(rows_of(content)).digest != digest:
        raise ValidationError({"digest": "This is not the digest of the content."})
    values = {**told, "digest": digest, "content": content, "read_at": told["confirmed_at"]}
    CatalogSnapshot.objects.update_or_create(connection=target, database=database, defaults=values)
    return False


def newest(connection: str, database: str) -> CatalogSnapshot | None:
    return CatalogSnapshot.objects.filter(connection__name=connection, database=database).first()


def columns_of(snapshot: CatalogSnapshot) -> tuple[tuple[str, str, str], ...]:
    """Schema, relation and name of every column that people made."""
    rows = rows_of(bytes(snapshot.content))
    relations = {oid: (schema, name) for oid, schema, name, *_ in rows.get("relations", ()) if schema not in SYSTEM_SCHEMAS}
    found = ((*relations[oid], name) for oid, _, name, *_ in rows.get("columns", ()) if oid in relations)
    return tuple((str(schema), str(relation), str(name)) for schema, relation, name in found)


def rows_of(content: bytes) -> Rows:
    """The rows in compressed JSON. Raises ValidationError."""
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(content, LARGEST)
        if not reader.eof:
            raise ValidationError({"content": f"This is cut off, or more than {LARGEST >> 20} MB of JSON."})
        found = json.loads(text)
    except (zlib.error, ValueError, RecursionError):
        raise ValidationError({"content": "This is not compressed JSON."}) from None
    if not _are_rows(found):
        raise ValidationError({"content": "These are not the rows of a catalog."})
    return found


def _are_rows(found: Any) -> bool:
    if not isinstance(found, dict) or not set(found) <= set(QUERIES):
        return False
    return all(
        isinstance(rows, list)
        and all(isinstance(row, list) and all(value is None or isinstance(value, str) for value in row) for row in rows)
        for rows in found.values()
    )


def _loaded(rows: Rows) -> Catalog:
    try:
        return Catalog.load(rows)
    except (ValueError, TypeError, KeyError, IndexError):
        raise ValidationError({"content": "These are not the rows of a catalog."}) from None
