"""Calls that are not written as calls are seen as well."""

from __future__ import annotations

import pytest

from proxy.sql.expressions import constant, parameter
from proxy.sql.parser import parse
from proxy.sql.walk import Reader
from tests.proxy.sql.example import PATH, catalog


@pytest.mark.parametrize(
    ("expression", "functions"),
    [
        ("upper(title)", {"pg_catalog.upper"}),
        ("pg_catalog.upper(title)", {"pg_catalog.upper"}),
        ("(0.5::float8).pg_sleep", {"pg_catalog.pg_sleep"}),
        ("i.row_to_json", {"pg_catalog.row_to_json"}),
        ("title OPERATOR(crm.#+#) title", {"crm.leaky"}),
        ("title OPERATOR(crm.#+#) ANY (SELECT code FROM shop.items)", {"crm.leaky"}),
        ("string_agg(title, ',' ORDER BY title USING OPERATOR(crm.#+#))", {"pg_catalog.string_agg", "crm.leaky"}),
        ("EXTRACT(year FROM now())", {"pg_catalog.extract", "pg_catalog.now"}),
        ("CASE WHEN lower(title) = 'x' THEN 1 END", {"pg_catalog.lower"}),
        ("(ARRAY[upper(title)])[length(title)]", {"pg_catalog.upper", "pg_catalog.length"}),
        ("count(*) FILTER (WHERE upper(title) > '')", {"pg_catalog.count", "pg_catalog.upper"}),
        ("sum(id) OVER (PARTITION BY upper(title))", {"pg_catalog.sum", "pg_catalog.upper"}),
        ("XMLELEMENT(name x, upper(title))", {"pg_catalog.upper"}),
        ("'a'::tsquery OPERATOR(shop.!?) 'SELECT 1'", {"pg_catalog.ts_rewrite"}),
        ("1 + 1", set()),
    ],
)
def test_calls(expression: str, functions: set[str]) -> None:
    reader = Reader(catalog(), PATH)
    (statement,) = parse(f"SELECT {expression} FROM shop.items i")
    reader.query(statement.node, None)
    assert reader.problem == ""
    assert {verdict.name for verdict in reader.calls} == functions


@pytest.mark.parametrize(
    ("expression", "text", "number"),
    [("'a'", "a", 0), ("'a'::text::varchar(3)", "a", 0), ("1", None, 0), ("$2", None, 2), ("$3::text", None, 3), ("'a' || 'b'", None, 0)],
)
def test_constants_and_parameters(expression: str, text: str | None, number: int) -> None:
    (statement,) = parse(f"SELECT {expression}")
    value = statement.node["targetList"][0]["ResTarget"]["val"]
    assert (constant(value), parameter(value)) == (text, number)
