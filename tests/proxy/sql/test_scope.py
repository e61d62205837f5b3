"""Names: what a reference means, and that doubt always means more."""

from __future__ import annotations

from proxy.sql.scope import NOTHING, Entry, Item, Out, Scope, find_column, find_entries, find_in, renamed

A, B, C = (frozenset({(1, number)}) for number in (1, 2, 3))


def entry(name: str, **columns: frozenset[tuple[int, int]]) -> Entry:
    return Entry(name, [Out(column, sources, next(iter(sources))) for column, sources in columns.items()])


def scope(*entries: Entry, parent: Scope | None = None) -> Scope:
    return Scope(parent, Item(list(entries), [out for one in entries for out in one.columns]))


def test_the_nearest_level_has_the_name() -> None:
    outer = scope(entry("t", x=A))
    inner = scope(entry("u", x=B), parent=outer)
    assert find_column(inner, "x").sources == B
    assert find_column(scope(entry("u", y=B), parent=outer), "x").sources == A
    assert [one.name for one in find_entries(inner, "t")] == ["t"]


def test_an_item_of_unknown_columns_leaves_the_outer_meaning_possible() -> None:
    outer = scope(entry("t", x=A))
    unknown = Entry("f", [], more=B)
    assert find_column(scope(unknown, parent=outer), "x").sources == A | B
    # A column that is known at the same level settles it.
    assert find_column(scope(unknown, entry("u", x=C), parent=outer), "x").sources >= C
    assert A & find_column(scope(unknown, entry("u", x=C), parent=outer), "x").sources == NOTHING


def test_a_name_that_nothing_has_may_mean_all_that_is_visible() -> None:
    assert find_column(scope(entry("t", x=A, y=B), parent=scope(entry("u", z=C))), "nosuch").sources == A | B | C


def test_an_items_name_is_its_whole_row() -> None:
    found = find_column(scope(entry("t", x=A, y=B)), "t")
    assert found.row
    assert found.sources == A | B
    assert found.plain is None


def test_a_column_comes_before_an_items_name() -> None:
    assert find_column(scope(entry("x", x=A, y=B)), "x").sources == A


def test_an_attribute_that_is_no_column_may_be_a_function_of_the_row() -> None:
    found = find_in([entry("t", x=A, y=B)], "row_to_json")
    assert (found.row, found.attribute, found.sources) == (True, "row_to_json", A | B)


def test_alias_lists_rename_the_first_columns() -> None:
    assert [(out.name, out.sources) for out in renamed(entry("t", x=A, y=B), ["a"]).columns] == [("a", A), ("y", B)]
