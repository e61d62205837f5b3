"""Where values stand in a statement, told by PostgreSQL's own tokens."""

from __future__ import annotations

import pytest

from approvals import places
from proxy.sql.parser import normalise

PLACES = {
    "UPDATE t SET a = -5, b = 'it''s' WHERE id = $1 AND c = NULL AND d = 1.5;": {1: "$1", 2: "-5", 3: "'it''s'", 4: "NULL", 5: "1.5"},
    "DELETE FROM t WHERE a - 5 > 1 /* 7 */ -- 8": {1: "5", 2: "1"},
    "INSERT INTO t VALUES (E'x', 0x1F, true, DEFAULT, DATE '2026-01-01')": {1: "E'x'", 2: "0x1F", 3: "true", 4: "'2026-01-01'"},
    "SELECT $2, $1, $2 FROM t LIMIT 3": {1: "$1", 2: "$2", 3: "3"},
    "DELETE FROM t": {},
}


@pytest.mark.parametrize("sql", PLACES)
def test_parameters_and_constants_by_number(sql: str) -> None:
    found = places.written(sql, normalise(sql))
    assert found is not None
    assert {n: text for n, (_, text) in found.items()} == PLACES[sql]


@pytest.mark.parametrize(("sql", "normalised"), [
    ("SELECT 1", "SELECT $1 + 2"), ("SELECT 1 + 2", "SELECT $1"), ("SELECT a", "SELECT $1"), ("SELECT $1", "SELECT $2"), ("SELECT 1", ""),
    ("SELECT 'x", "SELECT $1"), ("SELECT -(5)", normalise("SELECT -(5)")), ("SELECT '\ud800'", "SELECT $1"),
    ("SELECT a - b", "SELECT a $1 b"),
])  # fmt: skip
def test_what_does_not_match_has_no_places(sql: str, normalised: str) -> None:
    assert places.of(sql, normalised, {}) is None


def test_parameters_must_be_known_and_places_few() -> None:
    assert places.of("SELECT $1", "SELECT $1", {}) is None
    many = "SELECT " + ", ".join("1" * (places.MOST + 1))
    assert places.of(many, normalise(many), {}) is None


def test_what_differs() -> None:
    def of(sql: str, value: str | None = "7") -> tuple[places.Place, ...]:
        found = places.of(sql, normalise(sql), {1: value})
        assert found is not None
        return found

    base = of("SELECT $1, 'a', 2")
    assert places.differ(base, of("SELECT $1, 'a', 2")) == set()
    assert places.differ(base, of("SELECT $1, 'b', 3")) == {2, 3}
    assert places.differ(base, of("SELECT $1, 'a', 2", None)) == {1}
    assert places.differ(of("SELECT $1", None), of("SELECT $1", "")) == {1}
    assert places.differ(base, of("SELECT $1, 1, 2")) is None, "another kind of constant"
    assert places.differ(base, of("SELECT $1, 'a'")) is None


def test_a_value_cannot_be_read_from_what_is_kept() -> None:
    (place,) = places.of("SELECT '900-55-0001'", "SELECT $1", {}) or ()
    assert "900" not in str(place)
    assert len(place.value) == 64
