"""Bodies of functions: followed where they can be read, opaque otherwise."""

from __future__ import annotations

import pytest

from proxy.sql.bodies import Outcome, follow, mentions, read_block
from proxy.sql.parser import parse
from proxy.sql.statements import read_statement
from proxy.sql.walk import Reader
from tests.proxy.sql.example import PATH, catalog


def outcome_of(sql: str) -> Outcome:
    reader = Reader(catalog(), PATH)
    (statement,) = parse(sql)
    read_statement(reader, statement.kind, statement.node)
    return follow(reader)


def test_bodies_are_followed_through_other_functions() -> None:
    outcome = outcome_of("SELECT crm.email_twice(1)")
    assert outcome.functions == {"crm.email_twice", "crm.email_of"}
    assert {name for name, _ in outcome.bodies} == outcome.functions
    assert {read for _, body in outcome.bodies for read in body.reads} == {"crm.customers"}
    assert not outcome.opaque


def test_plpgsql_is_followed_too() -> None:
    outcome = outcome_of("SELECT shop.clear_notes(), shop.count_items()")
    assert outcome.actions == {"delete", "select"}
    assert not outcome.opaque
    assert [body.without_where for name, body in outcome.bodies if name == "shop.clear_notes" and body.writes] == [True]


def test_sql_made_at_run_time_is_opaque() -> None:
    outcome = outcome_of("SELECT crm.by_name('1')")
    assert set(outcome.opaque) == {"crm.by_name"}
    assert outcome.actions == {"function"}


@pytest.mark.parametrize(
    "block",
    [
        "BEGIN EXECUTE 'x'; END",
        "BEGIN FOR r IN EXECUTE 'x' LOOP END LOOP; END",
        "BEGIN SET search_path TO crm; PERFORM 1 FROM orders; END",
        "BEGIN PERFORM set_config('search_path', 'crm', false); END",
        "BEGIN PERFORM * FROM nosuch; END",
        "BEGIN NONSENSE END",
    ],
)
def test_code_that_cannot_be_known_is_not_followed(block: str) -> None:
    assert read_block(f"DO $$ {block} $$", catalog(), PATH, frozenset()) is None


def test_variables_are_not_columns() -> None:
    block = "DO $$ DECLARE n int; r record; BEGIN FOR r IN SELECT id FROM shop.items LOOP n := r.id + n; END LOOP; END $$"
    readers = read_block(block, catalog(), PATH, frozenset())
    assert readers is not None
    assert {name for reader in readers for _, name in reader.sources_named()} == {"shop.items.id"}


@pytest.mark.parametrize(
    ("language", "source", "found"),
    [
        ("plpgsql", "BEGIN PERFORM * FROM Customers; END", True),
        ("plpgsql", "BEGIN PERFORM * FROM other; END", False),
        ("plpgsql", "BEGIN eXecute 'x'; END", True),
        ("plpgsql", 'BEGIN PERFORM * FROM U&"c\\0075stomers"; END', True),
        ("plpython3u", "return 1", True),
        ("c", "entry_point", True),
    ],
)
def test_code_that_is_not_followed_is_searched_for_names(language: str, source: str, found: bool) -> None:
    assert mentions(language, source, frozenset({"customers"})) is found
