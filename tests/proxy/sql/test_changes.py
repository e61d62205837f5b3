"""INSERT, UPDATE, DELETE and MERGE: the target's columns are told apart from those that are read."""

from __future__ import annotations

import pytest

from proxy.sql import changes
from proxy.sql.parser import parse
from proxy.sql.walk import OUTPUT, PREDICATE, VALUE, WRITE, Reader
from tests.proxy.sql.example import PATH, catalog


def on_target(sql: str) -> dict[str, set[str]]:
    """What the target's columns are used for, by context."""
    reader = Reader(catalog(), PATH)
    (statement,) = parse(sql)
    changes.READERS[statement.kind](reader, statement.node, None, True)
    names = dict(reader.sources_named())
    found: dict[str, set[str]] = {}
    for one in reader.references:
        if one.target:
            found.setdefault(one.context, set()).update(names[source].rsplit(".", 1)[1] for source in one.sources)
    return found


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO shop.notes VALUES (1)", {WRITE: {"id", "body"}}),
        ("INSERT INTO shop.notes (id) SELECT id FROM shop.items RETURNING body", {WRITE: {"id"}, OUTPUT: {"body"}}),
        ("INSERT INTO shop.items (id) VALUES (1) ON CONFLICT (code) DO NOTHING", {WRITE: {"id"}, PREDICATE: {"code"}}),
        ("INSERT INTO shop.items (id) VALUES (1) ON CONFLICT DO NOTHING", {WRITE: {"id"}, PREDICATE: {"id", "code"}}),
        ("INSERT INTO shop.items (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind",
         {WRITE: {"id", "kind"}, PREDICATE: {"id"}}),
        ("INSERT INTO shop.items (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET kind = items.title WHERE items.code > ''",
         {WRITE: {"id", "kind"}, PREDICATE: {"id", "code"}, VALUE: {"title"}}),
        ("UPDATE shop.notes SET body = body || 'x' WHERE id = 1 OR id = 2", {WRITE: {"body"}, VALUE: {"body"}, PREDICATE: {"id"}}),
        ("UPDATE shop.notes SET body = i.title FROM shop.items i WHERE i.id > 1", {WRITE: {"body"}}),
        ("DELETE FROM shop.notes n WHERE n.id > 1 RETURNING *", {PREDICATE: {"id"}, OUTPUT: {"id", "body"}}),
        ("DELETE FROM shop.notes n RETURNING upper(n.body), n", {VALUE: {"id", "body"}}),
        ("UPDATE shop.notes SET id = 1 WHERE id > 1 RETURNING old.body, new.id",
         {WRITE: {"id"}, PREDICATE: {"id"}, OUTPUT: {"body", "id"}}),
        ("MERGE INTO shop.notes n USING shop.items i ON n.id = i.id WHEN MATCHED AND n.body > '' THEN UPDATE SET body = n.body || i.title",
         {PREDICATE: {"id", "body"}, WRITE: {"body"}, VALUE: {"body"}}),
    ],
)  # fmt: skip
def test_uses_of_the_targets_columns(sql: str, expected: dict[str, set[str]]) -> None:
    assert on_target(sql) == expected


def test_targets_are_never_common_table_expressions() -> None:
    reader = Reader(catalog(), ("pg_catalog", "shop"))
    (statement,) = parse("WITH notes AS (SELECT 1) DELETE FROM notes WHERE id = 1")
    changes.READERS[statement.kind](reader, statement.node, None, True)
    assert reader.writes == {"shop.notes"}
